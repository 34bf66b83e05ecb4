"""One look at each column: what it holds, some of its values, and its share of a number that tells equal rows."""

# N rows, n sampled rows, F features, C channels, T time

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.data.frame import Column
from nnkit.data.split import Splits
from nnkit.spec import InputSpec

Array = npt.NDArray[Any]
SAMPLED_VALUES = 20_000_000  # of long rows, fewer are sampled
CHUNK = 1 << 17  # values that are hashed at once: they stay in the processor's cache
MOST_TOLD = 5
_AXES = {"features": (0,), "series": (0, 1), "image": (0, 2, 3)}  # all but the one of features or channels
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)  # of splitmix64


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnFacts:
    """One column of a table, one feature of an array, or one channel of series and pictures.

    Attributes:
        name: of the column.
        kind: numeric, boolean, date, categorical, series, image; text or unread for some that were left out.
        role: what it is for.
        missing: cells without a value; None where it was not read.
        infinite: cells that are infinite: none, or the data would have been refused.
        distinct: different values among the `distinct_of` rows that were looked at.
        distinct_of: how many rows these are.
        constant: whether all cells hold one and the same value.
        low: the smallest value; a date as text.
        high: the largest value.
        mean: of the values that are there.
        top: the most frequent categories, with their counts.
        left_out: why it is no feature; empty for those that are.
    """

    name: str
    kind: str
    role: Literal["feature", "target", "left out"] = "feature"
    missing: int | None = None
    infinite: int = 0
    distinct: int | None = None
    distinct_of: int | None = None
    constant: bool = False
    low: float | str | None = None
    high: float | str | None = None
    mean: float | str | None = None
    top: tuple[tuple[str, int], ...] = ()
    left_out: str = ""


@final
@dataclass(frozen=True, slots=True)
class Looked:
    """A column with some of its values.

    Attributes:
        facts: what it holds.
        sampled: (n,) values of the sampled rows, or fewer of them; None where there are none to compare.
        whole: (N,) a view of all values, for a column of numbers.
        unseen: cells of each part with a category that training has not.
        leak: how well it alone predicts the target, where that is suspiciously well.
        is_id: whether it names the rows.
    """

    facts: ColumnFacts
    sampled: Array | None = None
    whole: Array | None = None
    unseen: dict[str, int] = field(default_factory=dict)
    leak: float | None = None
    is_id: bool = False


@final
class RowHashes:
    """A 64-bit number a row, to which each column adds its share: rows that are equal in all columns share it.

    Two of a million rows that differ share it with a chance of about one in 30 million.
    """

    def __init__(self, num_rows: int, seed: int) -> None:
        """Start with no column."""
        self.values = np.zeros(num_rows, np.uint64)
        self._rng = np.random.default_rng(seed)

    def keys(self, num: int) -> Array:
        """Return (num,) uint64: equal values in different columns must not count as equal."""
        return self._rng.integers(0, 1 << 64, num, dtype=np.uint64)

    def add_column(self, column: Array) -> None:
        """Add (N,) numbers of one column."""
        key = self.keys(1)
        for start in range(0, len(column), CHUNK):
            rows = slice(start, start + CHUNK)
            self.values[rows] += _mixed(_words(column[rows, None]), key)[:, 0]

    def add_rows(self, start: int, chunk: Array, keys: Array) -> None:
        """Add rows of an array, (n, …), the first of which is number `start`; a key for each of its words."""
        words = _words(chunk.reshape(len(chunk), -1))
        self.values[start : start + len(chunk)] += _mixed(words, keys[: words.shape[1]]).sum(axis=1)


def _words(values: Array) -> Array:
    """Return (n, W) uint64 that are equal where values (n, D) are: one word a number, or one for eight bytes."""
    if values.dtype == np.uint8:
        padded = -values.shape[1] % 8
        whole = np.pad(values, ((0, 0), (0, padded))) if padded else np.ascontiguousarray(values)
        return whole.view(np.uint64).copy()
    if values.dtype.kind == "f":
        values = values + values.dtype.type(0)  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # there are many
        return values.view(np.uint32 if values.itemsize == 4 else np.uint64).astype(np.uint64)
    return values.astype(np.int64).view(np.uint64)


def _mixed(words: Array, keys: Array) -> Array:
    """Return words whose every bit depends on all bits of the given ones, which are overwritten."""
    words += keys
    words *= _FIRST
    words ^= words >> np.uint64(32)
    words *= _SECOND
    words ^= words >> np.uint64(29)
    return words


def look_at_column(column: Column, splits: Splits, sample: Array) -> Looked:
    """Look at a column of a table.

    Args:
        column: of N rows.
        splits: the parts.
        sample: (n,) numbers of the rows to keep values of.
    """
    if column.kind == "categorical":
        return _look_at_categories(column, splits, sample)
    values, sampled = column.values, column.values[sample]
    present = sampled[~np.isnan(sampled)]
    total = float(values.sum(dtype=np.float64))
    missing = int(np.count_nonzero(np.isnan(values))) if math.isnan(total) else 0
    there = len(values) - missing
    low = high = mean = None
    if there:
        low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
        mean = (float(np.nansum(values, dtype=np.float64)) if missing else total) / there
    facts = ColumnFacts(
        name=column.name,
        kind=column.kind,
        missing=missing,
        distinct=len(np.unique(present)),
        distinct_of=len(sample),
        constant=there > 0 and missing == 0 and low == high,
        low=low,
        high=high,
        mean=mean,
    )
    if column.kind == "date":
        facts = replace(facts, low=_date(low), high=_date(high), mean=None if mean is None else _date(round(mean)))
    return Looked(facts, sampled, values)


def _date(days: float | None) -> str | None:
    return None if days is None else str(np.datetime64(round(days * 86_400), "s")).removesuffix("T00:00:00")


def _look_at_categories(column: Column, splits: Splits, sample: Array) -> Looked:
    size = len(column.categories)
    of_part = [
        np.bincount(column.values[rows] + 1, minlength=size + 1) for rows in (splits.train, splits.val, splits.test)
    ]
    counts = of_part[0] + of_part[1] + of_part[2]  # the first one counts the missing cells
    occurring = np.flatnonzero(counts[1:])
    order = np.argsort(-counts[1:], kind="stable")[: min(MOST_TOLD, len(occurring))]
    facts = ColumnFacts(
        name=column.name,
        kind=column.kind,
        missing=int(counts[0]),
        distinct=len(occurring),
        distinct_of=len(column.values),
        constant=not counts[0] and len(occurring) == 1,
        top=tuple((column.categories[k], int(counts[1 + k])) for k in order[:MOST_TOLD]),
    )
    new = of_part[0][1:] == 0
    unseen = {name: int(part[1:][new].sum()) for name, part in zip(("val", "test"), of_part[1:], strict=True)}
    return Looked(facts, column.values[sample], unseen=unseen)


def look_at_array(x: Any, spec: InputSpec, sample: Array, hashes: RowHashes) -> Iterator[Looked]:
    """Look at an array, chunk by chunk: features one by one, of series and pictures the channels.

    Args:
        x: (N, F), (N, T, C) or (N, C, H, W), float32 or uint8; what is no array is not opened.
        spec: its kind.
        sample: (n,) numbers of the rows to keep values of; of series and pictures, that is each channel's mean.
        hashes: gets the share of the rows.
    """
    if not isinstance(x, np.ndarray):
        yield Looked(ColumnFacts(name=spec.name, kind=spec.kind))
        return
    low, high, mean = _limits(x, _AXES[spec.kind], hashes)
    fewer = sample[: max(1, SAMPLED_VALUES // math.prod(x.shape[1:]))]
    sampled = x[fewer] if spec.kind == "features" else x[fewer].mean(axis=_AXES[spec.kind][1:], dtype=np.float64)
    for k in range(len(low)):
        is_feature = spec.kind == "features"
        facts = ColumnFacts(
            name=f"{spec.name}[{k}]" if len(low) > 1 else spec.name,
            kind="numeric" if is_feature else spec.kind,
            missing=0,
            distinct=len(np.unique(sampled[:, k])) if is_feature else None,
            distinct_of=len(fewer) if is_feature else None,
            constant=bool(low[k] == high[k]),
            low=float(low[k]),
            high=float(high[k]),
            mean=float(mean[k]),
        )
        yield Looked(facts, sampled[:, k], x[:, k] if is_feature else None)


def _limits(x: Array, axes: tuple[int, ...], hashes: RowHashes) -> tuple[Array, Array, Array]:
    """Return minimum, maximum and mean along axes, and hash the rows on the way: each is read once."""
    width = math.prod(x.shape[1:])
    keys = hashes.keys(width)
    lows, highs, total = [], [], 0.0
    step = max(1, CHUNK // width)
    for start in range(0, len(x), step):
        chunk = np.asarray(x[start : start + step])
        lows.append(chunk.min(axis=axes))
        highs.append(chunk.max(axis=axes))
        total = total + chunk.sum(axis=axes, dtype=np.float64)
        hashes.add_rows(start, chunk, keys)
    count = x.size / np.size(total)
    return np.min(lows, axis=0), np.max(highs, axis=0), np.asarray(total) / count
