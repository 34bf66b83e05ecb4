"""The largest batch that fits in memory: by counting on the CPU, which promises what it lacks, by trying on a GPU."""

# B samples a batch

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from nnkit.config.schema import Config
from nnkit.data.batches import Batch, Batches
from nnkit.errors import OutOfMemoryError
from nnkit.machine import available_bytes
from nnkit.train.device import worded_norms, worded_out_of_memory, worded_while_measuring
from nnkit.train.inputs import changed, weight_of
from nnkit.train.loop import backward, learn
from nnkit.train.run import Run
from nnkit.train.state import TrainState
from nnkit.train.through_time import answered

SHARE = 0.5  # of the memory that is left; other processes want some, too
TIMES_KEPT = 2  # what a forward pass keeps is there once more, while gradients and the insides of kernels come and go
CHANGED = 32  # samples that are augmented for the count: chance has something else for each
FEWEST, MORE = 2, 4  # samples of the two passes that are counted: what is kept for any batch drops out
MOST_DECODED = 64  # pictures; a larger batch repeats them


def largest_batch(run: Run, config: Config, *, first: int, most: int) -> int:
    """Return the largest batch size that fits: `first`, doubled as often as possible, or halved until it fits.

    Args:
        run: a training that is not needed afterwards: its weights, and its data, are those of the real one.
        config: for the words of an error.
        first: samples a batch.
        most: training samples.

    Raises:
        OutOfMemoryError: not even one sample fits.
    """
    first = min(first, most)
    if run.device.type == "cpu" and most >= MORE:
        each = max(TIMES_KEPT * bytes_a_sample(run), bytes_of_change(run))
        left = SHARE * available_bytes()
        most = search(lambda size: each * size <= left, first=first, most=most) or 1
        first = most
    found = search(lambda size: _steps(run, config, size), first=first, most=most)
    if found is None:
        with worded_out_of_memory(config):
            raise MemoryError("not even one sample fits")
    return found


@torch.no_grad()
def check_measured(run: Run) -> None:
    """Measure one batch of the validation part, the longest samples: before the training, not after its first epoch.

    The size of these batches is left as it is: it costs no step, may be changed at any resume, and what is right
    for the step of the training, which keeps what each layer puts out, says little of it.

    Raises:
        OutOfMemoryError: it does not fit.
    """
    run.model.eval()
    with worded_while_measuring(run.val), run.averaged_weights():
        batch = _batch(run.val, min(run.val.size, len(run.val.samples)))
        next(answered(run.model, run.arithmetic, [batch], is_stateful=run.is_stateful))


def search(fits: Callable[[int], bool], *, first: int, most: int) -> int | None:
    """Return the largest of `first`, doubled or halved, up to `most`, that fits; None where not even 1 does."""
    size = first
    if fits(size):
        while 2 * size <= most and fits(2 * size):
            size *= 2
        return size
    while size > 1:
        size //= 2
        if fits(size):
            return size
    return None


def bytes_a_sample(run: Run) -> float:
    """Return how many bytes one sample's forward pass keeps for the backward pass."""
    few, more = (_kept(run, size) for size in (FEWEST, MORE))
    return max(1.0, (more - few) / (MORE - FEWEST))


def _kept(run: Run, size: int) -> int:
    """Return the bytes of the distinct storages that a forward pass over so many samples keeps."""
    found: dict[int, int] = {}

    def note(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return x

    batch = changed(run, _batch(run.train, size), 0)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        backward(run, batch, weight_of(run.objective, batch), _state(run, size))
    return sum(found.values())


def bytes_of_change(run: Run) -> float:
    """Return how many bytes a sample needs at most while it is augmented, before the forward pass; 0 without that."""
    if run.augmentation is None:
        return 0.0  # no picture is read for it
    batch = _batch(run.train, CHANGED)
    held = _Held()
    with held:
        changed(run, batch, 0)
    return held.most / CHANGED


@final
class _Held(TorchFunctionMode):
    """Counts what the results of torch's functions hold at once.

    Attributes:
        most: bytes of distinct storages.
    """

    def __init__(self) -> None:
        super().__init__()
        self.most: int = 0
        self._results: list[weakref.ref[Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        tensors = [x for x in (found if isinstance(found, (tuple, list)) else [found]) if isinstance(x, Tensor)]
        self._results = [ref for ref in self._results if ref() is not None] + [weakref.ref(x) for x in tensors]
        storages = [x.untyped_storage() for ref in self._results if (x := ref()) is not None]
        self.most = max(self.most, sum({each.data_ptr(): each.nbytes() for each in storages}.values()))
        return found


def _steps(run: Run, config: Config, size: int) -> bool:
    """Tell whether one step on so many samples fits, by taking it."""
    try:
        with worded_out_of_memory(config), worded_norms(config):
            learn(run, _batch(run.train, size), _state(run, size))
    except OutOfMemoryError:
        return False
    finally:
        run.unread.clear()
        gc.collect()
        if run.device.type == "cuda":
            torch.cuda.empty_cache()  # pragma: no cover - needs a GPU
    return True


def _state(run: Run, size: int) -> TrainState:
    run.micro_batch = size
    run.model.train()
    return TrainState(1, sums=run.metrics.zero(run.device))


def _batch(batches: Batches, size: int) -> Batch:
    """Return so many samples, the longest there are: a batch of them needs the most."""
    is_read = batches.samples.files is not None
    part = batches.longest(min(size, MOST_DECODED) if is_read else size)
    rows = torch.arange(size, device=part.target.device) % len(part)
    inputs = tuple(x[rows.to(x.device)] for x in part.inputs)
    return replace(
        part, inputs=inputs, target=part.target[rows], weight=part.weight[rows], index=part.index[rows.cpu()]
    )
