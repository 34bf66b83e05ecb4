"""Text files of rows and columns: cells, lines, heads and blocks, beside Python's csv module and pandas."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from nnkit.data import blocks
from nnkit.data.delimited import TextFile, TextFormat
from nnkit.errors import DataError
from tests.data.broken_tables import small_blocks

PATH = Path("my.csv")
Cells = list[list[str | None]]

cell = st.text(st.sampled_from("ab1 .,;\t\"'\n\r#é|\0\u2028\x0b"), max_size=5)
tables = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(cell, min_size=width, max_size=width), min_size=1, max_size=6)
)


def opened(text: str | bytes, **form: Any) -> TextFile:
    PATH.write_bytes(text if isinstance(text, bytes) else text.encode())
    return TextFile(PATH.absolute(), TextFormat(**form))


def cells_of(file: TextFile, **words: bool) -> Cells:
    return [list(row.values()) for batch in file.batches(**words) for row in batch.to_pylist()]


def read(text: str | bytes, **form: Any) -> Cells:
    return cells_of(opened(text, **form))


def written(rows: list[list[str]], delimiter: str, newline: str, quoting: Any) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)
    return out.getvalue()


@settings(deadline=None)
@given(
    tables,
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    st.sampled_from([8, 40, 1 << 20]),
)
def test_cells_are_those_of_the_csv_module(
    rows: list[list[str]], delimiter: str, newline: str, quoting: Any, size: int
) -> None:
    names = [f"c{i}" for i in range(len(rows[0]))]
    text = written([names, *rows], delimiter, newline, quoting)
    assume(list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:] == rows)  # no bare \\r is written
    with small_blocks(size):
        file = opened(text, delimiter=delimiter, missing_values=())
        assert cells_of(file) == rows


@settings(deadline=None)
@given(tables)
def test_cells_are_those_of_pandas(rows: list[list[str]]) -> None:
    rows = [[each.replace("\0", "").replace("\r", "") for each in row] for row in rows]  # pandas cuts cells there
    text = written([["a", "b", "c", "d"][: len(rows[0])], *rows], ",", "\n", csv.QUOTE_ALL)
    with small_blocks(30):
        found = read(text, delimiter=",", missing_values=())
    frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False, na_filter=False)
    assert found == frame.to_numpy().tolist()


@settings(deadline=None)
@given(tables, st.data())
def test_the_line_of_each_row_is_its_line_in_the_file(rows: list[list[str]], data: st.DataObject) -> None:
    text, lines = "# by hand\na,b,c,d\n"[: 2 * len(rows[0]) + 9] + "\n", []
    for row in rows:
        text += data.draw(st.sampled_from(["", "\n", '#x,"\n', "  \n", "\r\n", "\r"]))
        lines.append(len(io.StringIO(text, newline=None).read().split("\n")))
        text += written([row], ",", "\n", csv.QUOTE_ALL)
    with small_blocks(data.draw(st.sampled_from([8, 40, 1 << 20]))):
        file = opened(text, delimiter=",", comment="#", missing_values=())
        assert cells_of(file) == rows
        assert [file.line_of(row) for row in range(len(rows))] == lines


@settings(deadline=None)
@given(tables, st.integers(0, 5), st.sampled_from([8, 40, 1 << 20]))
def test_a_row_of_another_length_is_named_by_its_line(rows: list[list[str]], place: int, size: int) -> None:
    place = min(place, len(rows))
    names = [f"c{i}" for i in range(len(rows[0]))]
    before = written([names, *rows[:place]], ",", "\n", csv.QUOTE_ALL)
    after = written(rows[place:], ",", "\n", csv.QUOTE_ALL)
    text = before + "more," * len(names) + "z\n" + after
    line = len(io.StringIO(before, newline=None).read().split("\n"))
    with small_blocks(size):
        file = opened(text, delimiter=",", missing_values=())
        if len(rows) == place == 0 or file.head.unnamed:
            return
        with pytest.raises(DataError, match=rf"my.csv, line {line}: {len(names) + 1} values, but there are"):
            cells_of(file)
        assert cells_of(file, skips_ragged=True) == rows
        assert file.ragged == [f"line {line}: {len(names) + 1} values, but there are {len(names)} columns"]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with small_blocks(16), suppress(DataError):
        cells_of(opened(data), skips_ragged=True)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('a,b\n1,5" disk\n2,"x"\n', [["1", '5" disk'], ["2", "x"]]),
        ('a,b\n1,"5" disk\n', [["1", "5 disk"]]),
        ('a,b\n1,""\n2,""""\n', [["1", None], ["2", '"']]),
        ('a,b\n1, "x"\n', [["1", ' "x"']]),
        ('a,b\n1,"x\n"  \n', [["1", "x\n  "]]),
        ("a,b\r1,2\r\r3,4", [["1", "2"], ["3", "4"]]),
        ("a,b\n1,2\n \t \n3,4\n", [["1", "2"], ["3", "4"]]),
        ("\n\n  \na,b\n1,2\n", [["1", "2"]]),
        ("\ufeffa,b\n1,2\n", [["1", "2"]]),
        ("a,b\n1,x\u2028y\x0bz\x1c\n", [["1", "x\u2028y\x0bz\x1c"]]),
    ],
    ids=["inch", "text after a quote", "quotes alone", "blank before", "blank after", "CR", "blank lines", "blank head",
         "mark", "separators of other kinds"],
)  # fmt: skip
def test_what_a_person_expects(text: str, rows: Cells) -> None:
    for size in (6, 1 << 20):
        with small_blocks(size):
            assert read(text, delimiter=",") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,x\n2,"z\n3,z\n', "line 3: a quote opens a cell here, and none closes it"),
        ('a,b\n1,x\n\n2,"z\n3,"z"\n', "line 4: a quote opens a cell here, and closes in the middle of one in line 5"),
        ('a,b\n1,x\n2,z\n3,"z', "line 4: a quote opens a cell here, and none closes it"),
        ("a,b\n1,2\n\n3\n", r"line 4: 1 values, but there are 2 columns"),
        ('a,b\n1,"2\n"\n3\n', r"line 4: 1 values, but there are 2 columns"),
        ("a,b\n0,1,0\n1,1,1\n", "line 2: 3 values, but there are 2 columns"),
        ("", "holds no row"),
        ("\n \n", "holds no row"),
        ("a,b,a\n1,2,3\n", "line 1, column 3: the header a stands twice"),
        ("a,column 3,\n1,2,3\n", "line 1, column 3: the header column 3 stands twice"),
        ("\n,,\n1,2,3\n", "line 2, column 1: the header is empty"),
        ("a\0,b\n1,2\n", "line 1: bytes of zero where names are expected"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_line(text: str, message: str) -> None:
    for size in (6, 1 << 20):
        with small_blocks(size), pytest.raises(DataError, match=rf"my\.csv(, | ){message}"):
            read(text, delimiter=",")


def test_a_row_that_ends_in_no_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LONGEST_ROW", 1000)
    with small_blocks(100), pytest.raises(DataError, match="line 3: a row of more than 0 MiB"):
        read('a,b\n1,2\n3,"' + "x\n" * 2000)
    monkeypatch.setattr("nnkit.data.delimited.LONGEST_ROW", 1000)
    with small_blocks(100), pytest.raises(DataError, match="no end of a line"):
        read("x" * 5000)


def test_a_cell_of_a_megabyte_is_read_whole() -> None:
    text = "a,b\n" + "1,2\n" * 9 + f'"{"x" * 1_000_000}",2\n3,4\n'
    assert [len(row[0] or "") for row in read(text)] == [1] * 9 + [1_000_000, 1]
    assert read(f'"a\n{"x" * 300_000}",b\n1,2\n') == [["1", "2"]]


def test_missing_values_are_null() -> None:
    assert read('a,b\nNA,""\n?,1\n', missing_values=("", "NA")) == [[None, None], ["?", "1"]]


def test_columns_may_come_as_numbers_while_they_are_numbers() -> None:
    text = "a,b\n" + "1,2\n" * 40 + "x,3\n" + "4,5\n" * 40
    with small_blocks(20):
        file = opened(text)
        file.numbers = {"a", "b"}
        kinds = [(str(batch.schema.field("a").type), str(batch.schema.field("b").type)) for batch in file.batches()]
    assert kinds[0] == ("double", "double")
    assert kinds[-1] == ("string", "double")
    assert file.numbers == {"b"}


def test_after_many_failures_all_columns_come_as_text() -> None:
    names = [f"c{i}" for i in range(9)]
    file = opened(",".join(names) + "\n" + ",".join("x" * 9) + "\n")
    file.numbers = set(names)
    assert cells_of(file) == [["x"] * 9]
    assert file.numbers == set()


def test_columns_may_be_left_unread() -> None:
    file = opened("a,b\n1,2\n")
    file.unread = frozenset({"a"})
    assert [batch.schema.names for batch in file.batches()] == [["b"]]


def test_a_stream_is_read_once_with_the_lines_of_what_was_just_read() -> None:
    text = ("a,b\n" + "".join(f"{i},x\n\n" for i in range(200))).encode()
    with small_blocks(64):
        file = TextFile(io.BytesIO(text), TextFormat())
        batches = file.batches()
        first = next(batches)
        assert [file.line_of(row) for row in (0, 1)] == [2, 4]
        rest = list(batches)
    assert first.num_rows + sum(batch.num_rows for batch in rest) == 200
    assert (file.line_of(199), file.line_of(0)) == (400, None)
    assert (file.name, file.is_stream, list(file.batches())) == ("standard input", True, [])


@pytest.mark.parametrize("text", ["a,b\n\n\n\n", 'a,b\n#1,2\n#3,"\n', "a,b\n  \n \n", "a\n\n\n"])
def test_blocks_without_a_row_are_passed_over(text: str) -> None:
    for size in (2, 1 << 20):
        with small_blocks(size):
            assert read(text, comment="#", delimiter=",") == []
            row = ["1", "2"][: 2 if "b" in text else 1]
            assert read(text + ",".join(row) + "\n", comment="#", delimiter=",") == [row]


def test_rows_of_another_length_are_told_up_to_a_number() -> None:
    with small_blocks(10):
        file = opened("a,b\n" + "1,2\n3\n" * 50)
        assert len(cells_of(file, skips_ragged=True)) == len(file.ragged) == 50
    assert file.ragged[0] == "line 3: 1 values, but there are 2 columns"
    assert file.ragged[-1] == "a row of another length"
