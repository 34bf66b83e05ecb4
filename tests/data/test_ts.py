"""Series in the format `.ts`."""

from __future__ import annotations

import gzip
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.config.sections.sequences import TsConfig
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.data.ts import read_ts, read_ts_cases
from nnkit.errors import DataError
from nnkit.spec import InputSpec
from tests.data.broken_sequences import line_of, ts_text, write_ts

EVEN = ["1,2,3:4,5,6:a", "7,8,9:10,11,12:b", "0,0,1:0,1,0:a"]
VARYING = ["1,2,3:4,5,6:a", "7:10:b", "0,1:2,3:a"]


def read(path: str = "x.ts", **settings: Any) -> Source:
    return read_ts(TsConfig(kind="ts", path=path, val_fraction=0.2, test_fraction=0.2, **settings))


def test_series_of_one_length_are_an_array_of_cases_steps_and_channels() -> None:
    write_ts("x.ts", EVEN)
    source = read()
    assert source.inputs[0].dtype == np.float32
    np.testing.assert_array_equal(source.inputs[0][0], [[1, 4], [2, 5], [3, 6]])
    assert source.specs == (InputSpec("x", "series", (3, 2)),)
    assert (source.target.tolist(), source.classes, source.task) == ([0, 1, 0], ("a", "b"), "classification")  # type: ignore[union-attr]
    assert (source.test_rows, source.val_rows, source.account) == (None, None, None)


def test_series_that_vary_in_length_are_sequences() -> None:
    write_ts("x.ts", VARYING)
    source = read()
    (x,) = source.inputs
    assert isinstance(x, Sequences)
    assert [each.tolist() for each in x] == [[[1, 4], [2, 5], [3, 6]], [[7, 10]], [[0, 2], [1, 3]]]
    assert (str(x.values.dtype), source.specs[0].shape) == ("float32", (3, 2))


def test_series_of_one_channel_need_no_word_on_it() -> None:
    write_ts("x.ts", ["1,2:a", "3,4:b", "5,6:a"], univariate="true", dimensions=None, equalLength="true")
    np.testing.assert_array_equal(read().inputs[0][..., 0], [[1, 2], [3, 4], [5, 6]])


def test_files_for_validation_and_test_are_parts() -> None:
    for name, cases in (("x.ts", EVEN), ("val.ts", EVEN[:1]), ("test.ts", EVEN[1:])):
        write_ts(name, cases)
    source = read(val_path="val.ts", test_path="test.ts")
    assert (source.val_rows.tolist(), source.test_rows.tolist()) == ([3], [4, 5])  # type: ignore[union-attr]
    assert source.target.tolist() == [0, 1, 0, 0, 1, 0]  # type: ignore[union-attr]


def test_the_test_file_may_be_what_makes_the_lengths_vary() -> None:
    write_ts("x.ts", EVEN, equalLength="true")
    write_ts("test.ts", ["1,2:3,4:a"], equalLength="true")
    (x,) = read(test_path="test.ts").inputs
    assert x.lengths.tolist() == [3, 3, 3, 2]


def test_classes_stand_in_the_order_of_the_header_and_those_that_do_not_occur_are_told() -> None:
    write_ts("x.ts", EVEN, classLabel="true b c a")
    source = read()
    assert (source.classes, source.target.tolist()) == (("b", "a"), [1, 0, 1])  # type: ignore[union-attr]
    assert source.rows.notes == ("no series is of the class c",)


def test_values_may_be_the_target() -> None:
    write_ts("x.ts", ["1,2:3,4:0.1", "1,2:3,4:-2e3", "1,2:3,4:7"], classLabel=None, targetlabel="true")
    source = read()
    assert source.task == "regression"
    np.testing.assert_array_equal(source.target, [[0.1], [-2000], [7]])
    assert source.target.dtype == np.float64  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace("# a toy", "# Müller\u2019s toy").encode("cp1252"),
        lambda text: text.replace("@", "  @").upper().replace("TRUE A B", "True a b").replace(":A", ":a").encode(),
        lambda text: text.replace("\n", "\n\n# 1,2:3\n \t\n").encode(),
        lambda text: text.replace(",", " ,  ").replace(":", " : ").replace("\n", " \n").encode(),
        lambda text: gzip.compress(text.encode()),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.replace("@dimensions", "@dimension").encode(),
        lambda text: text.replace("\n@data", "\n@seriesLength 12\n@data").encode(),  # the longest, where they vary
    ],
    ids=["crlf", "cr", "bom", "comment", "capitals", "gaps", "blanks", "gz", "no end", "dimension", "longest"],
)
def test_files_as_the_world_has_them_are_read_alike(change: Any) -> None:
    write_ts("x.ts", VARYING)
    expected = read()
    Path("x.ts").write_bytes(change(ts_text(VARYING)).replace(b":B", b":b"))
    assert read().fingerprint() == expected.fingerprint()


def test_a_word_that_means_nothing_here_is_told() -> None:
    write_ts("x.ts", EVEN, maker="me")
    assert [note.split("/")[-1] for note in read().rows.notes] == ["x.ts, line 9: @maker is not known, and left alone"]


BAD_LINES = [
    ("1,2:a", "1 dimension beside the label 'a', but the header says 2"),
    ("1,2:3,4:5,6:a", "3 dimensions beside the label 'a', but the header says 2"),
    ("1,2:3,4", "1 dimension beside the label '3,4', but the header says 2"),
    ("1,2:3,4,5:a", "dimension 2 has 3 values, but dimension 1 has 2"),
    ("1,2:3,4:c", "the label 'c' is not among a, b"),
    ("1,2:3,4:", "the label '' is not among a, b"),
    ("1,?:3,4:a", r"dimension 1, position 2: the value is missing \('\?'\), and gaps cannot be used"),
    ("1,2:NaN,4:a", r"dimension 2, position 1: the value is missing \('NaN'\)"),
    ("1,2:3,:a", r"dimension 2, position 2: the value is missing \(''\)"),
    ("1,2:3,inf:a", "dimension 2, position 2: 'inf' is not a finite number of 32 bits"),
    ("1,2:1e39,4:a", "dimension 2, position 1: '1e39' is not a finite number of 32 bits"),
    ("1,2:3,four:a", "dimension 2, position 2: 'four' is not a number"),
    ("1,2:3,1_0:a", "dimension 2, position 2: '1_0' is not a number"),
    (":3:a", "dimension 1 is empty"),
    ("1,2: , :a", "dimension 2 is empty"),
    ("(0,1),(1,2):(0,3),(1,4):a", "values with time stamps in brackets cannot be used"),
    (f"{'9' * 60},x{'y' * 60}:1,1:a", r"dimension 1, position 1: '9{37}\.\.\.' is not a finite number"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES, ids=[line[:20] for line, _ in BAD_LINES])
def test_a_line_that_cannot_be_read_is_named_with_what_is_wrong(line: str, message: str) -> None:
    write_ts("x.ts", [*EVEN, line])
    with pytest.raises(DataError, match=rf"x\.ts, line 13: {message}"):
        read()


def test_all_lines_that_cannot_be_read_are_told_together_up_to_twenty() -> None:
    write_ts("x.ts", ["1,2:3,4:a", *["1,2:3,4:c"] * 19, "1,2:a"])
    with pytest.raises(DataError) as caught:
        read()
    assert len(caught.value.problems) == 20
    assert "line 30: 1 dimension" in caught.value.problems[-1].text
    write_ts("x.ts", ["1,2:3,4:c"] * 25)
    with pytest.raises(DataError, match="and 5 more"):
        read()


@pytest.mark.parametrize(
    ("header", "cases", "message"),
    [
        ({"dimensions": None}, ["1,2:3,4:a", "1,2:b"], "line 10: 1 dimension beside the label 'b', but line 9 has 2"),
        ({"dimensions": None}, ["1,2"], "line 9: no label behind a colon"),
        (
            {"equalLength": "true"},
            EVEN[:1] + VARYING[1:2],
            r"line 11: 1 value a .*@equalLength is true, and line 10 has 3",
        ),
        ({"equalLength": "true", "seriesLength": "4"}, EVEN[:1], r"line 11: 3 values .*@seriesLength says 4"),
        ({"classLabel": "false"}, ["1:2"], r"x\.ts has no labels to learn from"),
        ({"classLabel": None}, ["1:2"], r"x\.ts has no labels to learn from"),
        ({"classLabel": "true"}, EVEN, r"x\.ts: @classLabel true names no class"),
        ({}, [], r"x\.ts has no series behind @data"),
        ({"classLabel": None, "targetlabel": "true"}, ["1:2:x"], "value to be predicted, 'x', is not a finite number"),
        ({"classLabel": None, "targetlabel": "true"}, ["1:2:inf"], "value to be predicted, 'inf', is not a finite"),
        ({"classLabel": "true " + " ".join(map(str, range(30)))}, ["1:2:x"], "'x' is not among 0, 1, .*, 9, …$"),
    ],
)
def test_lines_that_do_not_go_with_the_header_are_told(header: Any, cases: list[str], message: str) -> None:
    write_ts("x.ts", cases, **header)
    with pytest.raises(DataError, match=message):
        read()


def test_a_second_file_must_go_with_the_first() -> None:
    write_ts("x.ts", EVEN)
    write_ts("test.ts", ["1,2:a"], dimensions="1")
    with pytest.raises(DataError, match=r"test\.ts, line 10: 1 dimension beside the label 'a', but the header says 2"):
        read(test_path="test.ts")
    write_ts("test.ts", ["1,2:3,4:c"], classLabel="true a b c")
    with pytest.raises(DataError, match=r"test\.ts, line 10: the label 'c' is not among a, b$"):
        read(test_path="test.ts")
    write_ts("test.ts", ["1,2:3,4:1"], classLabel=None, targetlabel="true")
    with pytest.raises(DataError, match=r"test\.ts has values as labels, but the file for training has classes"):
        read(test_path="test.ts")


def test_what_is_no_text_is_told() -> None:
    Path("x.ts").write_bytes(ts_text(EVEN).replace(":b", ":bé").encode("latin-1"))
    with pytest.raises(DataError, match=r"x\.ts, line 11: byte 17 of it, 0xe9, is not utf-8 text"):
        read()
    Path("x.ts").write_bytes(ts_text(EVEN).encode("utf-16"))
    with pytest.raises(DataError, match=r"x\.ts is written in utf-16"):
        read()
    with pytest.raises(DataError, match=r"y\.ts is not there"):
        read("y.ts")
    Path("folder").mkdir()
    with pytest.raises(DataError, match="folder is a folder"):
        read("folder")


def test_cases_for_prediction_are_read_with_labels_and_without() -> None:
    labelled = read_ts_cases(write_ts("x.ts", VARYING), channels=2)
    bare = [line.rsplit(":", 1)[0] for line in VARYING]
    declared = read_ts_cases(write_ts("y.ts", bare, classLabel="false"), channels=2)
    silent = read_ts_cases(write_ts("z.ts", bare), channels=2)  # the header tells of labels that are not there
    unknown = read_ts_cases(write_ts("w.ts", [f"{line}:?" for line in bare]), channels=2)
    for found in (labelled, declared, silent, unknown):
        assert [each.tolist() for each in found] == [[[1, 4], [2, 5], [3, 6]], [[7, 10]], [[0, 2], [1, 3]]]


def test_cases_for_prediction_have_the_channels_of_the_run() -> None:
    path = write_ts("x.ts", VARYING[:1], classLabel="false", dimensions="3")
    with pytest.raises(DataError, match=r"x\.ts, line 10: 3 dimensions, but the run has learned from 2"):
        read_ts_cases(path, channels=2)


NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def cases(draw: st.DrawFn) -> list[Any]:
    """Series (T, C) of one number of channels."""
    channels = draw(st.integers(1, 3))
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    return [draw(st.lists(st.tuples(*[NUMBERS] * channels), min_size=n, max_size=n)) for n in lengths]


@settings(max_examples=60, deadline=None)
@given(cases(), st.booleans())
def test_what_is_written_is_read_bit_by_bit(items: list[Any], is_labelled: bool) -> None:
    header = {"dimensions": None, "classLabel": "true a" if is_labelled else "false"}
    text = ts_text([line_of(item, "a" if is_labelled else "") for item in items], **header)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.ts")
        path.write_text(text)
        found = list(read_ts_cases(path, channels=len(items[0][0])))
    for item, array in zip(items, found, strict=True):
        np.testing.assert_array_equal(array, np.array(item, np.float32))


@pytest.mark.data
@pytest.mark.skipif("NNKIT_DATA" not in os.environ, reason="needs the data sets behind NNKIT_DATA")
def test_japanese_vowels_are_as_their_documentation_says() -> None:
    folder = Path(os.environ["NNKIT_DATA"]) / "japanese_vowels"
    source = read(f"{folder}/JapaneseVowels_TRAIN.ts", test_path=f"{folder}/JapaneseVowels_TEST.ts")
    (x,) = source.inputs
    assert (len(source), len(source.test_rows), source.classes) == (640, 370, tuple("123456789"))  # type: ignore[arg-type]
    assert (x.lengths.min(), x.longest, x.values.shape[1]) == (7, 29, 12)
    assert np.bincount(source.target[:270].astype(int)).tolist() == [30] * 9  # type: ignore[union-attr]
    assert np.bincount(source.target[270:].astype(int)).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]  # type: ignore[union-attr]
    np.testing.assert_allclose(x.values[0, :2], [1.860936, -0.207383], rtol=1e-6)
