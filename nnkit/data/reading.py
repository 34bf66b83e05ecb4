"""The files of one table, whole, as a frame: kinds decided, bad cells told, rows counted."""

from __future__ import annotations

import mmap
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from nnkit.data.cells import Cells, Inferred, compact, has_decimal_commas
from nnkit.data.frame import Column, ColumnKind, Frame
from nnkit.data.head import TextFormat
from nnkit.data.parquet import ParquetFile
from nnkit.data.tables import (
    BadCell,
    TableFile,
    bad_cells,
    inferred,
    lacking_columns,
    missing_columns,
    name_of_all,
    names_of,
    open_table,
    place_of,
    read_batch,
)
from nnkit.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

MOST_TOLD = 20  # bad cells that are named in one message
MOST_TEXTS = 200_000  # a column of more different texts is left out
OWN_MEMORY = 1 << 17  # bytes of a column that are asked of the system directly
MOST_SKIPPED = 0.01  # share of the rows that data.on_bad=skip may leave out


@final
@dataclass(slots=True)
class _Growing:
    """One column while its files are being read; its array doubles, and what is not filled costs no memory."""

    name: str
    kind: ColumnKind
    values: Any
    size: int
    is_exact: bool  # whether it keeps all digits
    numbers: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, kind: ColumnKind, missing: int, *, is_exact: bool) -> _Growing:
        """Return a column that begins with so many missing cells."""
        none, dtype = (-1, np.int32) if kind == "categorical" else (np.nan, np.float64 if is_exact else np.float32)
        return cls(name, kind, np.full(missing, none, dtype), missing, is_exact)

    def add(self, cells: Cells, kept: Any) -> None:
        if self.kind == "categorical":
            table = [self.numbers.setdefault(name, len(self.numbers)) for name in cells.categories]
            part = np.array([*table, -1], dtype=np.int32)[cells.values]
        else:
            part = cells.values if self.is_exact else compact(cells.values)
        if kept is not None:
            part = part[kept]
        wanted, dtype = self.size + len(part), np.result_type(self.values, part)
        if wanted > len(self.values) or dtype != self.values.dtype:
            before = self.values[: self.size]
            self.values = _room(max(wanted, 2 * self.size), dtype)
            self.values[: self.size] = before
        self.values[self.size : wanted] = part
        self.size = wanted

    def column(self) -> Column:
        values = self.values[: self.size]
        if values.dtype == np.float64 and self.size and not self.is_exact:
            values = compact(values)
        return Column(self.name, self.kind, values, tuple(self.numbers))


def _room(size: int, dtype: Any) -> Any:
    """Return an array that is not filled; a large one is the system's own memory, which goes back when it is freed."""
    num_bytes = size * dtype.itemsize
    if num_bytes < OWN_MEMORY:
        return np.empty(size, dtype)
    return np.frombuffer(mmap.mmap(-1, num_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype)


@final
@dataclass(frozen=True, slots=True)
class _Done:
    """A file that was read: its rows that are used, and the numbers of those that are not."""

    path: Path
    kept: int
    left_out: tuple[int, ...]


@final
@dataclass(slots=True)
class Reading:
    """What is read from the files of one table, and how.

    Attributes:
        form: how text files are written.
        wanted: kinds that are known by name; others are inferred from the first block.
        unread: columns to leave alone.
        needed: columns in which no cell may be missing.
        complete: kinds of features in which no cell may be missing.
        labels: columns that are no features: they are never left out, and dates and words among them are texts.
        weights: columns in which no number may be negative.
        exact: columns of numbers that keep all digits; the others become float32 where that loses next to nothing.
        on_bad: whether rows with a cell that cannot be read stop the reading or are left out.
        kinds: of all columns, once the first block has been seen.
        left_out: columns that are no feature, with the reason.
        rows_in: rows in the files.
        dropped: rows left out, by reason.
        bad_told: what was wrong with the first of them.
        done: the files that were read.
    """

    form: TextFormat
    wanted: Mapping[str, ColumnKind] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()
    complete: frozenset[ColumnKind] = frozenset()
    labels: frozenset[str] = frozenset()
    weights: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()
    on_bad: Literal["error", "skip"] = "error"
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    rows_in: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    bad_told: list[str] = field(default_factory=list)
    done: list[_Done] = field(default_factory=list)
    _growing: dict[str, _Growing] = field(default_factory=dict)
    _undecided: dict[str, None] = field(default_factory=dict)  # columns without a value so far

    def read(self, paths: Sequence[Path]) -> Frame:
        """Return the rows of the files, one after the other; the first of all files decides the kinds.

        Raises:
            DataError: naming file, line and column of what cannot be read.
            ConfigError: a column that is named is not there.
        """
        self._growing.clear()
        before, told = len(self.done), len(self.bad_told)
        for path in paths:
            self._read_file(path, open_table(path, self.form), before)
        name = name_of_all(paths)
        self._judge(name, self.bad_told[told:])
        if not sum(each.kept for each in self.done[before:]):
            raise DataError(f"{name} holds no row", hint="is it the right file?")
        self.left_out |= dict.fromkeys(self._undecided, "no value")
        self._undecided.clear()
        return Frame(tuple(self._growing.pop(name).column() for name in list(self.kinds)))

    def numbers(self) -> Any:
        """Return the number of each used row in its files, from 0, over all of them; None where none is left out."""
        if not any(each.left_out for each in self.done):
            return None
        sizes = [each.kept + len(each.left_out) for each in self.done]
        parts = [np.delete(np.arange(size), each.left_out) for size, each in zip(sizes, self.done, strict=True)]
        starts = np.cumsum([0, *sizes])
        return np.concatenate([part + start for part, start in zip(parts, starts, strict=False)])

    def place(self, row: int) -> str:
        """Return file and line of a row, counted over all frames that were read; slow."""
        for each in self.done:
            if row >= each.kept:
                row -= each.kept
                continue
            for left_out in each.left_out:
                row += left_out <= row
            file = open_table(each.path, self.form)
            seen = 0
            for batch in file.batches(skips_ragged=self.on_bad == "skip"):
                seen += batch.num_rows
                if seen > row:
                    break
            return place_of(row, file)
        raise IndexError(row)

    def _read_file(self, path: Path, file: TableFile, before: int) -> None:
        self._require(file)
        file.unread = (self.unread | set(self.left_out)) & set(names_of(file))
        file.numbers |= {name for name, kind in self.kinds.items() if kind == "numeric"}
        if isinstance(file, ParquetFile):
            file.require_memory()
        rows_in = 0
        left_out: list[int] = []
        told: list[str] = []
        with ThreadPoolExecutor(2) as threads:
            for batch in file.batches(skips_ragged=self.on_bad == "skip"):
                self._decide(file, batch, sum(e.kept for e in self.done[before:]) + rows_in - len(left_out))
                bad = self._add(file, batch, rows_in, threads)
                told += [cell.worded(file) for cell in bad[: MOST_TOLD - len(told)]]
                if told and self.on_bad == "error":
                    hint = "mend the file, or data.on_bad=skip, data.missing_values=[…], data.categorical=[…]"
                    raise DataError(*(Problem(text, "" if i else hint) for i, text in enumerate(told)))
                rows_in += batch.num_rows
                left_out += sorted({cell.row for cell in bad})
        self.done.append(_Done(path, rows_in - len(left_out), tuple(left_out)))
        self._count(file, rows_in, len(left_out), told)

    def _add(
        self, file: TableFile, batch: pa.RecordBatch, first_row: int, threads: ThreadPoolExecutor
    ) -> list[BadCell]:
        """Let the columns grow by a batch's rows without a bad cell, and return the bad ones."""
        try:
            found = read_batch(batch, self.kinds, self.form, threads)
        except DataError as error:
            raise DataError(*(Problem(f"{file.name}: {p.text}", p.hint) for p in error.problems)) from error
        bad = bad_cells(batch, found, self.kinds, self.needed, first_row, self.weights)
        kept = np.setdiff1d(np.arange(batch.num_rows), [cell.row - first_row for cell in bad]) if bad else None
        for name in list(found):
            growing = self._growing.get(name) or self._grow(name, self.kinds[name], 0)
            growing.add(found.pop(name), kept)
            if len(growing.numbers) > MOST_TEXTS and name not in self.labels:
                self.left_out[name] = f"text: more than {MOST_TEXTS:,} different ones"
                del self._growing[name], self.kinds[name]
        return bad

    def _count(self, file: TableFile, rows: int, num_bad: int, told: Sequence[str]) -> None:
        """Count a file's rows."""
        ragged = [f"{file.name}, {text}" for text in file.ragged[:MOST_TOLD]]
        self.rows_in += rows + len(file.ragged)
        for reason, count in (("rows of another length", len(file.ragged)), ("cells that cannot be read", num_bad)):
            if count:
                self.dropped[reason] = self.dropped.get(reason, 0) + count
        self.bad_told += [*ragged, *told]

    def _judge(self, name: str, told: Sequence[str]) -> None:
        """Refuse files of which too many rows are left out."""
        skipped = sum(self.dropped.values())
        if skipped > MOST_SKIPPED * self.rows_in:
            text = f"{name}: {skipped} of {self.rows_in} rows cannot be read, more than one in a hundred"
            raise DataError(text, *(Problem(t) for t in told[:5]), hint="mend the file")

    def _grow(self, name: str, kind: ColumnKind, missing: int) -> _Growing:
        """Return a new column that begins with so many missing cells."""
        self._growing[name] = _Growing.of(name, kind, missing, is_exact=name in self.exact)
        return self._growing[name]

    def _decide(self, file: TableFile, batch: pa.RecordBatch, rows: int) -> None:
        """Fix the kind of every column, by what is wanted and by its first values; `rows` are those before."""
        is_first = not self.kinds and not self.left_out and not self._undecided
        if not is_first and not self._undecided:
            return
        for name in batch.schema.names if is_first else list(self._undecided):
            if is_first and name in file.unnamed and name not in self.wanted and name not in self.labels:
                self.left_out[name] = "no name in the header"
                continue
            column = batch.column(name)
            kind: Inferred = self.wanted.get(name) or inferred(column, self.form)
            if kind == "empty" and name in self.needed:
                raise DataError(f"{file.name}: column {name} holds no value in the first {len(column)} rows")
            self._undecided.pop(name, None)
            if kind in ("text", "categorical"):
                self._refuse_commas(file, name, column)
            if name in self.labels and kind != "numeric":
                kind = "categorical"
            if kind == "empty":
                self._undecided[name] = None
            elif kind == "text":
                self.left_out[name] = "text: most cells differ"
            else:
                self.kinds[name] = kind
                if kind in self.complete and name not in self.labels:
                    self.needed |= {name}
                self._grow(name, kind, rows)
        file.unread |= self.left_out.keys() & set(names_of(file))
        file.numbers |= {name for name, kind in self.kinds.items() if kind == "numeric"}
        if isinstance(file, ParquetFile):
            file.require_memory()

    def _refuse_commas(self, file: TableFile, name: str, column: pa.Array) -> None:
        form = self.form
        if name in self.wanted or not has_decimal_commas(column, strip=form.strip, missing=form.missing_values):
            return
        row = next(i for i, text in enumerate(column.to_pylist()) if "," in str(text))
        where = f"{place_of(row, file)}, column {name}"
        hint = f"write numbers with a point, or data.categorical=[{name}]"
        raise DataError(f"{where}: '{column[row].as_py()}' is a number with a comma", hint=hint)

    def _require(self, file: TableFile) -> None:
        known = set(names_of(file))
        missing = [name for name in self.wanted if name not in known]
        if missing and not self.kinds:
            raise missing_columns(missing, file, self.wanted)
        missing = [name for name in self.kinds if name not in known]
        if missing:
            raise lacking_columns(missing, file, self.kinds)
