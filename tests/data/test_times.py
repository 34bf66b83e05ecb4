"""Times of a series: read, stepped and written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.times import Step, parse_times, usual_step
from nnkit.errors import DataError


def parsed(*texts: str) -> Any:
    return parse_times(texts, lambda number: f"line {number + 2}")


def step_of(*texts: str) -> Step:
    return usual_step(parsed(*texts).values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-02-29", "2024-02-29T00:00:00"),
        ("2024-02", "2024-02-01T00:00:00"),
        ("2024-02-29 13:05", "2024-02-29T13:05:00"),
        ("2024-02-29T13:05:06", "2024-02-29T13:05:06"),
        ("2024-02-29 13:05:06.25", "2024-02-29T13:05:06.25"),
        ("2024-02-29T13:05:06.123456789", "2024-02-29T13:05:06.123456789"),
        ("2024-02-29T13:05Z", "2024-02-29T13:05:00"),
        ("2024-02-29 13:05:06 +02:00", "2024-02-29T11:05:06"),
        ("2024-02-29T13:05:06+0230", "2024-02-29T10:35:06"),
        ("2024-02-29T23:05:06-02", "2024-03-01T01:05:06"),
        ("1969-12-31 23:59:59", "1969-12-31T23:59:59"),
    ],
)
def test_a_time_is_what_iso_8601_says(text: str, expected: str) -> None:
    found = parsed(text).values
    assert found.dtype == "datetime64[ns]"
    assert found[0] == np.datetime64(expected, "ns")


def test_whole_numbers_stay_numbers() -> None:
    found = parsed("0", "-3", "+12", "2024")
    assert (found.values.dtype, found.values.tolist()) == (np.int64, [0, -3, 12, 2024])
    assert found.layout.written(found.values) == ["0", "-3", "12", "2024"]


def test_whole_numbers_may_have_a_point_or_nineteen_digits() -> None:
    found = parsed("0.0", "1.0", "2.0")
    assert (found.values.dtype, found.values.tolist()) == (np.int64, [0, 1, 2])
    assert found.layout.written(found.values) == ["0.0", "1.0", "2.0"]
    nanoseconds = parsed("1700000000000000000", "1700000000000000001", "-9223372036854775807")
    assert nanoseconds.values.tolist() == [1_700_000_000_000_000_000, 1_700_000_000_000_000_001, 1 - 2**63]
    assert nanoseconds.layout.written(nanoseconds.values[:1]) == ["1700000000000000000"]


def test_zones_are_converted_to_utc_and_told() -> None:
    found = parsed("2024-01-01T00:00+01:00", "2024-07-01T00:00+02:00", "2024-07-01T00:00Z")
    assert found.values.astype("datetime64[h]").astype(str).tolist() == [
        "2023-12-31T23",
        "2024-06-30T22",
        "2024-07-01T00",
    ]
    assert found.note == "times are converted to UTC, from +01:00, +02:00"
    assert found.layout.written(found.values[:1]) == ["2023-12-31T23:00Z"]
    assert parsed("2024-01-01T00:00Z", "2024-01-01T01:00+00:00").note == ""


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("2024-01-01", "31/12/2024 13:00"), r"^line 3: '31/12/2024 13:00' is not a time$"),
        (("2024-01-01", "5"), r"^line 3: '5' is not a time$"),
        (("1.5", "2.5"), r"^line 2: '1\.5' is not a time$"),
        (("2024-01-01 10:00+25:00",), r"^line 2: '2024-01-01 10:00\+25:00' is not a time$"),
        (("1", "9223372036854775808"), r"^line 3: '9223372036854775808' does not fit into 64 bits$"),
        (("1" * 5000,), r"^line 2: '1{60}' does not fit into 64 bits$"),
        (("1", "2.5"), r"^line 3: '2\.5' is not a whole number, unlike '1'$"),
        (("1", "2", "2024-01-01"), r"^line 4: '2024-01-01' is not a whole number, unlike '1'$"),
        (("2024-02-29", "2023-02-29"), r"^line 3: '2023-02-29' is no time that there is between 1678 and 2261$"),
        (("2024-02-29 24:00",), r"^line 2: '2024-02-29 24:00' is no time that there is"),
        (("1500-01-01",), r"^line 2: '1500-01-01' is no time that there is between 1678 and 2261$"),
        (
            ("2024-01-01 10:00", "2024-01-01 11:00Z"),
            r"^line 3: '2024-01-01 11:00Z' has a zone, unlike '2024-01-01 10:00'$",
        ),
        (("2024-01-01 10:00Z", "2024-01-01"), r"^line 3: '2024-01-01' has no zone, unlike '2024-01-01 10:00Z'$"),
    ],
)
def test_what_is_no_time_is_told_with_its_place(texts: tuple[str, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parsed(*texts)


@pytest.mark.parametrize(
    ("texts", "step", "following"),
    [
        (("2024-01-30", "2024-01-31"), "1 day", ["2024-02-01", "2024-02-02"]),
        (("2024-02-22", "2024-02-29"), "7 days", ["2024-03-07", "2024-03-14"]),
        (("2024-01", "2024-02", "2024-04"), "1 month", ["2024-05", "2024-06"]),
        (("2024-11-01", "2024-12-01"), "1 month", ["2025-01-01", "2025-02-01"]),
        (("2023-11-15", "2023-12-15"), "1 month", ["2024-01-15", "2024-02-15"]),
        (("2023-11-30", "2023-12-31"), "1 month", ["2024-01-31", "2024-02-29"]),
        (("2023-06-30", "2023-09-30"), "3 months", ["2023-12-31", "2024-03-31"]),
        (("2022-12-31", "2023-12-31"), "1 year", ["2024-12-31", "2025-12-31"]),
        (("2022-01-30", "2024-01-30"), "2 years", ["2026-01-30", "2028-01-30"]),
        (("2024-01-04", "2024-01-05", "2024-01-08"), "1 day from Monday to Friday", ["2024-01-09", "2024-01-10"]),
        (("2024-01-05", "2024-01-06", "2024-01-08"), "1 day", ["2024-01-09", "2024-01-10"]),
        (("2024-01-31 23:00", "2024-02-01 00:00"), "1 hour", ["2024-02-01 01:00", "2024-02-01 02:00"]),
        (("2024-01-01T00:00:00", "2024-01-01T00:15:00"), "15 minutes", ["2024-01-01T00:30:00", "2024-01-01T00:45:00"]),
        (("2024-01-01 00:00:00.5", "2024-01-01 00:00:01.0"), "500 milliseconds", None),
        (("2024-01-01 00:00Z", "2024-01-01 01:00+00:00"), "1 hour", ["2024-01-01 02:00Z", "2024-01-01 03:00Z"]),
        (("1", "3", "5", "6"), "2", ["8", "10"]),
        (("5", "6", "8"), "1", ["9", "10"]),
    ],
)
def test_a_step_is_the_most_frequent_one_and_goes_on(texts: tuple[str, ...], step: str, following: Any) -> None:
    found = parsed(*texts)
    usual = usual_step(found.values)
    assert str(usual) == step
    ahead = usual.after(found.values[-1], 2)
    assert ahead.dtype == found.values.dtype
    expected = following or ["2024-01-01 00:00:01.5", "2024-01-01 00:00:02.0"]
    assert found.layout.written(ahead) == expected


def test_a_day_that_not_every_month_has_is_no_step_of_months() -> None:
    assert step_of("2024-05-30", "2024-06-30", "2024-07-30").unit == "nanosecond"


MONTHLY = st.sampled_from(["MS", "ME", "QS", "QE", "YS", "YE", "2MS"])
FIXED = st.sampled_from(["s", "7min", "h", "D", "3D", "W"])


@given(freq=MONTHLY | FIXED | st.just("B"), start=st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)))
def test_any_regular_series_goes_on_as_pandas_has_it(freq: str, start: datetime) -> None:
    start = start.replace(microsecond=0)
    expected = pd.date_range(start, periods=40, freq=freq)
    times = expected.to_numpy().astype("datetime64[ns]")
    step = usual_step(times[:30])
    np.testing.assert_array_equal(step.after(times[29], 10), times[30:])
    assert set(np.diff(step.places(times)).tolist()) == {step.size}
    assert step.is_of(times[7:12])
    assert step.is_of(times[9:10])


@given(
    start=st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    timespec=st.sampled_from(["minutes", "seconds", "milliseconds", "microseconds"]),
    separator=st.sampled_from([" ", "T"]),
    size=st.sampled_from([timedelta(minutes=1), timedelta(hours=5), timedelta(days=1)]),
)
def test_what_is_read_is_written_as_it_was(start: datetime, timespec: str, separator: str, size: timedelta) -> None:
    texts = [(start + k * size).isoformat(separator, timespec) for k in range(5)]
    found = parsed(*texts)
    assert found.layout.written(found.values) == texts
    assert found.layout.written(usual_step(found.values).after(found.values[2], 2)) == texts[3:]
