"""Samples as tensors on the device, cut into batches in an order that depends on seed and epoch alone."""

# B samples a batch, N samples in all

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch import Tensor

from nnkit.data.frame import Frame
from nnkit.data.preprocess import Preprocess
from nnkit.data.source import Rows, Source
from nnkit.seeding import derive

if TYPE_CHECKING:
    from nnkit.data.stream import ImageFiles

# Samples are gathered in blocks of about this size, so that a step costs no gather and a shuffled copy costs no memory.
BLOCK_BYTES = 4 << 20

Prepare = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: the model's arguments, each (B, …) float32, categories int32.
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
        inputs: each (N, …), float32, uint8 for images that are scaled when they are used, or int32 for categories.
        target: (N,) int64 or (N, K) float32.
        weight: (N,) float32.
        prepare: from stored inputs to the model's; None where they are stored as the model takes them.
        row_bytes: of a sample as the model takes it; 0 where it is stored so.
        files: the pictures, where they are read while training; `inputs` is empty then.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor
    prepare: Prepare | None = None
    row_bytes: int = 0
    files: ImageFiles | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.target)


def encode(source: Source, rows: Rows, preprocess: Preprocess, device: torch.device) -> Samples:
    """Return the rows as tensors: floats are scaled once, bytes and buckets wait until a batch is made of them."""
    files = next((x for x in source.inputs if not isinstance(x, (np.ndarray, Frame))), None)
    stored = () if files is not None else tuple(t for part in preprocess.store(_taken(source, rows)) for t in part)
    target = torch.from_numpy(source.target[rows])
    if not source.classes:
        target = target.float() if preprocess.target is None else preprocess.target.apply(target)
    weight = torch.ones(len(rows)) if source.weight is None else torch.from_numpy(source.weight[rows])
    return Samples(
        tuple(x.to(device) for x in stored),
        target.to(device),
        weight.to(device),
        preprocess.prepare,
        sum(math.prod(given.shape) * 4 for given in preprocess.spec.inputs),
        None if files is None else files[rows],
    )


def _taken(source: Source, rows: Rows) -> list[Any]:
    return [x[rows] for x in source.inputs]


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
class _OpenEpoch:
    """An epoch that is being read, and knows where it stands, so that it goes on behind an event."""

    def __init__(self, batches: Iterator[Batch], place: tuple[int, int]) -> None:
        self._batches, self.place = batches, place

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self.place = (self.place[0], self.place[1] + 1)
        return batch


@final
class Batches:
    """The batches of one part, epoch by epoch."""

    def __init__(
        self,
        samples: Samples,
        *,
        size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        chances: Tensor | None = None,
        workers: int | None = 0,
    ) -> None:
        """Cut the samples into batches.

        Args:
            samples: the part.
            size: samples a batch.
            shuffle: whether each epoch has an order of its own.
            drop_last: whether an incomplete last batch is left out.
            seed: of the order.
            chances: (N,) how likely each sample is drawn; an epoch is then N draws with replacement. None takes each
                sample once.
            workers: processes that read pictures, where they are read while training; None as `stream_batches` has it.
        """
        self.samples = samples
        self.spans = spans(len(samples), size, drop_last=drop_last)
        self._shuffle = shuffle or chances is not None
        self._seed = seed
        self._chances = chances
        self._workers = workers
        self._open: _OpenEpoch | None = None
        row_bytes = max(samples.row_bytes, sum(x.element_size() * x[0].numel() for x in samples.inputs))
        self._steps_a_block = max(1, BLOCK_BYTES // max(1, row_bytes * size))

    def __len__(self) -> int:
        """The number of batches an epoch."""
        return len(self.spans)

    def epoch(self, number: int, first_step: int = 0) -> Iterator[Batch]:
        """Return the batches of one epoch, one after the other.

        Args:
            number: of the epoch, from 0; with the seed it fixes the order.
            first_step: how many batches to leave out at the start, for a run that goes on in mid-epoch.
        """
        if self.samples.files is None:
            return self._epoch(number, first_step)
        if self._open is None or self._open.place != (number, first_step):
            self._open = _OpenEpoch(self._epoch(number, first_step), (number, first_step))
        return self._open  # what its workers have read ahead of an event is not read again

    def _epoch(self, number: int, first_step: int) -> Iterator[Batch]:
        size = self._steps_a_block
        # Blocks start where they always do: a matrix product's last bits depend on where in memory its rows lie.
        firsts = range(first_step // size * size, len(self.spans), size)
        cuts = [self.spans[first : first + size] for first in firsts]
        blocks = self._blocks(self._order(number), [(cut[0][0], cut[-1][1]) for cut in cuts])
        for first, cut, block in zip(firsts, cuts, blocks, strict=True):
            for begin, end in cut[max(0, first_step - first) :]:
                yield block.rows(begin - cut[0][0], end - cut[0][0])

    def _order(self, number: int) -> Tensor:
        device = self.samples.target.device
        if not self._shuffle:
            return torch.arange(len(self.samples), device=device)
        generator = torch.Generator().manual_seed(derive(self._seed, "order", number))
        if self._chances is not None:
            return _drawn(self._chances, generator).to(device)
        return torch.randperm(len(self.samples), generator=generator).to(device)

    def _blocks(self, order: Tensor, stretches: list[tuple[int, int]]) -> Iterator[Batch]:
        """Yield the samples of each stretch of the order."""
        samples = self.samples
        read = repeat(None) if samples.files is None else self._streamed(samples.files, order, stretches)
        for pictures, (start, stop) in zip(read, stretches, strict=False):
            index = order[start:stop]
            inputs = self._taken(samples.inputs, start, stop, index) if pictures is None else (pictures,)
            target, weight = self._taken((samples.target, samples.weight), start, stop, index)
            yield Batch(samples.prepare(inputs) if samples.prepare else inputs, target, weight, index)

    def _taken(self, stored: tuple[Tensor, ...], start: int, stop: int, index: Tensor) -> tuple[Tensor, ...]:
        if self._shuffle:
            return tuple(x.index_select(0, index) for x in stored)
        return tuple(x[start:stop] for x in stored)

    def _streamed(self, files: ImageFiles, order: Tensor, stretches: list[tuple[int, int]]) -> Iterator[Tensor]:
        from nnkit.data.stream import stream_batches  # its loader costs a start

        lists = [order[start:stop].tolist() for start, stop in stretches]
        for pictures in stream_batches(files, lists, num_workers=self._workers):
            yield pictures.to(self.samples.target.device)


def balanced_chances(target: Tensor) -> Tensor:
    """Return how likely each sample (N,) is drawn, so that each class (N,) int64 is drawn equally often."""
    return 1 / torch.bincount(target).clamp_min(1)[target].double()


def _drawn(chances: Tensor, generator: torch.Generator) -> Tensor:
    """Return N draws with replacement, by inversion: torch.multinomial takes at most 2**24 categories."""
    up_to = chances.cpu().cumsum(0)
    points = torch.rand(len(up_to), generator=generator, dtype=torch.float64) * up_to[-1]
    return torch.searchsorted(up_to, points).clamp_max(len(up_to) - 1)
