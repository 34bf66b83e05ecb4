"""Samples as tensors on the device, cut into batches in an order that depends on seed and epoch alone."""

# B samples a batch, N samples in all

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from nnkit.data.preprocess import Preprocess
from nnkit.data.source import Rows, Source
from nnkit.seeding import derive

# Samples are gathered in blocks of about this size, so that a step costs no gather and a shuffled copy costs no memory.
BLOCK_BYTES = 4 << 20

Prepare = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: the model's arguments, each (B, …) float32.
        target: class numbers (B,) int64, or values (B, K) float32.
        weight: (B,) float32, how much each sample counts.
        index: (B,) int64, the samples' places in their part.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor
    index: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.target)

    def rows(self, start: int, stop: int) -> Batch:
        """Return the samples from `start` to `stop`, as views."""
        return Batch(
            tuple(x[start:stop] for x in self.inputs),
            self.target[start:stop],
            self.weight[start:stop],
            self.index[start:stop],
        )


@final
@dataclass(frozen=True, slots=True)
class Samples:
    """One part of the data, whole, on the device.

    Attributes:
        inputs: each (N, …), float32, or uint8 for images that are scaled when they are used.
        target: (N,) int64 or (N, K) float32.
        weight: (N,) float32.
        prepare: from stored inputs to the model's; None where they are stored as the model takes them.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor
    prepare: Prepare | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.target)


def encode(source: Source, rows: Rows, preprocess: Preprocess, device: torch.device) -> Samples:
    """Return the rows as tensors: floats are scaled once, bytes stay bytes until a batch is made of them."""
    inputs, later = [], []
    for x, scale in zip(source.inputs, preprocess.inputs, strict=True):
        stored = torch.from_numpy(x[rows])
        is_bytes = stored.dtype == torch.uint8
        inputs.append((stored if is_bytes or scale is None else scale.apply(stored)).to(device))
        later.append(scale.apply if is_bytes and scale is not None else torch.Tensor.float if is_bytes else None)
    target = torch.from_numpy(source.target[rows])
    if not source.classes:
        target = target.float() if preprocess.target is None else preprocess.target.apply(target)

    def prepare(stored: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(x if f is None else f(x) for x, f in zip(stored, later, strict=True))

    weight = torch.ones(len(rows), device=device)
    return Samples(tuple(inputs), target.to(device), weight, prepare if any(later) else None)


def spans(total: int, size: int, *, drop_last: bool = False) -> list[tuple[int, int]]:
    """Cut `total` rows into stretches of `size`; a last stretch of a single row joins the one before it.

    Batch normalisation cannot work on one sample, and leaving it out would be a silent loss of data.
    """
    cut = [(start, min(start + size, total)) for start in range(0, total, size)]
    last = cut[-1]
    if last[1] - last[0] == size or len(cut) == 1:
        return cut
    if drop_last:
        return cut[:-1]
    if last[1] - last[0] == 1 and size > 1:
        return [*cut[:-2], (cut[-2][0], total)]
    return cut


@final
class Batches:
    """The batches of one part, epoch by epoch."""

    def __init__(self, samples: Samples, *, size: int, shuffle: bool, drop_last: bool, seed: int) -> None:
        """Cut the samples into batches.

        Args:
            samples: the part.
            size: samples a batch.
            shuffle: whether each epoch has an order of its own.
            drop_last: whether an incomplete last batch is left out.
            seed: of the order.
        """
        self.samples = samples
        self.spans = spans(len(samples), size, drop_last=drop_last)
        self._shuffle = shuffle
        self._seed = seed
        row_bytes = sum(x.element_size() * x[0].numel() * (4 if x.dtype == torch.uint8 else 1) for x in samples.inputs)
        self._steps_a_block = max(1, BLOCK_BYTES // max(1, row_bytes * size))

    def __len__(self) -> int:
        """The number of batches an epoch."""
        return len(self.spans)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of one epoch.

        Args:
            number: of the epoch, from 0; with the seed it fixes the order.
            first_step: how many batches to leave out at the start, for a run that goes on in mid-epoch.
        """
        order, size = self._order(number), self._steps_a_block
        # Blocks start where they always do: a matrix product's last bits depend on where in memory its rows lie.
        for first in range(first_step // size * size, len(self.spans), size):
            cut = self.spans[first : first + size]
            start, stop = cut[0][0], cut[-1][1]
            block = self._gather(order, start, stop)
            for begin, end in cut[max(0, first_step - first) :]:
                yield block.rows(begin - start, end - start)

    def _order(self, number: int) -> Tensor:
        device = self.samples.target.device
        if not self._shuffle:
            return torch.arange(len(self.samples), device=device)
        generator = torch.Generator().manual_seed(derive(self._seed, "order", number))
        return torch.randperm(len(self.samples), generator=generator).to(device)

    def _gather(self, order: Tensor, start: int, stop: int) -> Batch:
        samples, index = self.samples, order[start:stop]
        if self._shuffle:
            inputs = tuple(x.index_select(0, index) for x in samples.inputs)
            target, weight = samples.target.index_select(0, index), samples.weight.index_select(0, index)
        else:
            inputs = tuple(x[start:stop] for x in samples.inputs)
            target, weight = samples.target[start:stop], samples.weight[start:stop]
        return Batch(samples.prepare(inputs) if samples.prepare else inputs, target, weight, index)
