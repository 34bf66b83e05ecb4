"""The file of a series: its columns of numbers and its times, row by row, with the line of each."""

# N rows

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.config.sections.data import MISSING_VALUES
from nnkit.config.sections.sequences import SeriesConfig
from nnkit.data.cells import Cells, has_decimal_commas
from nnkit.data.frame import ColumnKind
from nnkit.data.head import TextFormat
from nnkit.data.parquet import ParquetFile
from nnkit.data.source import Rows
from nnkit.data.tables import (
    BadCell,
    TableFile,
    bad_cells,
    inferred,
    missing_columns,
    names_of,
    open_table,
    place_of,
    read_batch,
)
from nnkit.data.times import Layout, Times, parse_times
from nnkit.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

MOST_TOLD = 20  # cells that are named in one message
FILL = "mend the file, or data.gaps=interpolate"
_NO_FRACTION = re.compile(r"\.0+(?=$|Z|[+-])")  # Parquet files have times to a part of a second, whether used or not


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """Rows of a series.

    Attributes:
        file: which they are from.
        rows: (N,) the number of each in the file, from 0; -1 for one that was filled in.
        times: (N,) datetime64[ns], or int64.
        columns: by name, (N,) float64, NaN for a cell that is missing.
        layout: how the times are written.
        filled: by name, (N,) which cells were filled in; empty where none was.
        num_bad: how many cells hold something else than a finite number; they are NaN.
        left_out: columns that are no numbers, with the reason.
        notes: what the user should know.
    """

    file: TableFile
    rows: Rows
    times: Times
    columns: Mapping[str, npt.NDArray[np.float64]]
    layout: Layout
    filled: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    num_bad: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        """N."""
        return len(self.times)

    def __getitem__(self, some: Any) -> Steps:
        """Return some rows: a slice, row numbers, or a mask."""
        columns = {name: values[some] for name, values in self.columns.items()}
        filled = {name: cells[some] for name, cells in self.filled.items()}
        return replace(self, rows=self.rows[some], times=self.times[some], columns=columns, filled=filled)

    def noting(self, note: str) -> Steps:
        """Return the rows with one more note."""
        return replace(self, notes=(*self.notes, note))

    def place(self, number: int) -> str:
        """Return file and line of a row."""
        return place_of(int(self.rows[number]), self.file)

    def time(self, number: int) -> str:
        """Return a row's time as it is written."""
        return self.layout.written(self.times[number : number + 1])[0]

    def missing(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return which cells (N, F) of some columns are missing."""
        return np.isnan(np.stack([self.columns[name] for name in names], axis=1))


def read_steps(
    path: Path, config: SeriesConfig, named: Sequence[str], *, others: Literal["infer", "leave"] = "leave"
) -> Steps:
    """Return the rows of a file, in its order.

    Args:
        path: a text file or a Parquet file.
        config: how it is written, and which column holds the times.
        named: columns that must be there, and hold numbers.
        others: whether other columns are taken where they hold numbers, or left alone.

    Raises:
        DataError: the file cannot be read, or a time of it, or, unless gaps are interpolated, a cell (with its line).
        ConfigError: a column that is named is not there.
    """
    form = TextFormat(delimiter=config.delimiter, encoding=config.encoding, missing_values=tuple(MISSING_VALUES))
    file = open_table(path, form)
    there = names_of(file)
    if absent := [name for name in dict.fromkeys([config.time, *named]) if name not in there]:
        raise missing_columns(absent, file)
    if others == "leave":
        file.unread = frozenset(there) - {config.time, *named}
    growing = _Growing(file, config.time, frozenset(named), tells_bad=config.gaps != "interpolate")
    with ThreadPoolExecutor(2) as threads:
        for batch in file.batches(skips_ragged=True):
            if file.ragged:
                break
            growing.add(batch, threads)
    if file.ragged:
        raise DataError(f"{file.name}, {file.ragged[0]}", hint="mend the line")
    return growing.steps()


@final
@dataclass(slots=True)
class _Growing:
    """The columns of a file that is being read.

    Attributes:
        file: as it was opened.
        time: the column of the times.
        named: columns that must hold numbers.
        tells_bad: whether a cell that is no number is an error.
        kinds: of all columns, once the first batch has been seen.
        left_out: columns that are no numbers, with the reason.
        num_rows: so far.
        num_bad: cells so far that are no number.
    """

    file: TableFile
    time: str
    named: frozenset[str]
    tells_bad: bool
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    num_rows: int = 0
    num_bad: int = 0
    _parts: dict[str, list[Any]] = field(default_factory=dict)
    _texts: dict[str, int] = field(default_factory=dict)  # the different times, by their numbers

    def add(self, batch: pa.RecordBatch, threads: ThreadPoolExecutor) -> None:
        """Take a batch. Raises: DataError."""
        if not self.kinds:
            self._decide(batch)
        try:
            found = read_batch(batch, self.kinds, self.file.form, threads)
        except DataError as error:
            raise DataError(f"{self.file.name}: {error}", hint="data.inputs=[…]") from error
        if not self.num_rows:
            self._refuse_text(found)
        bad = bad_cells(batch, found, self.kinds, frozenset({self.time}), self.num_rows)
        tell([cell for cell in bad if cell.column == self.time], self.file, "mend the file")
        if self.tells_bad:
            tell(bad, self.file, FILL)
        self.num_rows += batch.num_rows
        self.num_bad += len(bad)
        for name, cells in found.items():
            self._parts.setdefault(name, []).append(self._taken(name, cells))

    def _taken(self, name: str, cells: Cells) -> Any:
        if name == self.time:
            return np.array([self._texts.setdefault(text, len(self._texts)) for text in cells.categories])[cells.values]
        return cells.values if cells.bad is None else np.where(cells.bad, np.nan, cells.values)

    def _decide(self, batch: pa.RecordBatch) -> None:
        """Fix the kind of each column by its first values."""
        file = self.file
        for name in batch.schema.names:
            if name == self.time:
                self.kinds[name] = "categorical"
                continue
            if name in file.unnamed and name not in self.named:
                self.left_out[name] = "no name in the header"
                continue
            kind = inferred(batch.column(name), file.form)
            if kind in ("text", "categorical"):
                self._refuse_commas(name, batch.column(name))
            if kind == "numeric" or kind == "boolean":
                self.kinds[name] = kind
            elif name in self.named:
                self.kinds[name] = "numeric"
            else:
                words = {"date": "dates", "empty": f"no value in the first {batch.num_rows} rows"}
                self.left_out[name] = words.get(kind, "text")
        file.unread |= frozenset(self.left_out)
        file.numbers |= {name for name, kind in self.kinds.items() if kind == "numeric"}

    def _refuse_text(self, found: Mapping[str, Cells]) -> None:
        """Raise: DataError, for a column that is named, and of whose first cells most are no numbers."""
        for name in sorted(self.named & found.keys()):
            bad = found[name].bad
            if bad is not None and 2 * np.count_nonzero(bad) > len(bad):
                told = f"{self.file.name}: column {name} holds text, not numbers"
                raise DataError(told, hint="write it as numbers, such as 0 and 1, or do not name it as an input")

    def _refuse_commas(self, name: str, column: pa.Array) -> None:
        form = self.file.form
        if not has_decimal_commas(column, strip=form.strip, missing=form.missing_values):
            return
        row = next(i for i, text in enumerate(column.to_pylist()) if "," in str(text))
        told = f"{place_of(row, self.file)}, column {name}: '{column[row].as_py()}' is a number with a comma"
        raise DataError(told, hint="write numbers with a point")

    def steps(self) -> Steps:
        """Return all that was read. Raises: DataError where there is no row, or something that is no time."""
        if not self.num_rows:
            raise DataError(f"{self.file.name} holds no row", hint="is it the right file?")
        numbers = np.concatenate(self._parts.pop(self.time))
        texts = list(self._texts)
        if isinstance(self.file, ParquetFile):
            texts = [_NO_FRACTION.sub("", text) for text in texts]

        def place(number: int) -> str:
            return f"{place_of(int(np.argmax(numbers == number)), self.file)}, column {self.time}"

        parsed = parse_times(texts, place)
        notes = (parsed.note,) if parsed.note else ()
        columns = {
            name: np.concatenate(self._parts[name]).astype(np.float64) for name in self.kinds if name in self._parts
        }
        rows = np.arange(self.num_rows, dtype=np.int64)
        return Steps(
            self.file,
            rows,
            parsed.values[numbers],
            columns,
            parsed.layout,
            num_bad=self.num_bad,
            left_out=self.left_out,
            notes=notes,
        )


def tell(bad: Sequence[BadCell], file: TableFile, hint: str) -> None:
    """Raise a DataError that names the first of these cells, if there are any."""
    told = [cell.worded(file) for cell in bad[:MOST_TOLD]]
    if told:
        if len(bad) > MOST_TOLD:
            told.append(f"{file.name}: {len(bad)} such cells in all")
        raise DataError(*(Problem(text, "" if i else hint) for i, text in enumerate(told)))
