"""A text file as blocks of whole rows: comments blanked, each with the number of its first line."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np

from nnkit.data.opened import num_lines, undecodable, with_last
from nnkit.errors import DataError

BLOCK_BYTES, LARGEST_BLOCK = 4 << 20, 32 << 20
BYTES_A_COLUMN = 4096  # so that a block of many columns has many rows
LONGEST_ROW = 32 << 20
_CELL = re.compile(rb'"(?:[^"]|"")*"(?=\s|$)|\S+')
_QUOTED = re.compile(rb'"(?:[^"]|"")*"')
_QUOTE, _LINE_FEED, _RETURN = 34, 10, 13


def block_bytes(num_columns: int) -> int:
    """Return how large a block is to be."""
    return max(BLOCK_BYTES, min(LARGEST_BLOCK, BYTES_A_COLUMN * num_columns))


@final
@dataclass(frozen=True, slots=True)
class Cut:
    """How rows and cells are cut.

    Attributes:
        delimiter: one character; None for blanks of any number and kind, which end where the line does.
        comment: lines that start with it are left out; None for none.
    """

    delimiter: bytes | None
    comment: bytes | None = None


@final
@dataclass(frozen=True, slots=True)
class Block:
    """Some whole rows.

    Attributes:
        data: UTF-8; lines of comments are empty lines.
        line: number of its first line in the file.
    """

    data: bytes
    line: int

    def records(self, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        """Yield (line, cells) of every row of any number of cells: slow, to say where something stands."""
        csv.field_size_limit(sys.maxsize)
        reader = csv.reader(io.StringIO(self.data.decode("utf-8"), newline=""), delimiter=delimiter)
        start = self.line
        for cells in reader:
            if cells and (len(cells) > 1 or cells[0].strip(" \t")):
                yield start, cells
            start = self.line + reader.line_num


def cut_blocks(pieces: Iterator[bytes], cut: Cut, name: str, line: int, least: int) -> Iterator[Block]:
    """Yield blocks of whole rows.

    Args:
        pieces: of the file in UTF-8, from the start of a row on.
        cut: how rows are cut.
        name: of the file, for messages.
        line: number of the first line.
        least: bytes of a block.

    Raises:
        DataError: naming the line of bytes that are no UTF-8, or of a quote that is never closed.
    """
    waiting, size, wanted = [b""], 0, least
    for piece, is_last in with_last(b"", pieces):
        waiting.append(piece)
        size += len(piece)
        if size < wanted and not is_last:
            continue
        data = b"".join(waiting)
        found, end = whole_rows(data, cut, name, line, is_last=is_last)
        waiting, size = [data[end:]], len(data) - end
        wanted = least if end else 2 * size
        if end:
            check_utf8(found, name, line)
            yield Block(found if cut.delimiter is not None else tabbed(found), line)
            line += num_lines(found)
        elif size > LONGEST_ROW:
            raise DataError(f"{name}, line {line}: a row of more than {LONGEST_ROW >> 20} MiB", hint="a stray quote?")


def check_utf8(data: bytes, name: str, line: int) -> None:
    """Raise: DataError, naming the line of the first bytes that are no UTF-8."""
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise undecodable(name, line + num_lines(data[: error.start]), "utf-8") from None


def whole_rows(data: bytes, cut: Cut, name: str, line: int, *, is_last: bool) -> tuple[bytes, int]:
    """Return the whole rows at the beginning of the data, with comments blanked, and where they end.

    Raises: DataError, for a quote that is never closed.
    """
    if cut.comment is None or cut.comment not in data:
        if cut.delimiter is None or b'"' not in data:
            end = len(data) if is_last else _last_line_end(data)
            return data[:end], end
        outside = _end_outside_quotes(data, cut.delimiter, is_last=is_last)
        if outside is not None:
            return data[:outside], outside
    return _line_by_line(data, cut, name, line, is_last=is_last)


def _last_line_end(data: bytes) -> int:
    """Return the place after the last line; a carriage return at the very end may be half of a line's end."""
    return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, max(0, len(data) - 1)) + 1


def _end_outside_quotes(data: bytes, delimiter: bytes, *, is_last: bool) -> int | None:
    """Return where the last whole row ends; None where quotes stand elsewhere than around cells."""
    x = np.frombuffer(data, dtype=np.uint8)
    quotes = np.flatnonzero(x == _QUOTE)
    edges = np.array([delimiter[0], _LINE_FEED, _RETURN, _QUOTE], dtype=np.uint8)
    before = quotes[0::2] - 1
    after = quotes[1::2] + 1
    if not (np.isin(x[before[before >= 0]], edges).all() and np.isin(x[after[after < len(x)]], edges).all()):
        return None
    if is_last:
        return len(data) if len(quotes) % 2 == 0 else None
    ends = np.flatnonzero(x == _LINE_FEED)
    if not len(ends):
        ends = np.flatnonzero(x[:-1] == _RETURN)
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _line_by_line(data: bytes, cut: Cut, name: str, line: int, *, is_last: bool) -> tuple[bytes, int]:
    """Return what `whole_rows` does, exactly, for quotes and comments of any kind."""
    lines = data.splitlines(keepends=True)
    if not is_last and lines and not data.endswith(b"\n"):
        lines.pop()
    quotes = _Quotes(cut.delimiter or b"\t")
    end = place = whole = 0
    for number, each in enumerate(lines):
        place += len(each)
        if quotes.opened is None and cut.comment is not None and each.startswith(cut.comment):
            lines[number] = each[len(each.rstrip(b"\r\n")) :]
        elif cut.delimiter is not None and not quotes.follow(each, number):
            opened = f"{name}, line {line + (quotes.opened or 0)}: a quote opens a cell here"
            hint = "two quotes stand for one within a quoted cell"
            raise DataError(f"{opened}, and closes in the middle of one in line {line + number}", hint=hint)
        if quotes.opened is None:
            end, whole = place, number + 1
    if is_last and quotes.opened is not None:
        where = f"{name}, line {line + quotes.opened}"
        raise DataError(f"{where}: a quote opens a cell here, and none closes it", hint="mend the line")
    return b"".join(lines[:whole]), end


@final
class _Quotes:
    """Follows the quotes of one line after the other.

    Attributes:
        opened: the line in which the cell opened that is still open; None outside of quoted cells.
    """

    def __init__(self, delimiter: bytes) -> None:
        self.opened: int | None = None
        self._delimiter = delimiter

    def follow(self, line: bytes, number: int) -> bool:
        """Follow a line; return whether a cell of several lines that closes here is not followed by text."""
        place: int | None = 0
        if self.opened is not None:
            closing = _closing(line, 0)
            if closing < 0:
                return True
            place = self._next_cell(line, closing)
            if line[closing + 1 : None if place is None else place - 1].strip():
                return False
            self.opened = None
        while place is not None:
            place = self._after_quoted(line, place, number)
        return True

    def _after_quoted(self, line: bytes, place: int, number: int) -> int | None:
        """Return the start of the cell after the next quoted one, from the start of a cell; None at the line's end."""
        if not line.startswith(b'"', place):
            place = line.find(self._delimiter + b'"', place) + 1
            if not place:
                return None
        closing = _closing(line, place + 1)
        if closing < 0:
            self.opened = number
            return None
        return self._next_cell(line, closing)

    def _next_cell(self, line: bytes, place: int) -> int | None:
        return line.find(self._delimiter, place + 1) + 1 or None


def _closing(line: bytes, place: int) -> int:
    """Return where the open cell closes; -1 where it does not."""
    place = line.find(b'"', place)
    while place >= 0 and line.startswith(b'""', place):
        place = line.find(b'"', place + 2)
    return place


def tabbed(data: bytes) -> bytes:
    """Return lines of cells between blanks as lines of cells between single tabs."""
    return b"".join(_tabbed(line) for line in data.splitlines(keepends=True))


def _tabbed(line: bytes) -> bytes:
    cells = line.split() if b'"' not in line else [_closed(cell) for cell in _CELL.findall(line)]
    return b"\t".join(cells) + (b"\n" if line.endswith((b"\n", b"\r")) else b"")


def _closed(cell: bytes) -> bytes:
    """Return a cell that no reader takes for the beginning of a quoted one that goes on in the next line."""
    is_right = not cell.startswith(b'"') or _QUOTED.fullmatch(cell)
    return cell if is_right else b'"' + cell.replace(b'"', b'""') + b'"'
