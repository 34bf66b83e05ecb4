"""A table in memory: one array a column, each with its kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

ColumnKind = Literal["numeric", "boolean", "date", "categorical"]


@final
@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes:
        name: as in the header.
        kind: numeric, boolean (0 or 1), date (days since 1970-01-01, with a fraction), or categorical.
        values: (N,) float32 or float64, NaN where missing; categorical: (N,) int32, the category's number, -1 where
            missing.
        categories: the names behind the numbers; empty for other kinds.
    """

    name: str
    kind: ColumnKind
    values: npt.NDArray[Any]
    categories: tuple[str, ...] = ()

    def missing(self) -> npt.NDArray[np.bool_]:
        """Return (N,) where the cell is missing."""
        found: npt.NDArray[np.bool_] = self.values < 0 if self.kind == "categorical" else np.isnan(self.values)
        return found


@final
@dataclass(frozen=True, slots=True)
class Frame:
    """Columns of equal length; indexing by rows gives the frame of these rows."""

    columns: tuple[Column, ...]
    _by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make columns found by name, however many there are."""
        object.__setattr__(self, "_by_name", {column.name: column for column in self.columns})

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.columns[0].values) if self.columns else 0

    def __getitem__(self, rows: Any) -> Frame:
        """Return the frame of some rows: a slice, row numbers, or a mask."""
        return Frame(tuple(replace(column, values=column.values[rows]) for column in self.columns))

    def column(self, name: str) -> Column:
        """Return the column of that name. Raises: KeyError."""
        return self._by_name[name]

    def arrays(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield what makes the frame what it is, for its fingerprint."""
        for column in self.columns:
            yield f"{column.name}:{column.kind}:{'|'.join(column.categories)}", column.values


def joined(frames: Sequence[Frame]) -> Frame:
    """Return the rows of frames that have the same columns, one after the other."""
    if len(frames) == 1:
        return frames[0]
    return Frame(tuple(_joined(parts) for parts in zip(*(f.columns for f in frames), strict=True)))


def _joined(parts: tuple[Column, ...]) -> Column:
    first = parts[0]
    if first.kind != "categorical":
        return replace(first, values=np.concatenate([p.values for p in parts]))
    numbers: dict[str, int] = {}
    values = []
    for part in parts:
        for name in part.categories:
            numbers.setdefault(name, len(numbers))
        values.append(translated(part, numbers, absent=-1))
    return replace(first, values=np.concatenate(values), categories=tuple(numbers))


def translated(column: Column, numbers: dict[str, int], *, absent: int, missing: int = -1) -> npt.NDArray[np.int32]:
    """Return a categorical column's values in another numbering.

    Args:
        column: categorical.
        numbers: the new number of each category.
        absent: for categories that have none.
        missing: for missing cells.
    """
    table = np.array([*(numbers.get(name, absent) for name in column.categories), missing], dtype=np.int32)
    found: npt.NDArray[np.int32] = table[column.values]  # -1 finds the last entry
    return found
