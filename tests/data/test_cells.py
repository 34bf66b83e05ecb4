"""From cells of text to numbers, dates and categories."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.cells import Cells, as_text, compact, days, has_decimal_commas, kind_of, plain, read_cells, values_of
from nnkit.data.frame import ColumnKind

MISSING = ("", "NA")


def cells(texts: list[str | None], kind: ColumnKind, *, strip: str = " ", missing: tuple[str, ...] = MISSING) -> Cells:
    return read_cells(pa.array(texts, pa.string()), kind, strip=strip, missing=missing)


def bad(found: Cells) -> list[bool]:
    return [] if found.bad is None else np.asarray(found.bad).tolist()


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(width=32, allow_infinity=False), st.integers(-(10**9), 10**9))))
def test_numbers_are_read_as_python_reads_them(numbers: list[float | None]) -> None:
    numbers = [None if n is None or math.isnan(n) or abs(n) > 3e38 else n for n in numbers]
    found = cells([None if n is None else repr(n) for n in numbers], "numeric")
    expected = np.array([np.nan if n is None else n for n in numbers], dtype=np.float64)
    np.testing.assert_array_equal(found.values, expected)
    assert found.bad is None


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("+5", 5), (".5", 0.5), ("5.", 5), ("-1e-3", -0.001), ("1E2", 100), (" 7\t", 7), ("007", 7), ("-0", 0)],
)
def test_ways_to_write_a_number(text: str, value: float) -> None:
    assert cells([text, "1"], "numeric").values.tolist() == [value, 1]
    assert kind_of(pa.array([text.strip(), "1"])) == "numeric"


@pytest.mark.parametrize(
    "text", ["x", "1,5", "1_0", "0x1", "inf", "-Infinity", "1e39", "1e400", "1\0", "1 2", "nan", "٣"]
)
def test_what_is_no_finite_number_is_bad(text: str) -> None:
    found = cells([None, text, " NA ", "2"], "numeric")
    assert bad(found) == [False, True, False, False]
    assert np.isnan(found.values[[0, 2]]).all()


def test_words_for_missing_are_compared_without_blanks() -> None:
    assert np.isnan(cells([" ?", "? ", ""], "numeric", missing=("?", "")).values).all()
    assert cells([" ?", "x.", " x", ""], "categorical", strip=" .", missing=("?", "")).values.tolist() == [-1, 0, 0, -1]


@settings(deadline=None)
@given(st.lists(st.dates(), min_size=1))
def test_dates_are_days_since_1970(dates: list[Any]) -> None:
    found = cells([d.isoformat() for d in dates], "date")
    assert found.values.tolist() == [d.toordinal() - 719163 for d in dates]


def test_times_are_fractions_of_a_day() -> None:
    found = cells(["1970-01-02 12:00", "1970-01-01T06:00:00", None, "1969-12-31 18:00:00.5"], "date")
    np.testing.assert_allclose(found.values, [1.5, 0.25, np.nan, -0.25 + 0.5 / 86400], rtol=1e-12)
    found = cells(["2021-02-30", "2021-02-28", "28.2.2021", "2021-02-28 24:01", ""], "date")
    assert bad(found) == [True, False, True, True, False]


def test_truths_are_one_and_zero() -> None:
    found = cells(["yes", "No", "TRUE", "f", "1", "0", None, " y ", "maybe"], "boolean")
    np.testing.assert_array_equal(found.values, [1, 0, 1, 0, 1, 0, np.nan, 1, np.nan])
    assert bad(found) == [False] * 8 + [True]
    assert cells(["t"], "boolean").bad is None


@settings(deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from(["a", " a", "b", "NA", "", "é"]))))
def test_categories_are_numbered_as_they_come(texts: list[str | None]) -> None:
    found = cells(texts, "categorical")
    expected = [None if t is None or t.strip() in MISSING else t.strip() for t in texts]
    assert [None if n < 0 else found.categories[n] for n in found.values] == expected
    assert found.values.tolist() == pd.factorize(pd.Series(expected, dtype=object))[0].tolist()


@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (["1", "2.5", "-3e4"], "numeric"),
        (["1", "2", "3", "x"], "numeric"),
        (["1", "2", "x"], "categorical"),
        (["1"] * 18 + ["x", "y"], "categorical"),
        (["1"] * 38 + ["x", "y"], "numeric"),
        ([], "empty"),
        ([None, None], "empty"),
        (["yes", "no", "Yes"], "boolean"),
        (["t", "f"], "boolean"),
        (["0", "1"], "numeric"),
        (["yes", "no", "perhaps"], "categorical"),
        (["2020-01-01", "2020-01-01 10:00"], "date"),
        (["2020-01-01", "2020-01-02", "2020-01-03", "soon"], "date"),
        (["2020-01-01", "soon"], "categorical"),
        ([f"w{i}" for i in range(20)], "categorical"),
        ([f"w{i}" for i in range(21)], "text"),
        ([f"w{i % 30}" for i in range(60)], "categorical"),
    ],
)
def test_kinds_are_inferred(texts: list[str | None], kind: str) -> None:
    assert kind_of(pa.array(texts, pa.string())) == kind


@pytest.mark.parametrize(
    ("texts", "has"),
    [
        (["1,5", " 2,25", "3"], True),
        (["1,234,567"], True),
        (["1.5", "2"], False),
        (["a, b", "c"], False),
        ([None], False),
    ],
)
def test_commas_in_numbers_are_noticed(texts: list[str | None], has: bool) -> None:
    assert has_decimal_commas(pa.array(texts, pa.string()), strip=" ", missing=MISSING) == has
    assert not has_decimal_commas(pa.array([b"1,5"]), strip=" ", missing=MISSING)


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (pa.array([1, None], pa.int64()), "numeric", [1, np.nan]),
        (pa.array([1.5, float("nan")], pa.float16()), "numeric", [1.5, np.nan]),
        (pa.array(["1.25"]).cast(pa.decimal128(5, 2)), "numeric", [1.25]),
        (pa.array([2**64 - 1], pa.uint64()), "numeric", [float(2**64 - 1)]),
        (pa.array([True, None]), "numeric", [1, np.nan]),
        (pa.array([True, False]), "boolean", [1, 0]),
        (pa.array([1, 0]), "boolean", [1, 0]),
        (pa.array([3, None], pa.date32()), "date", [3, np.nan]),
        (pa.array([86_400_000], pa.date64()), "date", [1]),
        (pa.array([43_200_000_000_001], pa.timestamp("ns")), "date", [0.5]),
        (pa.array([86_400], pa.timestamp("s", tz="Europe/Berlin")), "date", [1]),
    ],
)
def test_typed_columns_are_taken_as_they_are(array: pa.Array, kind: ColumnKind, values: list[float]) -> None:
    found = values_of(array, kind)
    assert found is not None
    np.testing.assert_allclose(found.values, values)
    assert found.bad is None


def test_typed_values_that_cannot_be_used_are_bad() -> None:
    assert bad(values_of(pa.array([1.0, float("inf"), -1e39]), "numeric") or Cells([])) == [False, True, True]
    assert bad(values_of(pa.array([1, 2, None]), "boolean") or Cells([])) == [False, True, False]
    assert values_of(pa.array(["1"]), "numeric") is None
    assert values_of(pa.array([1]), "categorical") is None
    assert values_of(pa.array([1]), "date") is None


def test_only_what_has_a_text_is_text() -> None:
    assert as_text(pa.array([1, None])).to_pylist() == ["1", None]  # type: ignore[union-attr]
    assert as_text(plain(pa.array(["a", "b", "a"]).dictionary_encode())).to_pylist() == ["a", "b", "a"]  # type: ignore[union-attr]
    for array in (
        pa.array([b"x"]),
        pa.array([b"x"], pa.binary(1)),
        pa.array([[1]]),
        pa.nulls(1, pa.month_day_nano_interval()),
    ):
        assert as_text(array) is None
    assert plain(pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1], pa.int8()))).type == pa.int8()


def test_days_lose_no_time_stamp() -> None:
    assert days(pa.array([None], pa.timestamp("us"))).tolist() != [0]


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), max_size=30))
def test_compact_keeps_values_within_a_part_of_their_spread(numbers: list[float]) -> None:
    values = np.array(numbers, dtype=np.float64)
    found = compact(values)
    if found.dtype == np.float32 and not np.isnan(values).all():
        spread = np.nanmax(values) - np.nanmin(values)
        np.testing.assert_allclose(found, values, rtol=0, atol=max(1e-5 * spread, 0))
    else:
        np.testing.assert_array_equal(found, values)


def test_compact_keeps_what_needs_its_digits() -> None:
    assert compact(np.array([0.1, 0.7])).dtype == np.float32
    assert compact(np.array([1e9, 1e9 + 1.5])).dtype == np.float64
    assert compact(np.array([2.0**24 + 1, 0])).dtype == np.float64  # an identifier
    assert compact(np.array([5.0, 5.0])).dtype == np.float32
    assert compact(np.array([0.1, 0.1])).dtype == np.float64
    assert compact(np.array([np.nan])).dtype == np.float32
    assert compact(np.array([])).dtype == np.float32


def test_nan_is_bad_where_it_is_no_word_for_missing() -> None:
    assert bad(cells(["nan", "1", None, "1e39"], "numeric", missing=())) == [True, False, False, True]
    assert bad(cells(["nan", "1", None], "numeric", missing=())) == [True, False, False]


def test_what_may_stand_in_a_number_is_not_stripped_off_it() -> None:
    found = cells([".5", "-2.", "1e5.", " ?.", "<7", ""], "numeric", strip=" .-e<", missing=("?", ""))
    np.testing.assert_array_equal(found.values, [0.5, -2, np.nan, np.nan, 7, np.nan])
    assert bad(found) == [False, False, True, False, False, False]
    assert cells([".99", "1", " "], "numeric", strip=" .", missing=("99", "")).values[0] == 0.99


@pytest.mark.parametrize(
    ("texts", "strip", "kind"),
    [
        ([".5", "-1", "7"], " .-", "numeric"),
        (["e5", "e6", "e7"], "e", "categorical"),
        (["5%", "6%", "x."], "%.", "categorical"),
        (["5%", " 6 %", "?."], " %.", "numeric"),
        (["2020-01-01.", "2020-01-02"], ".", "date"),
    ],
)
def test_kinds_are_inferred_from_what_stripping_leaves(texts: list[str | None], strip: str, kind: str) -> None:
    assert kind_of(pa.array(texts, pa.string()), strip=strip, missing=("?",)) == kind
