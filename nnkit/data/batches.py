"""Samples as tensors on the device, cut into batches in an order that depends on seed and epoch alone."""

# B samples a batch, N samples in all

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import torch
from torch import Tensor

from nnkit.data.dense import pixel_counts, pixels_that_count
from nnkit.data.frame import Frame
from nnkit.data.order import continuing, shuffled_by_length, streams
from nnkit.data.preprocess import Preprocess
from nnkit.data.ragged import Ragged
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source
from nnkit.data.tokens import encode_tokens
from nnkit.seeding import derive

if TYPE_CHECKING:
    from nnkit.data.stream import ImageFiles

# Samples are gathered in blocks of about this size, so that a step costs no gather and a shuffled copy costs no memory.
BLOCK_BYTES = 4 << 20

Order = Literal["plain", "by_length", "streams"]
Prepare = Callable[[tuple[Any, ...]], tuple[Tensor, ...]]


@final
@dataclass(frozen=True, slots=True)
class Mixed:
    """The other half of samples that are mixed: what else they are to answer, (B, …), and how much it counts, (B,)."""

    target: Tensor
    weight: Tensor


@final
@dataclass(frozen=True, slots=True)
class Batch:
    """What one step sees.

    Attributes:
        inputs: the model's arguments, each (B, …) float32, categories and tokens int32, lengths int64.
        target: class numbers (B,) int64, or values (B, K) float32; class numbers (B, T) where each step has one,
            (B, H, W) where each pixel has one, and values (B, H, K) for a forecast.
        weight: (B,) float32, how much each sample counts; (B, T) where each step has a class, 0 behind the end;
            (B, H, W) where each pixel has one, 0 where it does not count.
        index: (B,) int64, the samples' places in their part.
        continues: (B,) bool, which samples go on where those of the batch before ended; None where nothing is carried.
        mixed: the other half, where each sample is a mixture of two; `weight` counts the first one then.
    """

    inputs: tuple[Tensor, ...]
    target: Tensor
    weight: Tensor
    index: Tensor
    continues: Tensor | None = None
    mixed: Mixed | None = None

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
            None if self.continues is None else self.continues[start:stop],
            None if self.mixed is None else Mixed(self.mixed.target[start:stop], self.mixed.weight[start:stop]),
        )


@final
@dataclass(frozen=True, slots=True)
class Samples:
    """One part of the data, whole, on the device.

    Attributes:
        inputs: each (N, …), float32, uint8 for images that are scaled when they are used, or int32 for categories; or N
            sequences, which are gathered when they are used.
        target: (N,) int64 or (N, K) float32, or N sequences of either; (N, H, W) uint8 where each pixel has a class.
        weight: (N,) float32.
        prepare: from stored inputs to the model's; None where they are stored as the model takes them.
        row_bytes: of a sample as the model takes it; 0 where it is stored so.
        files: the pictures, where they are read while training; `inputs` is empty then.
        follows: (N,) bool, on the CPU, which samples go on where the one before them ended; None but for sequences.
    """

    inputs: tuple[Tensor | Ragged, ...]
    target: Tensor | Ragged
    weight: Tensor
    prepare: Prepare | None = None
    row_bytes: int = 0
    files: ImageFiles | None = None
    follows: Tensor | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.target)

    @property
    def device(self) -> torch.device:
        """Where the samples are."""
        return self.weight.device

    @property
    def lengths(self) -> Tensor | None:
        """(N,) the steps of each sequence, on the CPU, where they vary; None where nothing does."""
        varying = [x.lengths for x in (*self.inputs, self.target) if isinstance(x, Ragged) and not x.is_even]
        return varying[0] if varying else None

    def class_counts(self, num_classes: int) -> Tensor:
        """Return how often each class occurs, (C,) float32, samples by their weights; of steps, or pixels."""
        target, weight = self.target, self.weight
        if isinstance(target, Tensor) and target.dim() == 3:
            return pixel_counts(target, weight, num_classes)
        if isinstance(target, Ragged):
            weight = weight.repeat_interleave(target.lengths.to(weight.device))
            target = target.flat()
        return torch.bincount(target, weight, minlength=num_classes).float()


def encode(source: Source, rows: Rows, preprocess: Preprocess, device: torch.device) -> Samples:
    """Return the rows as tensors: floats are scaled once, bytes and buckets wait until a batch is made of them."""
    files = next((x for x in source.inputs if not isinstance(x, (np.ndarray, Frame, Sequences))), None)
    taken = _taken(source, rows)
    stored = () if files is not None else tuple(t for part in preprocess.store(taken) for t in part)
    weight = torch.ones(len(rows)) if source.weight is None else torch.from_numpy(source.weight[rows])
    return Samples(
        tuple(x.to(device) for x in stored),
        _encoded_target(source, rows, preprocess).to(device),
        weight.to(device),
        preprocess.prepare,
        sum(math.prod(given.shape) * 4 for given in preprocess.spec.inputs),
        None if files is None else files[rows],
        torch.from_numpy(taken[0].follows) if isinstance(taken[0], Sequences) else None,
    )


def _encoded_target(source: Source, rows: Rows, preprocess: Preprocess) -> Tensor | Ragged:
    """Return the target of the rows, scaled; of a language, the numbers of the next tokens."""
    if isinstance(source.target, Sequences):
        ahead = source.target[rows].compact()
        if source.task == "language":
            encoder = preprocess.sequences
            assert encoder is not None
            return Ragged.of(ahead, torch.from_numpy(encode_tokens(ahead, encoder.vocabulary)).long())
        values = torch.from_numpy(ahead.values)
        if source.task == "forecast":
            values = values.float() if preprocess.target is None else preprocess.target.apply(values)
        return Ragged.of(ahead, values)
    target = torch.from_numpy(source.target[rows])
    if source.classes:
        return target
    return target.float() if preprocess.target is None else preprocess.target.apply(target)


def _taken(source: Source, rows: Rows) -> list[Any]:
    return [x[rows] for x in source.inputs]


def spans(total: int, size: int, *, drop_last: bool = False) -> list[tuple[int, int]]:
    """Cut `total` rows into stretches of `size`; a last stretch of a single row joins the one before it.

    Batch normalisation cannot work on one sample, and leaving it out would be a silent loss of data.
    """
    cut = [(start, min(start + size, total)) for start in range(0, total, size)]
    if not cut:
        return []
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

    def __init__(self, batches: Generator[Batch, None, None], place: tuple[int, int]) -> None:
        self._batches, self.place = batches, place

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch = next(self._batches)
        self.place = (self.place[0], self.place[1] + 1)
        return batch

    def close(self) -> None:
        """End what reads it, whoever else still holds it: the traceback of an error, say."""
        self._batches.close()


@final
class Batches:
    """The batches of one part, epoch by epoch.

    Attributes:
        samples: the part.
        spans: where each batch begins and ends, in the order of the epoch.
        size: samples a batch.
        is_stream: whether each place of a batch goes through a stretch of the samples.
    """

    def __init__(
        self,
        samples: Samples,
        *,
        size: int,
        shuffle: bool,
        drop_last: bool,
        seed: int,
        order: Order = "plain",
        chances: Tensor | None = None,
        workers: int | None = 0,
        worker_timeout_s: float | None = None,
    ) -> None:
        """Cut the samples into batches.

        Args:
            samples: the part.
            size: samples a batch.
            shuffle: whether each epoch has an order of its own.
            drop_last: whether an incomplete last batch is left out.
            seed: of the order.
            order: by_length, with sequences that vary: batches of like lengths, sorted where nothing is shuffled;
                streams: each place of a batch goes through a stretch of the samples, and is told where it continues.
            chances: (N,) how likely each sample is drawn; an epoch is then N draws with replacement. None takes each
                sample once.
            workers: processes that read pictures, where they are read while training; None as `stream_batches` has it.
            worker_timeout_s: how long they may take for a batch, in seconds; None as `stream_batches` has it.
        """
        self.samples = samples
        self.spans = spans(len(samples), size, drop_last=drop_last)
        self._shuffle = shuffle or chances is not None
        self.size, self._seed = size, seed
        self.is_stream = order == "streams"
        self._lengths = samples.lengths
        self._by_length = order == "by_length" and self._lengths is not None
        self._chances = chances
        self._workers = workers
        self._patience = {} if worker_timeout_s is None else {"timeout_s": worker_timeout_s}
        self._open: _OpenEpoch | None = None
        stored = sum(x.element_size() * math.prod(x.shape[1:]) for x in samples.inputs if isinstance(x, Tensor))
        row_bytes = max(samples.row_bytes, stored)
        # A batch of sequences that vary is as long as its own longest one, so it is a block of its own.
        is_own = self._lengths is not None or self.is_stream
        self._steps_a_block = 1 if is_own else max(1, BLOCK_BYTES // max(1, row_bytes * size))

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

    def close(self) -> None:
        """End the processes that read ahead, of an epoch that was left in its middle."""
        if self._open is not None:
            self._open.close()
        self._open = None

    def longest(self, size: int) -> Batch:
        """Return so many samples as one batch: the longest ones; the first ones where all are alike."""
        everywhere = torch.arange(len(self.samples))
        order = everywhere if self._lengths is None else self._lengths.argsort(descending=True, stable=True)
        return next(self._blocks(order, [(0, min(size, len(self.samples)))]))

    def _epoch(self, number: int, first_step: int) -> Generator[Batch, None, None]:
        size = self._steps_a_block
        # Blocks start where they always do: a matrix product's last bits depend on where in memory its rows lie.
        firsts = range(first_step // size * size, len(self.spans), size)
        cuts = [self.spans[first : first + size] for first in firsts]
        with closing(self._blocks(self._order(number), [(cut[0][0], cut[-1][1]) for cut in cuts])) as blocks:
            for first, cut, block in zip(firsts, cuts, blocks, strict=True):
                for begin, end in cut[max(0, first_step - first) :]:
                    yield block.rows(begin - cut[0][0], end - cut[0][0])

    def _order(self, number: int) -> Tensor | None:
        """Return in which order (N,) the samples are seen, on the CPU; None for that of the data."""
        if self.is_stream:
            return streams(len(self.samples), self.size)
        if not self._shuffle:
            return self._lengths.argsort(stable=True) if self._by_length and self._lengths is not None else None
        generator = torch.Generator().manual_seed(derive(self._seed, "order", number))
        if self._chances is not None:
            return _drawn(self._chances, generator)
        if self._by_length and self._lengths is not None:
            return shuffled_by_length(self._lengths, self.size, generator)
        return torch.randperm(len(self.samples), generator=generator)

    def _blocks(self, order: Tensor | None, stretches: list[tuple[int, int]]) -> Generator[Batch, None, None]:
        """Yield the samples of each stretch of the order."""
        samples = self.samples
        streamed: Any = repeat(None) if samples.files is None else self._streamed(samples.files, order, stretches)
        with nullcontext(streamed) if samples.files is None else closing(streamed) as read:
            for pictures, (start, stop) in zip(read, stretches, strict=False):
                places = slice(start, stop) if order is None else order[start:stop]
                inputs = _at(samples.inputs, places) if pictures is None else (pictures,)
                target, weight = _at((samples.target, samples.weight), places)
                if isinstance(target, Ragged):
                    target, weight = _padded(target, weight)
                elif target.dim() == 3:
                    target, weight = pixels_that_count(target, weight)
                index = torch.arange(start, stop) if order is None else order[start:stop]
                given = samples.prepare(inputs) if samples.prepare else inputs
                yield Batch(given, target, weight, index, self._continuing(order, (start, stop)))

    def _continuing(self, order: Tensor | None, cut: tuple[int, int]) -> Tensor | None:
        if order is None or not self.is_stream or self.samples.follows is None:
            return None
        place = cut[0] // self.size
        before = self.spans[place - 1] if place else None
        return continuing(order, self.samples.follows, cut, before).to(self.samples.device)

    def _streamed(
        self, files: ImageFiles, order: Tensor | None, stretches: list[tuple[int, int]]
    ) -> Generator[Tensor, None, None]:
        from nnkit.data.stream import stream_batches  # its loader costs a start

        rows = torch.arange(len(self.samples)) if order is None else order
        lists = [rows[start:stop].tolist() for start, stop in stretches]
        with closing(stream_batches(files, lists, num_workers=self._workers, **self._patience)) as batches:
            for pictures in batches:
                yield pictures.to(self.samples.device)


def _at(stored: tuple[Any, ...], places: slice | Tensor) -> tuple[Any, ...]:
    """Return what is stored at some places: of tensors views where they lie side by side, else copies."""
    if isinstance(places, slice):
        return tuple(x[places] for x in stored)
    return tuple(x.index_select(0, places.to(x.device) if isinstance(x, Tensor) else places) for x in stored)


def _padded(target: Ragged, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return a batch's target for each step, and with classes the weight of each step."""
    if target.values.dim() > 1:
        return target.padded(), weight
    inside = weight[:, None].expand(-1, int(target.lengths.max()))
    return target.padded(), inside if target.is_even else inside * target.mask()


def balanced_chances(target: Tensor) -> Tensor:
    """Return how likely each sample (N,) is drawn, so that each class (N,) int64 is drawn equally often."""
    return 1 / torch.bincount(target).clamp_min(1)[target].double()


def _drawn(chances: Tensor, generator: torch.Generator) -> Tensor:
    """Return N draws with replacement, by inversion: torch.multinomial takes at most 2**24 categories."""
    up_to = chances.cpu().cumsum(0)
    points = torch.rand(len(up_to), generator=generator, dtype=torch.float64) * up_to[-1]
    return torch.searchsorted(up_to, points).clamp_max(len(up_to) - 1)
