"""CSV files with a header."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.source import Source
from nnkit.data.table import read_table
from nnkit.errors import ConfigError, DataError

PATH = Path("my.csv")


def read(text: str, *, target: str = "y", task: str = "auto") -> Source:
    PATH.write_text(text, encoding="utf-8")
    return read_table(PATH, target=target, task=task)


def test_all_columns_but_the_target_are_features_in_their_order() -> None:
    source = read("b,kind,a\n1.5,dog,-2\n0,cat,1e3\n", target="kind")
    assert source.inputs[0].tolist() == [[1.5, -2.0], [0.0, 1000.0]]
    assert source.inputs[0].dtype == np.float32
    assert (source.target.tolist(), source.classes, source.target_names) == ([1, 0], ("cat", "dog"), ("kind",))
    assert (source.specs[0].kind, source.specs[0].shape) == ("features", (2,))


def test_the_task_is_read_off_the_target_or_given() -> None:
    assert read("a,y\n1,0.5\n2,1.5\n").spec.task == "regression"
    assert read("a,y\n1,0\n2,1\n").spec.task == "classification"
    assert read("a,y\n1,0\n2,1\n", task="regression").target.tolist() == [[0.0], [1.0]]


def test_true_and_false_are_numbers() -> None:
    assert read("a,y\nTrue,1\nFalse,0\n").inputs[0].tolist() == [[1.0], [0.0]]


def test_a_comma_at_the_end_of_each_row_adds_no_column() -> None:
    source = read("a,b,y\n1,2,0,\n3,4,1,\n")
    assert (source.inputs[0].tolist(), source.target.tolist()) == ([[1.0, 2.0], [3.0, 4.0]], [0, 1])


def test_a_long_column_of_numbers_and_text_has_text_classes() -> None:
    num_rows = 300_000  # pandas reads a file of this size piece by piece, unless it is told not to
    source = read("a,y\n" + "1,7\n" * num_rows + "1,b\n")
    assert source.classes == ("7", "b")
    assert np.bincount(source.target).tolist() == [num_rows, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,y\n1,2,0\n3,x,1\n", "my.csv, line 3, column b: 'x', which is not a finite number"),
        ("a,b,y\n1,2,0\n,4,1\n", "my.csv, line 3, column a: a missing value"),
        ("a,y\n1,0\n2,1\ninf,1\n", "my.csv, line 4, column a: 'inf', which is not a finite number"),
        ("a,y\n1e39,0\n2,1\n", r"my.csv, line 2, column a: '1e\+39', which is not a finite number"),
        ("a,y\n1,0\n\n  \n2,1\nx,1\n", "my.csv, line 6, column a: 'x'"),
        ('a,y\n"1\n",0\nx,1\n', "my.csv, line 4, column a: 'x'"),
        ("\n\na,y\n1,0\nx,1\n", "my.csv, line 5, column a: 'x'"),
        ("a,y\n1,0\n\n2,\n", "my.csv, line 4, column y: the target is missing"),
        ("a,y\n1,dog\n2,NA\n", "my.csv, line 3, column y: the target is missing"),
        ("a,b,y\n1,2,0\n1,2\n", "my.csv, line 3, column y: the target is missing"),
    ],
    ids=[
        "text", "missing", "inf", "beyond 32 bits", "after blank lines", "after a cell of two lines",
        "blank lines before the header", "no target", "NA target", "short row",
    ],
)  # fmt: skip
def test_a_bad_cell_is_named_by_line_and_column(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text)


@given(blanks=st.lists(st.integers(0, 2), min_size=4, max_size=4), bad=st.integers(0, 3))
def test_the_named_line_is_the_line_of_the_file(blanks: list[int], bad: int) -> None:
    rows = ["\n" * count + ("oops" if k == bad else str(k)) + ",0\n" for k, count in enumerate(blanks)]
    text = "a,y\n" + "".join(rows)
    line = next(number for number, words in enumerate(text.split("\n"), start=1) if words == "oops,0")
    with pytest.raises(DataError, match=f"line {line}, column a: 'oops'"):
        read(text)


def test_rows_of_a_compressed_file_are_counted_as_one_line_each() -> None:
    Path("my.csv.gz").write_bytes(gzip.compress(b"a,y\n1,0\nx,1\n"))
    with pytest.raises(DataError, match=r"my\.csv\.gz, line 3, column a: 'x'"):
        read_table(Path("my.csv.gz"), target="y", task="auto")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"my\.csv is not a CSV file: No columns"),
        ("a,y\n1,0\n1,0,7\n", r"my\.csv is not a CSV file: .* line 3"),
        ("a,y\n5,1,0\n6,1,1\n", r"my\.csv has rows with more values than the header has names"),
        ("a,y\n0,1,0\n1,1,1\n", r"my\.csv has rows with more values than the header has names"),
        ("y\n0\n1\n", r"my\.csv has no column beside the target y"),
    ],
    ids=["empty", "a long row", "long rows", "rows that begin with their number", "no features"],
)
def test_what_is_no_table_is_refused(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(text)


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    PATH.write_bytes("größe,y\n1,0\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"my\.csv is not a CSV file: 'utf-8' codec can't decode byte 0xf6"):
        read_table(PATH, target="y", task="auto")


def test_a_folder_is_refused() -> None:
    PATH.mkdir()
    with pytest.raises(DataError, match=r"my\.csv is not a CSV file: .*Is a directory"):
        read_table(PATH, target="y", task="auto")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(DataError, match=r"^my\.csv is not there$") as raised:
        read_table(PATH, target="y", task="auto")
    assert raised.value.problems[0].hint == "data.path=FILE.csv"


def test_an_unknown_target_column_is_named_beside_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"data\.target must be a column of my\.csv, got 'z'") as raised:
        read("a,y\n1,0\n", target="z")
    assert raised.value.problems[0].hint == "columns: a, y"


def test_text_for_regression_names_the_column() -> None:
    with pytest.raises(DataError, match=r"my\.csv: column y must be numbers for regression"):
        read("a,y\n1,dog\n2,cat\n", task="regression")
