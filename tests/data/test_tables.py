"""Which files there are, Parquet files, and the cells of a batch."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from nnkit.data.delimited import TextFile, TextFormat
from nnkit.data.tables import (
    BadCell,
    bad_cells,
    found_files,
    inferred,
    lacking_columns,
    missing_columns,
    names_of,
    open_table,
    read_batch,
)
from nnkit.errors import DataError
from tests.data.test_parquet import PARQUET, parquet

CSV = Path("my.csv")


def test_files_are_found_by_path_glob_or_list() -> None:
    for name in ("b.csv", "a.csv", "c[1].csv", "d.tsv"):
        Path(name).touch()
    here = Path.cwd()
    assert found_files("b.csv") == [here / "b.csv"]
    assert found_files(["b.csv", "a.*"]) == [here / "b.csv", here / "a.csv"]
    assert found_files("?.csv") == [here / "a.csv", here / "b.csv"]
    assert found_files("c[1].csv") == [here / "c[1].csv"]
    assert found_files("none.csv") == [here / "none.csv"]  # opening it says that it is not there
    assert found_files("~")[0].is_absolute()


@pytest.mark.parametrize(
    ("word", "message"),
    [("*.csv", r"no file matches \*\.csv"), ("x" * 5000, "cannot be read"), ("~nobody-here/a.csv", "cannot be read")],
)
def test_words_that_name_no_file_are_refused(word: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        found_files(word)


def test_the_suffix_tells_parquet_from_text() -> None:
    parquet({"a": [1]})
    PARQUET.rename("my.PQ")
    assert names_of(open_table(Path("my.PQ").absolute(), TextFormat())) == ("a",)
    CSV.write_text("a,b\n1,2\n")
    assert isinstance(open_table(CSV.absolute(), TextFormat()), TextFile)


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1, None]), "numeric"),
        (pa.array([1.5]), "numeric"),
        (pa.array(["1.5"]).cast(pa.decimal128(5, 2)), "numeric"),
        (pa.array([True]), "boolean"),
        (pa.array([datetime.date(2020, 1, 1)]), "date"),
        (pa.array([1], pa.timestamp("ns")), "date"),
        (pa.nulls(2, pa.float64()), "empty"),
        (pa.nulls(2), "empty"),
        (pa.array(["a", "b"]), "categorical"),
        (pa.array(["a", "b"]).dictionary_encode(), "categorical"),
        (pa.array(["a"], pa.large_string()), "categorical"),
        (pa.array([1], pa.time32("s")), "categorical"),
        (pa.array([[1]]), "text"),
        (pa.array([b"x"]), "text"),
        (pa.array([" 1", "?"]), "numeric"),
    ],
)
def test_kinds_of_columns(array: pa.Array, kind: str) -> None:
    assert inferred(array, TextFormat(missing_values=("?",))) == kind


def test_cells_of_a_batch() -> None:
    batch = pa.RecordBatch.from_pydict({"a": ["1", " x", None], "b": ["u", None, "v"], "c": [1.0, -2.0, 3.0]})
    kinds: Any = {"b": "categorical", "a": "numeric", "absent": "numeric", "c": "numeric"}
    with ThreadPoolExecutor(2) as threads:
        found = read_batch(batch, kinds, TextFormat(), threads)
        assert list(found) == ["b", "a", "c"]
        np.testing.assert_array_equal(found["a"].values, [1, np.nan, np.nan])
        bad = bad_cells(batch, found, kinds, frozenset({"a", "b"}), 10, frozenset({"c"}))
        assert bad == [
            BadCell(11, "b", "None", "missing"),
            BadCell(11, "a", " x", "numeric"),
            BadCell(11, "c", "-2.0", "weight"),
            BadCell(12, "a", "None", "missing"),
        ]
        with pytest.raises(DataError, match=r"column l holds list<.*>, not numeric values"):
            read_batch(pa.RecordBatch.from_pydict({"l": [[1]]}), {"l": "numeric"}, TextFormat(), threads)


def test_bad_cells_are_worded_with_their_place() -> None:
    CSV.write_text("a,b\n1,2\n\n3,4\n")
    text, rows = TextFile(CSV, TextFormat()), parquet({"a": [1, 2]})
    assert BadCell(1, "a", "", "missing").worded(text) == "my.csv, row 2, column a: the value is missing"
    assert len(list(text.batches())) == 1  # now that it has been read, lines are known
    assert BadCell(1, "a", "x", "numeric").worded(text) == "my.csv, line 4, column a: 'x' is not a finite number"
    assert BadCell(1, "a", "x" * 99, "date").worded(rows).endswith(f"'{'x' * 57}...' is not a date like 2026-01-31")
    assert BadCell(1, "a", "x", "boolean").worded(rows) == "my.parquet, row 2, column a: 'x' is not true or false"
    assert BadCell(0, "a", "-1", "weight").worded(text) == "my.csv, line 2, column a: '-1' is not a weight >= 0"
    assert BadCell(0, "a", "", "missing").worded(text) == "my.csv, line 2, column a: the value is missing"


def test_missing_columns_are_told_with_the_ones_there_are() -> None:
    CSV.write_text("price,size\n1,2\n")
    file = TextFile(CSV, TextFormat())
    problems = missing_columns(["prize", "zzz"], file).problems
    assert [p.text for p in problems] == ["my.csv has no column prize", "my.csv has no column zzz"]
    assert [p.hint for p in problems] == ["did you mean price?", "columns: price, size"]
    CSV.write_text("price;size\n1;2\n")
    problems = lacking_columns(["price"], TextFile(CSV, TextFormat(delimiter=","))).problems
    assert problems[0].hint == "columns: price;size; is data.delimiter right?"
