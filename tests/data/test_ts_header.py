"""The head of a `.ts` file."""

from __future__ import annotations

import pytest

from nnkit.data.ts_header import read_header
from nnkit.errors import DataError
from tests.data.broken_sequences import ts_text


def lines(**header: str | None) -> list[bytes]:
    return ts_text([], **header).encode().split(b"\n")


def test_a_header_says_how_series_are_written() -> None:
    header = read_header(lines(equalLength="TRUE", seriesLength="5"), "x.ts")
    assert (header.first, header.labels, header.classes) == (10, "classes", ("a", "b"))
    assert (header.dimensions, header.length, header.is_equal, header.notes) == (2, 5, True, ())


def test_what_nobody_has_said_is_open() -> None:
    header = read_header([b"@data"], "x.ts")
    assert (header.first, header.labels, header.dimensions, header.length) == (1, "none", None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"timeStamps": "true"}, r"x\.ts has time stamps \(@timestamps true\), which cannot be used"),
        ({"missing": "perhaps"}, r"x\.ts, line 4: @missing must be true or false, got 'perhaps'"),
        ({"missing": ""}, r"x\.ts, line 4: @missing must be true or false, got ''"),
        ({"dimensions": "two"}, r"line 6: @dimensions must be a whole number from 1, got 'two'"),
        ({"dimensions": "0"}, r"line 6: @dimensions must be a whole number from 1, got '0'"),
        ({"seriesLength": "-1"}, r"@seriesLength must be a whole number from 1, got '-1'"),
        ({"seriesLength": "1" * 50}, r"@seriesLength must be a whole number from 1, got '1{37}\.\.\.'"),
        ({"classLabel": "true a b a"}, r"line 8: @classLabel has 'a' twice"),
        ({"targetlabel": "true"}, r"has both @classlabel true and @targetlabel true"),
        ({"univariate": "true"}, r"x\.ts is @univariate true, but has @dimensions 2"),
    ],
)
def test_what_is_wrong_is_told(text: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_header(lines(**text), "x.ts")


def test_all_that_is_wrong_is_told_together() -> None:
    with pytest.raises(DataError) as caught:
        read_header(lines(timeStamps="true", missing="?", dimensions="x"), "x.ts")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x\.ts has no line @data"),
        ("# only\n@missing false\n", r"x\.ts has no line @data"),
        ("@missing false\n1,2,3\n@data", r"x\.ts, line 2: '1,2,3' stands before @data"),
        ("a" * 50, r"x\.ts, line 1: 'a{37}\.\.\.' stands before @data"),
        ("@\n@data", ""),
    ],
)
def test_a_file_without_data_is_told(text: str, message: str) -> None:
    if message:
        with pytest.raises(DataError, match=message):
            read_header(text.encode().split(b"\n"), "x.ts")
    else:
        assert read_header(text.encode().split(b"\n"), "x.ts").notes == (
            "x.ts, line 1: @ is not known, and left alone",
        )
