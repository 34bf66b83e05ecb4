"""Parquet files."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnkit.data.head import TextFormat
from nnkit.data.parquet import ParquetFile
from nnkit.errors import DataError

PARQUET = Path("my.parquet")


def parquet(columns: dict[str, Any], **words: Any) -> ParquetFile:
    pq.write_table(pa.table(columns), PARQUET, **words)
    return ParquetFile(PARQUET, TextFormat())


def rows_of(file: ParquetFile) -> list[dict[str, Any]]:
    return [row for batch in file.batches() for row in batch.to_pylist()]


def test_parquet_rows_come_in_order_without_the_unread_columns() -> None:
    file = parquet({"a": range(200_000), "b": range(200_000)}, row_group_size=70_000)
    file.unread = frozenset({"b"})
    assert rows_of(file) == [{"a": i} for i in range(200_000)]
    assert (file.line_of(4), file.ragged, file.is_stream) == (5, [], False)


def test_a_batch_of_many_columns_has_few_rows() -> None:
    file = parquet({f"c{i}": range(3000) for i in range(3000)})
    assert max(batch.num_rows for batch in file.batches()) <= (1 << 22) // 3000


def test_damaged_parquet_files_are_refused() -> None:
    parquet({"a": [str(i) for i in range(1000)]}, compression="none", use_dictionary=False)
    data = PARQUET.read_bytes()
    PARQUET.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"my\.parquet is not a Parquet file, or damaged"):
        ParquetFile(PARQUET, TextFormat())
    PARQUET.write_bytes(data.replace(b"500", b"5\xff0"))
    with pytest.raises(DataError, match=r"my\.parquet is damaged: .*UTF8"):
        rows_of(ParquetFile(PARQUET, TextFormat()))
    PARQUET.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="is not a Parquet file"):
        ParquetFile(PARQUET, TextFormat())


def test_cells_that_memory_cannot_hold_are_not_called_damage() -> None:
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 64, pa.int32()), pa.array(["x" * (1 << 24)]))
    file = parquet({"a": cells}, store_schema=False)  # 16 MiB, and 64 times that when it is read
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 28), before[1]))
    try:
        with pytest.raises(MemoryError):
            list(file.batches())
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_parquet_files_that_are_none_are_refused() -> None:
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), PARQUET)
    with pytest.raises(DataError, match="has two columns a"):
        ParquetFile(PARQUET, TextFormat())
    with pytest.raises(DataError, match=r"my2\.parquet is not there") as raised:
        ParquetFile(Path("my2.parquet"), TextFormat())
    assert raised.value.problems[0].hint == "did you mean my.parquet?"
    PARQUET.unlink()
    PARQUET.mkdir()
    with pytest.raises(DataError, match="is a folder") as raised:
        ParquetFile(PARQUET, TextFormat())
    assert raised.value.problems[0].hint == "'data.path=my.parquet/*.parquet'"
