"""Sequences of one length or of many, cut out of shared steps: windows of a series, lines of text, spoken vowels."""

# S steps in all, N sequences, C channels

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Rows = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Sequences:
    """N sequences, each a stretch of the steps; stretches may overlap, as windows of a series do.

    Attributes:
        values: (S, C) float32, or numbers of words or classes (S,) int32.
        starts: (N,) where each sequence starts among the steps.
        lengths: (N,) how many steps it has, at least 1.
        words: the words by number, where the values are such; of a part of the sequences, not all of them occur.
        part_of: (N,) the long sequence that each one is cut from, so that one can go on where the one before it ended;
            None where each stands for itself.
    """

    values: Array
    starts: Rows
    lengths: Rows
    words: tuple[str, ...] = ()
    part_of: Rows | None = None

    @classmethod
    def of(cls, items: Sequence[Array], words: tuple[str, ...] = ()) -> Sequences:
        """Return arrays (T, C) or (T,), one a sequence, side by side."""
        lengths = np.array([len(item) for item in items], np.int64)
        return cls(np.concatenate(items), np.cumsum(lengths) - lengths, lengths, words)

    @classmethod
    def cut(cls, values: Array, lengths: Rows | None = None) -> Sequences:
        """Return the first steps of each row of an array (N, T, …), as many as its length; None for all of them."""
        num, longest = values.shape[:2]
        steps = np.ascontiguousarray(values).reshape(num * longest, *values.shape[2:])
        whole = np.full(num, longest, np.int64) if lengths is None else lengths
        return cls(steps, np.arange(num, dtype=np.int64) * longest, whole).compact()

    def __len__(self) -> int:
        """N."""
        return len(self.starts)

    def __getitem__(self, rows: Rows | slice) -> Sequences:
        """Return these sequences, on the same steps."""
        part_of = None if self.part_of is None else self.part_of[rows]
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows], part_of=part_of)

    def __iter__(self) -> Iterator[Array]:
        """Yield the steps of each sequence, (T, C) or (T,)."""
        for start, length in zip(self.starts.tolist(), self.lengths.tolist(), strict=True):
            yield self.values[start : start + length]

    @property
    def longest(self) -> int:
        """The number of steps of the longest one."""
        return int(self.lengths.max())

    @property
    def is_even(self) -> bool:
        """Whether all have one length."""
        return bool((self.lengths == self.lengths[0]).all())

    @property
    def follows(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each sequence goes on where the one before it ended."""
        found = np.zeros(len(self), bool)
        if self.part_of is not None:
            ends = self.starts[:-1] + self.lengths[:-1]
            found[1:] = (self.part_of[1:] == self.part_of[:-1]) & (self.starts[1:] == ends)
        return found

    def covered(self) -> npt.NDArray[np.bool_]:
        """Return which steps (S,) belong to a sequence."""
        edges = np.zeros(len(self.values) + 1, np.int64)
        np.add.at(edges, self.starts, 1)
        np.add.at(edges, self.starts + self.lengths, -1)
        found: npt.NDArray[np.bool_] = np.cumsum(edges[:-1]) > 0
        return found

    def compact(self) -> Sequences:
        """Return the same sequences on the steps alone that they cover."""
        used = self.covered()
        if used.all():
            return self
        places = np.cumsum(used) - 1
        return replace(self, values=self.values[used], starts=places[self.starts].astype(np.int64))

    def arrays(self) -> Iterator[tuple[str, Array]]:
        """Yield what the sequences are made of, by name, for a fingerprint."""
        if self.words:
            yield "words", np.frombuffer("\0".join(self.words).encode(), np.uint8)
        yield from (("values", self.values), ("starts", self.starts), ("lengths", self.lengths))
        if self.part_of is not None:
            yield "part_of", self.part_of
