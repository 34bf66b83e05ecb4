"""What the first lines of a text file say: its delimiter, its header, the names of its columns."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nnkit.data.blocks import Cut, check_utf8, tabbed
from nnkit.errors import ConfigError, DataError

WHITESPACE = "whitespace"
SAMPLE = 50  # rows that are looked at
_CANDIDATES = (",", ";", "\t", "|")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TextFormat:
    """How a file is written; `auto` is found out from its first lines. The settings of `data` by the same names.

    Attributes:
        absent_names: columns that a file without a header may lack: one set of these.
        known_names: features that a run knows; a first row with all of them, or with nothing else, is a header.
    """

    delimiter: str = "auto"
    header: Literal["auto"] | bool = "auto"
    names: tuple[str, ...] | None = None
    missing_values: tuple[str, ...] = ("",)
    strip: str = " "
    comment: str | None = None
    encoding: str = "utf-8"
    absent_names: tuple[tuple[str, ...], ...] = ()
    known_names: frozenset[str] = frozenset()


@final
@dataclass(frozen=True, slots=True)
class Head:
    """What the first lines of a file say.

    Attributes:
        names: of the columns; one without a name is called after its number, as in "column 3".
        unnamed: the columns without a name.
        delimiter: one character, or "whitespace".
        skipped: lines before the first row of values.
        has_header: whether the names stand in the file.
    """

    names: tuple[str, ...]
    unnamed: frozenset[str]
    delimiter: str
    skipped: int
    has_header: bool

    @property
    def separator(self) -> str:
        """What stands between two cells when the file is read."""
        return "\t" if self.delimiter == WHITESPACE else self.delimiter


def cut_of(head: Head, form: TextFormat) -> Cut:
    """Return how the rows of a file are cut."""
    delimiter = None if head.delimiter == WHITESPACE else head.delimiter.encode()
    return Cut(delimiter, None if form.comment is None else form.comment.encode())


def read_head(first: bytes, form: TextFormat, name: str, *, is_whole: bool) -> Head | None:
    """Return what the first bytes of a file say; None where they end too early.

    Args:
        first: the beginning of the file, in UTF-8.
        form: what is known already.
        name: of the file, for messages.
        is_whole: whether the file ends there.

    Raises:
        DataError: the file is empty or no text, or its header has a name twice or none at all.
        ConfigError: the names that were given are not as many as the columns.
    """
    raw = first.splitlines(keepends=True)
    if not is_whole:
        raw = raw[:-1]  # cut in the middle
    check_utf8(b"".join(raw), name, 1)
    lines = [line.decode("utf-8") for line in raw]
    before = next((i for i, line in enumerate(lines) if line.strip() and not _is_comment(line, form)), len(lines))
    kept = [line for line in lines[before:] if line.strip() and not _is_comment(line, form)][: 4 * SAMPLE]
    if not kept:
        if is_whole:
            raise DataError(f"{name} holds no row", hint="is it the right file?")
        return None
    delimiter = _delimiter(kept, form.delimiter)
    blanked = ["\n" * line.endswith(("\n", "\r")) if _is_comment(line, form) else line for line in lines[before:]]
    rows = _rows(blanked, delimiter)
    if len(rows) < 2 and not is_whole:
        return None
    where = f"{name}, line {before + 1}"
    if not rows:  # a quote, and nothing else
        raise DataError(f"{where}: no name and no value", hint="is it the right file?")
    if "\0" in kept[0]:
        raise DataError(
            f"{where}: bytes of zero where names are expected", hint="data.encoding=utf-16, or no text file"
        )
    return _head(rows, delimiter, before, form, where)


def _head(rows: Sequence[tuple[list[str], int]], delimiter: str, before: int, form: TextFormat, where: str) -> Head:
    cells, height = rows[0]
    cells = [cell.strip(form.strip + " \t") for cell in cells]
    if cells and not cells[0].strip():  # what pandas and R write over the rows' numbers
        cells[0] = ""
    is_known = _is_known(cells, form)
    is_header = is_known or _is_header(cells, form) if form.header == "auto" else form.header
    is_given = form.names is not None and not (is_header and is_known)
    if is_header and not is_given and _ends_empty([row for row, _ in rows[1:]], len(cells) + 1):
        cells.append("")
    if is_given:
        names = _given_names(form, len(cells), where)
    else:
        names = tuple(cells) if is_header else tuple(f"c{i}" for i in range(1, len(cells) + 1))
    if not any(names):
        raise DataError(f"{where}, column 1: the header is empty", hint="give each column a name: data.names")
    called = tuple(name or f"column {i}" for i, name in enumerate(names, 1))
    _check_names(called, where)
    unnamed = frozenset(f"column {i}" for i, name in enumerate(names, 1) if not name)
    return Head(called, unnamed, delimiter, before + (height if is_header else 0), bool(is_header))


def _is_known(cells: Sequence[str], form: TextFormat) -> bool:
    """Tell whether the cells of the first row are names that are known, in any order."""
    there, known = set(cells), form.known_names
    return len(there) == len(cells) and (there <= known.union(form.names or ()) or (bool(known) and known <= there))


def _is_header(cells: Sequence[str], form: TextFormat) -> bool:
    return form.names is None and not all(
        _NUMBER.fullmatch(c) or _DECIMAL_COMMA.fullmatch(c) or (c and c in form.missing_values) for c in cells
    )


def _ends_empty(rows: Sequence[Sequence[str]], width: int) -> bool:
    """Tell whether each row ends with a delimiter that the header lacks."""
    return bool(rows) and all(len(row) == width and not row[-1].strip() for row in rows)


def _given_names(form: TextFormat, width: int, where: str) -> tuple[str, ...]:
    """Return the names that were given, perhaps without some that may be absent. Raises: ConfigError."""
    given = form.names or ()
    for absent in ((), *form.absent_names):
        names = tuple(name for name in given if name not in absent)
        if len(names) == width:
            return names
    raise ConfigError(f"{where}: {width} columns, but data.names has {len(given)}", hint="one name a column")


def _check_names(names: Sequence[str], where: str) -> None:
    counts = Counter(names)
    double = next((name for name in names if counts[name] > 1), None)
    if double is not None:
        column = [i for i, name in enumerate(names, 1) if name == double][1]
        raise DataError(f"{where}, column {column}: the header {double[:60]} stands twice", hint="rename one of them")


def _is_comment(line: str, form: TextFormat) -> bool:
    return form.comment is not None and line.startswith(form.comment)


def _rows(lines: Sequence[str], delimiter: str) -> list[tuple[list[str], int]]:
    """Return the first rows' cells, with how many lines each takes."""
    csv.field_size_limit(sys.maxsize)
    if delimiter == WHITESPACE:
        lines, delimiter = [tabbed(line.encode()).decode() for line in lines[: 4 * SAMPLE]], "\t"
    reader, before = csv.reader(lines, delimiter=delimiter), 0
    found: list[tuple[list[str], int]] = []
    for cells in reader:
        if cells and (len(cells) > 1 or cells[0].strip()):
            found.append((cells, reader.line_num - before))
        before = reader.line_num
        if len(found) == SAMPLE:
            break
    return found


def _delimiter(lines: Sequence[str], wanted: str) -> str:
    """Return the delimiter: as wanted, or the one that cuts the first lines into equally many clean cells."""
    if wanted != "auto":
        return "\t" if wanted in ("tab", "\\t") else wanted
    fits = {candidate: _fit(lines, candidate) for candidate in _CANDIDATES}
    best = max(fits, key=lambda c: fits[c])
    if fits[best][0] < 0.5 and _fit(lines, WHITESPACE)[0] > max(fits[best][0], 0.9):
        return WHITESPACE
    return best if fits[best][0] > 0 else ","


def _fit(lines: Sequence[str], delimiter: str) -> tuple[float, float]:
    """Return the share of rows that have as many cells as most, and of cells without another delimiter in them."""
    rows = [cells for cells, _ in _rows(lines, delimiter)]
    width, count = Counter(len(cells) for cells in rows).most_common(1)[0] if rows else (1, 0)
    if width == 1:
        return 0.0, 0.0
    others = [c for c in _CANDIDATES if c != delimiter]
    cells = [cell for row in rows for cell in row]
    clean = sum(_DECIMAL_COMMA.fullmatch(cell) is not None or not any(o in cell for o in others) for cell in cells)
    return count / len(rows), clean / len(cells)
