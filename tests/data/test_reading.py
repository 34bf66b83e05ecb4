"""Files of one table as a frame: kinds decided once, bad cells told, every row counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data import reading as module
from nnkit.data.frame import Frame
from nnkit.data.head import TextFormat
from nnkit.data.reading import Reading
from nnkit.errors import ConfigError, DataError
from tests.data.broken_tables import small_blocks

FORM = TextFormat(missing_values=("", "NA"))


def file(text: str, name: str = "my.csv") -> Path:
    Path(name).write_text(text, encoding="utf-8", newline="")
    return Path(name).absolute()


def read(*texts: str, size: int = 1 << 20, **words: Any) -> tuple[Frame, Reading]:
    reading = Reading(FORM, **words)
    with small_blocks(size):
        return reading.read([file(text, f"my{i}.csv") for i, text in enumerate(texts)]), reading


def values(frame: Frame) -> dict[str, list[Any]]:
    return {c.name: [c.categories[v] if c.categories else v for v in c.values.tolist()] for c in frame.columns}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-99, 99), st.sampled_from("abc"), st.sampled_from(["NA", "1.5", "2"])), min_size=9),
    st.sampled_from([10, 50, 1 << 20]),
)
def test_columns_grow_over_blocks_and_files(rows: list[tuple[int, str, str]], size: int) -> None:
    text = "i,c,m\n" + "".join(f"{i},{c},{m}\n" for i, c, m in rows)
    frame, reading = read(text, text, size=size, wanted={"m": "numeric", "c": "categorical"})
    assert [c.kind for c in frame.columns] == ["numeric", "categorical", "numeric"]
    assert values(frame)["c"] == [c for _, c, _ in rows] * 2
    assert values(frame)["i"] == [i for i, _, _ in rows] * 2
    np.testing.assert_array_equal(frame.column("m").values, [np.nan if m == "NA" else float(m) for *_, m in rows] * 2)
    assert frame.column("i").values.dtype == np.float32
    assert (reading.rows_in, reading.dropped) == (2 * len(rows), {})


def test_a_large_column_is_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OWN_MEMORY", 100)
    frame, _ = read("a,b\n" + "".join(f"{i},{i % 3}\n" for i in range(5000)), size=1000)
    assert values(frame)["a"] == list(range(5000))
    frame.columns[0].values[0] = 7  # it is ours to write to


def test_a_column_that_needs_its_digits_is_float64_as_a_whole() -> None:
    frame, _ = read("a,b\n" + "1,2\n" * 50 + f"{2**40 + 1},2\n" * 9, size=40)
    assert frame.column("a").values.dtype == np.float64
    assert frame.column("a").values[-1] == 2**40 + 1


def test_a_column_that_begins_empty_is_decided_later() -> None:
    frame, reading = read("a,b,c\n" + "1,NA,\n" * 20, "a,b,c\n" + "1,x,\n" * 2 + "2,NA,\n", size=20)
    assert (reading.kinds, reading.left_out) == ({"a": "numeric", "b": "categorical"}, {"c": "no value"})
    assert frame.column("b").values.tolist() == [-1] * 20 + [0, 0, -1]
    frame, _ = read("a,b\n" + "1,\n" * 20 + "1,3\n2,4\n", size=20)
    assert np.isnan(frame.column("b").values[:20]).all()
    assert frame.column("b").values[20:].tolist() == [3, 4]


def test_texts_and_columns_without_a_name_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{i},{i},word {i},{i % 2}\n" for i in range(30))
    _, reading = read(",a,t,b\n" + rows)
    assert reading.left_out == {"column 1": "no name in the header", "t": "text: most cells differ"}
    _, reading = read(",a,t,b\n" + rows, wanted={"column 1": "numeric", "t": "categorical"})
    assert list(reading.kinds) == ["column 1", "a", "t", "b"]
    monkeypatch.setattr(module, "MOST_TEXTS", 25)
    frame, reading = read(",a,t,b\n" + rows, wanted={"t": "categorical"}, size=100)
    assert reading.left_out["t"] == "text: more than 25 different ones"
    assert [c.name for c in frame.columns] == ["a", "b"]
    assert len(frame) == 30


def test_labels_stay_what_they_say() -> None:
    text = "a,d,w,t\n" + "".join(f"1,2020-01-0{i % 9 + 1},yes,word {i}\n" for i in range(50))
    frame, _ = read(text, labels=frozenset({"d", "w", "t"}))
    assert [c.kind for c in frame.columns] == ["numeric", "categorical", "categorical", "categorical"]
    assert values(frame)["w"] == ["yes"] * 50


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_bad_cells_are_told_with_their_lines_up_to_twenty(size: int) -> None:
    text = "a,b\n" + "1,2\n" * 30 + '\n"1","x\ny"\n\n' + "oops,3\n" * 25
    with pytest.raises(DataError) as raised:
        read(text, size=size, wanted={"a": "numeric", "b": "categorical"})
    told = [problem.text.rsplit("/", 1)[-1] for problem in raised.value.problems]
    assert told[0] == "my0.csv, line 36, column a: 'oops' is not a finite number"
    assert len(told) == 20 if size > 10 else len(told) < 20
    assert "data.on_bad=skip" in raised.value.problems[0].hint


@pytest.mark.parametrize("size", [20, 1 << 20])
def test_few_bad_rows_may_be_skipped(size: int) -> None:
    good = [f"{i},{i}\n" for i in range(400)]
    rows = [*good[:100], "oops,1\n", *good[100:200], "1,2,3\n", *good[200:300], "1,NA\n", *good[300:]]
    frame, reading = read("a,b\n" + "".join(rows), size=size, on_bad="skip", needed=frozenset({"b"}))
    assert values(frame)["a"] == list(range(400))
    assert (reading.rows_in, reading.dropped) == (403, {"rows of another length": 1, "cells that cannot be read": 2})
    assert [text.rsplit("/", 1)[-1] for text in reading.bad_told] == [
        "my0.csv, line 203: 3 values, but there are 2 columns",
        "my0.csv, line 102, column a: 'oops' is not a finite number",
        "my0.csv, line 304, column b: the value is missing",
    ]
    for row, line in ((0, 2), (99, 101), (100, 103), (200, 204), (300, 305), (399, 404)):
        assert reading.place(row).endswith(f"my0.csv, line {line}")


def test_more_bad_rows_than_one_in_a_hundred_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"my0\.csv: 2 of 102 rows cannot be read, more than one in a hundred"
    ) as raised:
        read("a,b\n" + "1,2\n" * 100 + "oops,1\n1\n", on_bad="skip")
    assert [p.text.rsplit("/", 1)[-1] for p in raised.value.problems[1:]] == [
        "my0.csv, line 103: 1 values, but there are 2 columns",
        "my0.csv, line 102, column a: 'oops' is not a finite number",
    ]


def test_places_are_found_over_several_reads() -> None:
    reading = Reading(FORM)
    reading.read([file("a,b\n1,2\n\n3,4\n", "x.csv"), file("b,a\n5,6\n", "y.csv")])
    pq.write_table(pa.table({"b": [1, 2], "a": [3, 4]}), "z.parquet")
    reading.read([Path("z.parquet").absolute()])
    places = [reading.place(row).rsplit("/", 1)[-1] for row in range(5)]
    assert places == ["x.csv, line 2", "x.csv, line 4", "y.csv, line 2", "z.parquet, row 1", "z.parquet, row 2"]
    with pytest.raises(IndexError):
        reading.place(5)


def test_later_files_need_the_same_columns_in_any_order() -> None:
    frame, _ = read("a,b\n1,x\n2,y\n", "more,b,a\n9,z,3\n")
    assert values(frame) == {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    with pytest.raises(DataError, match=r"my1\.csv has no column b"):
        read("a,b\n1,x\n2,y\n", "a,c\n1,2\n")
    with pytest.raises(DataError, match=r"my1\.csv, line 2, column a: 'q' is not a finite number"):
        read("a,b\n1,x\n2,y\n", "a,b\nq,x\n")


@pytest.mark.parametrize(
    ("texts", "words", "message"),
    [
        (("a,b\n",), {}, r"my0\.csv holds no row"),
        (("a,b\n", "a,b\n"), {}, r"my0\.csv and 1 more holds no row"),
        (
            ("a,b\n1,NA\n2,NA\n",),
            {"needed": frozenset({"b"})},
            r"my0\.csv: column b holds no value in the first 2 rows",
        ),
        (('a;b\n1;3\n"1,5";2\n',), {}, r"my0\.csv, line 3, column a: '1,5' is a number with a comma"),
        (
            ("a,w\n1,2\n1,-2\n",),
            {"weights": frozenset({"w"})},
            r"my0\.csv, line 3, column w: '-2' is not a weight >= 0",
        ),
        (("a,b\n1,x\n2,y\n",), {"wanted": {"b": "numeric"}}, r"my0\.csv, line 2, column b: 'x' is not a finite number"),
    ],
)
def test_what_cannot_be_used_is_refused(texts: tuple[str, ...], words: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(*texts, **words)


def test_numbers_with_commas_may_be_categories() -> None:
    frame, _ = read("a;b\n1,5;3\n2,5;2\n", wanted={"a": "categorical"})
    assert values(frame)["a"] == ["1,5", "2,5"]


def test_a_wanted_column_must_be_there() -> None:
    with pytest.raises(ConfigError, match="has no column z"):
        read("a,b\n1,2\n", wanted={"z": "numeric"})


def test_a_parquet_column_of_lists_is_left_out_or_refused() -> None:
    path = Path("l.parquet").absolute()
    pq.write_table(pa.table({"a": [1, 2], "l": [[1], [2]], "t": pa.array([b"x", b"y"])}), path)
    reading = Reading(FORM)
    assert values(reading.read([path])) == {"a": [1, 2]}
    assert set(reading.left_out) == {"l", "t"}
    with pytest.raises(DataError, match=r"l\.parquet: column l holds list<"):
        Reading(FORM, wanted={"l": "numeric"}).read([path])


@pytest.mark.parametrize("size", [20, 1 << 20])
@pytest.mark.parametrize("word", ["nan", "NaN", "-nan"])
def test_a_cell_of_nan_is_refused_wherever_the_blocks_end(size: int, word: str) -> None:
    text = "a,b\n" + "1,2\n" * 40 + f"3,{word}\n" + "5,6\n" * 9
    with pytest.raises(DataError, match=rf"my0\.csv, line 42, column b: '{word}' is not a finite number"):
        read(text, size=size)


def test_the_rows_that_may_be_skipped_are_judged_over_all_files() -> None:
    few, many = "a,b\n" + "1,2\n" * 41 + "oops,2\n", "a,b\n" + "1,2\n" * 200
    for texts in ((few, many), (many, few)):
        frame, reading = read(*texts, on_bad="skip", wanted={"a": "numeric"})
        assert (len(frame), reading.rows_in, reading.dropped) == (241, 242, {"cells that cannot be read": 1})
    with pytest.raises(DataError, match=r"my0\.csv and 1 more: 4 of 245 rows cannot be read") as raised:
        read(few + "oops,2\n", many + "oops,2\n3,oops\n", on_bad="skip", wanted={"a": "numeric", "b": "numeric"})
    assert len(raised.value.problems) == 5


def test_exact_columns_keep_every_digit() -> None:
    text = "a,b,c\n" + "0.1,0.1,\n" * 9 + "0.7,0.7,0.3\n"
    frame, _ = read(text, size=20, exact=frozenset({"b", "c"}))
    assert [c.values.dtype for c in frame.columns] == [np.float32, np.float64, np.float64]
    assert frame.column("b").values.tolist() == [0.1] * 9 + [0.7]
    assert frame.column("c").values[-1] == 0.3
