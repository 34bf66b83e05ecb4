"""Files of rows and columns, of any format: which they are, and their cells as values."""

from __future__ import annotations

import glob
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

import numpy as np

from nnkit.data.cells import Cells, Inferred, as_text, kind_of, plain, read_cells, values_of
from nnkit.data.delimited import TextFile
from nnkit.data.frame import ColumnKind
from nnkit.data.head import TextFormat
from nnkit.data.parquet import ParquetFile
from nnkit.errors import ConfigError, DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET = (".parquet", ".pq")
TableFile = TextFile | ParquetFile


def open_table(path: Path | BinaryIO, form: TextFormat) -> TableFile:
    """Return an opened file, or standard input. Raises: DataError; ConfigError."""
    is_parquet = isinstance(path, Path) and path.suffix.lower() in PARQUET
    return ParquetFile(path, form) if is_parquet and isinstance(path, Path) else TextFile(path, form)


def names_of(file: TableFile) -> tuple[str, ...]:
    """Return the names of a file's columns."""
    return file.names if isinstance(file, ParquetFile) else file.head.names


def name_of_all(paths: Sequence[Path]) -> str:
    """Return how files that make one table are called in messages."""
    return str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"


def found_files(words: str | Sequence[str]) -> list[Path]:
    """Return the files that a path, a glob, or a list of them names. Raises: DataError where there is none."""
    return [path for word in ([words] if isinstance(words, str) else words) for path in _matching(word)]


def _matching(word: str) -> list[Path]:
    try:
        path = Path(word).expanduser().absolute()
        if path.exists() or not glob.has_magic(word):
            return [path]
        matched = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    except (OSError, RuntimeError) as error:  # a name that is too long, a home folder of nobody
        raise DataError(f"{word} cannot be read: {error}", hint="data.path=FILE") from error
    if not matched:
        raise DataError(f"no file matches {word}", hint="data.path=FILE, a list of files, or a glob")
    return [Path(match) for match in matched]


@final
@dataclass(frozen=True, slots=True)
class BadCell:
    """A cell that cannot be taken for what its column holds.

    Attributes:
        row: in its file, from 0, of those with the right number of cells.
        column: its name.
        text: what it holds.
        kind: what it should be, or "missing".
    """

    row: int
    column: str
    text: str
    kind: str

    def worded(self, file: TableFile) -> str:
        """Say where it stands in a file, and what is wrong."""
        return self.worded_at(place_of(self.row, file))

    def worded_at(self, place: str) -> str:
        """Say what is wrong in a place."""
        where = f"{place}, column {self.column}"
        if self.kind == "missing":
            return f"{where}: the value is missing"
        what = {
            "numeric": "a finite number",
            "date": "a date like 2026-01-31",
            "boolean": "true or false",
            "weight": "a weight >= 0",
        }
        shown = self.text if self.text.isprintable() else repr(self.text)[1:-1]
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        return f"{where}: '{shown}' is not {what[self.kind]}"


def place_of(row: int, file: TableFile) -> str:
    """Return file and line, or the number of the row where there are no lines."""
    line = None if isinstance(file, ParquetFile) else file.line_of(row)
    return f"{file.name}, row {row + 1}" if line is None else f"{file.name}, line {line}"


def missing_columns(missing: Sequence[str], file: TableFile, used: Collection[str] = ()) -> ConfigError:
    """Return the error of columns that are named but are not there; none that is used is what was meant."""
    return ConfigError(*_not_there(missing, file, used))


def lacking_columns(missing: Sequence[str], file: TableFile, used: Collection[str] = ()) -> DataError:
    """Return the error of a file that lacks columns that the first file has; none that is used is what was meant."""
    return DataError(*_not_there(missing, file, used))


def _not_there(missing: Sequence[str], file: TableFile, used: Collection[str]) -> list[Problem]:
    from nnkit.config.synonyms import nearest

    names = names_of(file)
    listed = "columns: " + ", ".join(name[:40] for name in names[:30]) + (", …" if len(names) > 30 else "")
    listed += "; is data.delimiter right?" if len(names) == 1 else ""
    free = [name for name in names if name not in used] if len(names) > 1 else []
    nears = [(name, nearest(name, free)) for name in missing[:10]]
    return [
        Problem(f"{file.name} has no column {name}", f"did you mean {near}?" if near else listed)
        for name, near in nears
    ]


def inferred(column: pa.Array, form: TextFormat) -> Inferred:
    """Return the kind of a column: by its type in a Parquet file, by its cells in a text file."""
    import pyarrow as pa

    column = plain(column)
    types, kind = pa.types, column.type
    if column.null_count == len(column):
        return "empty"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "numeric"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "date"
    text = as_text(column)
    return "text" if text is None else kind_of(text, strip=form.strip, missing=form.missing_values)


def read_batch(
    batch: pa.RecordBatch, kinds: Mapping[str, ColumnKind], form: TextFormat, threads: ThreadPoolExecutor
) -> dict[str, Cells]:
    """Return the cells of the named columns; columns that the batch lacks are left out. Raises: DataError."""
    places = {name: i for i, name in enumerate(batch.schema.names)}
    names = [name for name in kinds if name in places]

    def read(some: Sequence[str]) -> dict[str, Cells]:
        return {name: _cells(name, plain(batch.column(places[name])), kinds[name], form) for name in some}

    parts = list(threads.map(read, (names[0::2], names[1::2])))
    found = parts[0] | parts[1]
    return {name: found[name] for name in names}


def _cells(name: str, column: pa.Array, kind: ColumnKind, form: TextFormat) -> Cells:
    found = values_of(column, kind)
    if found is not None:
        return found
    text = as_text(column)
    if text is None:
        raise DataError(f"column {name} holds {column.type}, not {kind} values", hint="data.drop=[…]")
    return read_cells(text, kind, strip=form.strip, missing=form.missing_values)


def bad_cells(
    batch: pa.RecordBatch,
    found: Mapping[str, Cells],
    kinds: Mapping[str, ColumnKind],
    needed: frozenset[str],
    first_row: int,
    weights: frozenset[str] = frozenset(),
) -> list[BadCell]:
    """Return the cells that cannot be taken, by row.

    Args:
        batch: as it was read.
        found: its cells.
        kinds: of the columns.
        needed: columns in which no cell may be missing.
        first_row: number of the batch's first row in its file.
        weights: columns in which no number may be negative.
    """
    bad = []
    for name, cells in found.items():
        wrong: list[tuple[Any, str]] = [] if cells.bad is None else [(cells.bad, kinds[name])]
        if name in needed:
            gone = cells.values < 0 if kinds[name] == "categorical" else np.isnan(cells.values)
            wrong.append((gone & ~cells.bad if cells.bad is not None else gone, "missing"))
        if name in weights:
            wrong.append((cells.values < 0, "weight"))
        for mask, kind in wrong:
            rows = np.flatnonzero(mask)
            texts = batch.column(name).take(rows).to_pylist() if len(rows) else []
            bad += [BadCell(first_row + int(r), name, str(t), kind) for r, t in zip(rows, texts, strict=True)]
    return sorted(bad, key=lambda cell: cell.row)
