"""Parquet files, with the same face as text files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, final

from nnkit.data.head import TextFormat
from nnkit.data.opened import not_there
from nnkit.errors import DataError
from nnkit.regular import refuse_too_large

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS, MOST_CELLS = 1 << 16, 1 << 22  # of a batch


@final
class ParquetFile:
    """A Parquet file.

    Attributes:
        name: for messages.
        form: how cells that are text are to be read.
        names: of the columns.
        unnamed: none; a text file has some.
        unread: columns that are left alone.
        numbers: what text files read as numbers at once; without a meaning here.
        ragged: always empty.
    """

    is_stream = False

    def __init__(self, path: Path, form: TextFormat) -> None:
        """Read its head. Raises: DataError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name, self.form = str(path), form
        self.ragged: list[str] = []
        self.unread: frozenset[str] = frozenset()
        self.numbers: set[str] = set()
        self.unnamed: frozenset[str] = frozenset()
        if path.is_dir():
            raise DataError(f"{path} is a folder", hint=f"'data.path={path}/*.parquet'")
        if not path.exists():
            raise not_there(path)
        try:
            self._file = pq.ParquetFile(path, page_checksum_verification=True)
            self.names = tuple(self._file.schema_arrow.names)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path} is not a Parquet file, or damaged: {_told(error)}") from error
        double = [name for name, count in Counter(self.names).items() if count > 1]
        if double:
            raise DataError(f"{path} has two columns {double[0]}", hint="rename one of them")

    def require_memory(self) -> None:
        """Refuse a file whose numbers, of four bytes each, memory has no room for. Raises: OutOfMemoryError."""
        import pyarrow.types as of

        schema = self._file.schema_arrow
        numbers = [f for f in schema if f.name not in self.unread and (of.is_integer(f.type) or of.is_floating(f.type))]
        refuse_too_large(f"{self.name} unpacks to at least", 4 * self._file.metadata.num_rows * len(numbers))

    def batches(self, *, skips_ragged: bool = False) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 - none is ragged
        """Yield all rows in order. Raises: DataError, MemoryError."""
        import pyarrow as pa

        names = [name for name in self.names if name not in self.unread]
        size = max(1, min(MOST_ROWS, MOST_CELLS // max(1, len(names))))
        try:
            for batch in self._file.iter_batches(batch_size=size, columns=names):
                batch.validate(full=True)  # a changed byte may have made text that is none
                if batch.num_rows:
                    yield batch
        except pa.ArrowMemoryError:  # an ArrowException as well, but the file may be whole
            raise
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{self.name} is damaged: {_told(error)}") from error

    def line_of(self, row: int) -> int:
        """Return the row's number, from 1: a Parquet file has no lines."""
        return row + 1


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
