"""Text files of rows and columns: what the first lines say, all rows as text in batches, and where a row stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, final

from nnkit.data.blocks import LONGEST_ROW, Block, block_bytes, cut_blocks
from nnkit.data.head import TextFormat, cut_of, read_head
from nnkit.data.opened import decoded, read_pieces, text_codec, without_lines
from nnkit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["TextFile", "TextFormat"]

HEAD_BYTES = 1 << 18  # what is looked at first
PIECE_BYTES = 1 << 20  # what is read at once
AHEAD = 2  # blocks that are being parsed while one is in use
MOST_FAILURES = 5  # columns that turn out to hold more than numbers, before all are read as text
OTHER_LENGTH = "a row of another length"
MOST_TOLD = 20  # rows of another length whose line is told


@final
class TextFile:
    """A file, or a stream that is read once, with its first lines looked at.

    Attributes:
        name: for messages.
        form: how it is written.
        head: what the first lines say.
        is_stream: whether it can be read only once.
        ragged: what was wrong with each row of another length that was left out; the line for the first of them.
        numbers: columns that are to be numbers in the batches that follow, as long as each cell is one.
        unread: columns that are not in the batches that follow.
    """

    def __init__(self, path: Path | BinaryIO, form: TextFormat) -> None:
        """Look at the first lines. Raises: DataError where they make no table; ConfigError for a wrong setting."""
        self._path = path if isinstance(path, Path) else None
        self.name = str(path) if isinstance(path, Path) else "standard input"
        self.is_stream = self._path is None
        self.form = replace(form, encoding=text_codec(form.encoding))
        self.ragged: list[str] = []
        self.numbers: set[str] = set()
        self.unread: frozenset[str] = frozenset()
        self._failures = 0
        self._first_rows: list[int] = []  # of each block so far
        self._current: Block | None = None
        self._lines: tuple[int, list[int]] = (-1, [])  # of the rows of the block by that number
        pieces = self._pieces(path, HEAD_BYTES)
        first, following = next(pieces), next(pieces, b"")
        while (head := read_head(first, self.form, self.name, is_whole=not following)) is None:
            if len(first) > LONGEST_ROW:
                raise DataError(f"{self.name} holds no end of a line in {LONGEST_ROW >> 20} MiB", hint="is it a table?")
            waiting, size = [first], 0
            while following and size < len(first):
                waiting.append(following)
                size += len(following)
                following = next(pieces, b"")
            first = b"".join(waiting)
        self.head = head
        self._rest: Iterator[bytes] | None = chain([first, following], pieces) if self.is_stream else None

    @property
    def unnamed(self) -> frozenset[str]:
        """The columns without a name."""
        return self.head.unnamed

    def _pieces(self, path: Path | BinaryIO, size: int) -> Iterator[bytes]:
        return decoded(read_pieces(path, size, self.name), self.form.encoding, self.name)

    def _blocks(self) -> Iterator[Block]:
        """Yield the rows of values; a stream has them once."""
        if self._rest is not None:
            pieces: Iterator[bytes] = self._rest
            self._rest = iter(())
        else:
            assert self._path is not None
            pieces = self._pieces(self._path, PIECE_BYTES)
        skipped, size = self.head.skipped, block_bytes(len(self.head.names))
        return cut_blocks(without_lines(pieces, skipped), cut_of(self.head, self.form), self.name, skipped + 1, size)

    def batches(self, *, skips_ragged: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield all rows in order, every column as text with null for a missing cell.

        Args:
            skips_ragged: whether rows with more or fewer values than columns are left out; they are told in `ragged`.

        Raises:
            DataError: naming the line that cannot be read.
        """
        self.ragged, self._first_rows, self._lines, row = [], [], (-1, []), 0
        for block, batch, ragged in self._parsed_blocks(skips_ragged=skips_ragged):
            self._current = block
            self.ragged += ragged if len(self.ragged) < MOST_TOLD else [OTHER_LENGTH] * len(ragged)
            self._first_rows.append(row)
            row += batch.num_rows
            if batch.num_rows:
                yield batch

    def _parsed_blocks(self, *, skips_ragged: bool) -> Iterator[tuple[Block, pa.RecordBatch, list[str]]]:
        """Yield each block with its rows, and with what is wrong with those of another length; reading runs ahead."""
        blocks = self._blocks()
        with ThreadPoolExecutor(AHEAD) as threads:

            def begin() -> list[tuple[Block, Future[Any]]]:
                return [(block, threads.submit(self._parsed, block, skips_ragged)) for block in islice(blocks, 1)]

            waiting = deque(begin())
            while waiting:
                while len(waiting) < AHEAD + 1 and (more := begin()):
                    waiting += more
                block, parsed = waiting.popleft()
                yield block, *parsed.result()
                del parsed

    def _parsed(self, block: Block, skips_ragged: bool) -> tuple[pa.RecordBatch, list[str]]:
        import pyarrow as pa

        num_ragged = 0

        def on_invalid(row: Any) -> str:
            nonlocal num_ragged
            num_ragged += bool(row.text.strip(" \t"))  # a line of blanks is an empty line
            return "skip"

        while True:
            numbers = frozenset(self.numbers)
            num_ragged = 0
            try:
                batch = self._converted(block, numbers, on_invalid)
            except pa.ArrowInvalid as error:
                text = " ".join(str(error).split())[:200]
                if not numbers:
                    raise DataError(f"{self.name}, from line {block.line}: cannot be read: {text}") from error
                found = re.search(r"In CSV column #(\d+)", text)
                self._distrust(self.head.names[int(found[1])] if found else None)
                continue
            odd = _holding_nan(batch, numbers)
            if odd is None:
                break
            self._distrust(odd)
        return batch, self._told(block, num_ragged, is_error=not skips_ragged) if num_ragged else []

    def _converted(self, block: Block, numbers: frozenset[str], on_invalid: Callable[[Any], str]) -> pa.RecordBatch:
        import pyarrow as pa
        import pyarrow.csv

        unread = self.unread
        kinds = ((name, name in numbers) for name in self.head.names if name not in unread)
        types = {name: pa.float64() if is_number else pa.string() for name, is_number in kinds}
        try:
            table = pa.csv.read_csv(
                pa.BufferReader(block.data),
                read_options=pa.csv.ReadOptions(
                    block_size=len(block.data) + 1, column_names=list(self.head.names), use_threads=False
                ),
                parse_options=pa.csv.ParseOptions(
                    delimiter=self.head.separator, newlines_in_values=True, invalid_row_handler=on_invalid
                ),
                convert_options=pa.csv.ConvertOptions(
                    include_columns=list(types),
                    column_types=types,
                    null_values=list(self.form.missing_values),
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV file" not in str(error):
                raise
            table = pa.table({})
        if not len(table):
            return pa.RecordBatch.from_pylist([], schema=pa.schema(list(types.items())))
        return table.to_batches()[0]

    def _distrust(self, column: str | None) -> None:
        """Read a column as text from now on; all of them, if none is to blame or it happens too often."""
        self._failures += 1
        if column is not None and self._failures <= MOST_FAILURES:
            self.numbers.discard(column)
        else:
            self.numbers.clear()

    def _told(self, block: Block, count: int, *, is_error: bool) -> list[str]:
        """Say what is wrong with a block's rows of another length. Raises: DataError, if it is an error."""
        width = len(self.head.names)
        if not is_error and len(self.ragged) >= MOST_TOLD:
            return [OTHER_LENGTH] * count
        told = []
        for line, cells in block.records(self.head.separator):
            if len(cells) == width:
                continue
            text = f"line {line}: {len(cells)} values, but there are {width} columns"
            if is_error:
                raise DataError(f"{self.name}, {text}", hint="mend the line, or data.on_bad=skip")
            told.append(text)
            if len(told) == MOST_TOLD:
                break
        if is_error:
            raise DataError(f"{self.name}, from line {block.line}: a row of another length", hint="data.on_bad=skip")
        return told[:count] + [OTHER_LENGTH] * (count - len(told))

    def line_of(self, row: int) -> int | None:
        """Return the line where a row (from 0, of those with the right number of cells) starts; None if unknown."""
        number = bisect_right(self._first_rows, row) - 1
        if number < 0:
            return None
        if number != self._lines[0]:
            block = self._current
            if number < len(self._first_rows) - 1 or block is None:
                block = None if self.is_stream else next(islice(self._blocks(), number, None), None)
            if block is None:
                return None
            width = len(self.head.names)
            lines = [line for line, cells in block.records(self.head.separator) if len(cells) == width]
            self._lines = (number, lines)
        place = row - self._first_rows[number]
        return self._lines[1][place] if place < len(self._lines[1]) else None


def _holding_nan(batch: pa.RecordBatch, numbers: frozenset[str]) -> str | None:
    """Return a column of numbers with a cell like "nan" that is no word for missing, if there is one."""
    import pyarrow.compute as pc

    return next(
        (name for name in numbers if name in batch.schema.names and pc.any(pc.is_nan(batch[name])).as_py()), None
    )
