"""A series in a file: what becomes of its times, and of the cells that are not there."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.config.sections.sequences import SeriesConfig
from nnkit.data.sequences import Sequences
from nnkit.data.series import History, read_history, read_series
from nnkit.data.source import Source
from nnkit.errors import ConfigError, DataError

FILE = Path("load.csv")


def section(**changes: Any) -> SeriesConfig:
    settings: dict[str, Any] = {"path": str(FILE), "time": "date", "target": "load", "window": 3, "horizon": 2}
    settings |= {"val_fraction": 0.25, "test_fraction": 0.25}
    return SeriesConfig(kind="series", **(settings | changes))


def hour(number: int) -> str:
    return str(np.datetime64("2024-01-01T00", "h") + number).replace("T", " ") + ":00"


def lines(count: int = 20, time: Callable[[int], str] = hour) -> list[str]:
    """Return lines of times, a load that is the step's number, and its square."""
    return [f"{time(k)},{k},{k * k}" for k in range(count)]


def written(rows: Sequence[str] | None = None, header: str = "date,load,square") -> None:
    FILE.write_text("\n".join([header, *(lines() if rows is None else rows)]) + "\n")


def values_of(source: Source) -> Any:
    assert isinstance(source.target, Sequences)
    return source.target.values[:, 0].tolist()


def notes_of(source: Source) -> str:
    return "; ".join(source.rows.notes)


def test_a_series_is_windows_of_all_columns_of_numbers() -> None:
    written()
    source = read_series(section())
    assert source.name == str(FILE.absolute())
    assert (source.specs[0].shape, source.channels, source.target_names) == ((3, 2), (0,), ("load",))
    assert list(source.inputs[0])[1].tolist() == [[1, 1], [2, 4], [3, 9]]
    assert values_of(source) == list(range(20))
    assert source.times is not None
    assert source.times[[0, -1]].astype("datetime64[h]").astype(str).tolist() == ["2024-01-01T00", "2024-01-01T19"]
    assert source.rows.names == ("load", "square")
    assert source.rows.notes == (
        "a step is 1 hour",
        "of 20 steps 10 for training, 5 for validation, 5 for test",
    )


def test_text_dates_and_columns_without_a_name_or_a_value_are_left_out_and_told() -> None:
    rows = [f"{k},{hour(k)},{k},a{k % 2},{hour(k)},,{k}" for k in range(20)]
    written(rows, ",date,load,word,other,none,more")
    source = read_series(section())
    assert source.rows.names == ("load", "more")
    assert source.rows.left_out == {
        "column 1": "no name in the header",
        "word": "text",
        "other": "dates",
        "none": "no value in the first 20 rows",
    }


def test_only_named_columns_are_read_in_their_order() -> None:
    written([f"{row},x,{k}" for k, row in enumerate(lines())], "date,load,square,word,more")
    source = read_series(section(inputs=["more", "load"], target=["load"]))
    assert (source.rows.names, source.channels, source.rows.left_out) == (("more", "load"), (1,), {})


def test_columns_known_beforehand_are_seen_over_the_horizon_and_in_the_past() -> None:
    written([f"{row},{'yes' if k % 5 == 0 else 'no'}" for k, row in enumerate(lines())], "date,load,square,holiday")
    source = read_series(section(future=["holiday"]))
    assert [spec.name for spec in source.specs] == ["x", "future"]
    assert source.rows.names == ("load", "square", "holiday")
    assert list(source.inputs[1])[2].tolist() == [[1], [0]]
    without = read_series(section(future=["holiday"], inputs=["load"]))
    assert without.specs[0].shape == (3, 1)


def test_rows_that_are_there_for_a_forecast_are_left_out() -> None:
    written([*lines(), f"{hour(20)},,", f"{hour(21)},,"], "date,load,square")
    with pytest.raises(DataError, match=r"line 22, column load: the value is missing"):
        read_series(section())
    written([*(f"{row},0" for row in lines()), f"{hour(20)},,,1", f"{hour(21)},,,0"], "date,load,square,holiday")
    source = read_series(section(future=["holiday"]))
    assert values_of(source) == list(range(20))
    assert "the last 2 rows have times and known columns alone" in notes_of(source)


@pytest.mark.parametrize("kind", ["gz", "tsv", "parquet", "semicolons"])
def test_every_format_holds_the_same_series(kind: str) -> None:
    written()
    expected = read_series(section())
    text = FILE.read_text()
    if kind == "gz":
        path = Path("load.csv.gz")
        path.write_bytes(gzip.compress(text.encode()))
    elif kind == "parquet":
        path = Path("load.parquet")
        times = np.datetime64("2024-01-01T00", "ns") + np.arange(20) * np.timedelta64(1, "h")
        pq.write_table(pa.table({"date": times, "load": range(20), "square": [k * k for k in range(20)]}), path)
    else:
        path = Path("load.txt")
        path.write_text(text.replace(",", "\t" if kind == "tsv" else ";"))
    found = read_series(section(path=str(path)))
    assert found.fingerprint() == expected.fingerprint()
    np.testing.assert_array_equal(found.times, expected.times)


def test_times_of_a_parquet_file_are_written_without_an_empty_fraction() -> None:
    hours = np.datetime64("2024-01-01", "us") + np.arange(9) * np.timedelta64(1, "h")
    times = pa.array(hours).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"date": times, "load": range(9)}), "load.parquet")
    found = read_history(Path("load.parquet"), section(), channels=["load"], future=[], window=3, horizon=1)
    assert found.future_stamps(1) == ["2024-01-01 09:00:00Z"]


def test_whole_numbers_are_times() -> None:
    written(lines(time=str))
    source = read_series(section())
    assert source.times is not None
    assert source.times.dtype == np.int64
    assert source.times.tolist() == list(range(20))
    assert "a step is 1" in source.rows.notes


def test_times_with_a_zone_are_converted_and_told() -> None:
    written(lines(time=lambda k: hour(k) + "+01:00"))
    assert "times are converted to UTC, from +01:00" in notes_of(read_series(section()))


def test_rows_are_sorted_by_time_and_it_is_told() -> None:
    rows = lines()
    written([*rows[5:], *rows[:5]])
    source = read_series(section())
    assert values_of(source) == list(range(20))
    assert "5 rows stood behind a later time: sorted" in notes_of(source)


def test_a_column_of_one_value_is_told() -> None:
    written([f"{row},7" for row in lines()], "date,load,square,flat")
    assert "columns of one value alone: flat" in notes_of(read_series(section()))


@pytest.mark.parametrize(("how", "value"), [("first", 4), ("last", 40), ("mean", 22)])
def test_of_rows_that_repeat_a_time_one_stands_for_it(how: str, value: float) -> None:
    written([*lines(), f"{hour(4)},40,16"])
    source = read_series(section(duplicates=how))
    assert values_of(source) == [*range(4), value, *range(5, 20)]
    assert f"1 rows that repeat a time are left out by data.duplicates={how}" in notes_of(source)


def test_a_mean_is_one_of_the_cells_that_are_there() -> None:
    written([*lines(), f"{hour(4)},,16", f"{hour(4)},8,16", f"{hour(6)},,36"])
    source = read_series(section(duplicates="mean", gaps="interpolate"))
    assert values_of(source) == [*range(4), 6, *range(5, 20)]


def test_no_window_spans_a_gap() -> None:
    rows = lines(30)
    written([*rows[:10], *rows[12:]])
    source = read_series(section(gaps="split", parts=[18, 5, 5]))
    starts = source.inputs[0].starts
    assert not any(start < 10 < start + 5 for start in starts.tolist())
    assert source.rows.dropped["windows over a gap"] == 4
    assert "1 gaps in time, the first before 2024-01-01 12:00: none is spanned" in notes_of(source)


def test_what_is_missing_is_filled_on_a_line_and_counted() -> None:
    rows = lines(30)
    rows[20:23] = [f"{hour(20)},,400", f"{hour(21)},none,441", f"{hour(22)},inf,484"]
    written([*rows[:10], *rows[12:]])
    source = read_series(section(gaps="interpolate"))
    assert values_of(source) == list(range(30))
    assert source.times is not None
    assert set(np.diff(source.times.astype(np.int64)).tolist()) == {3600 * 10**9}
    assert "2 steps and 3 cells are filled on a line by data.gaps=interpolate" in notes_of(source)
    assert "2 cells of the file are no finite numbers, and count as missing" in notes_of(source)
    assert isinstance(source.target, Sequences)
    assert not {9, 10, 11, 12, 19, 20, 21, 22, 23} & set(source.target.starts.tolist())
    assert source.rows.dropped["windows whose target, or last step of the past, was filled"] == 8


def test_a_column_that_is_seen_alone_may_be_filled_where_another_is_told() -> None:
    rows = lines(30)
    rows[20] = f"{hour(20)},20,"
    written(rows)
    source = read_series(section(gaps="interpolate"))
    assert isinstance(source.target, Sequences)
    assert {20, 21, 22} & set(source.target.starts.tolist()) == {20, 22}


@given(
    absent=st.sets(st.integers(1, 16), max_size=8),  # so that some windows of each part are left
    shuffled=st.randoms(use_true_random=False),
    unit=st.sampled_from(["2024-01-01T00:00", "2024-01-01", "2024-01"]),
)
def test_a_filled_series_has_all_its_steps_whatever_is_missing(absent: set[int], shuffled: Any, unit: str) -> None:
    numbers = [k for k in range(40) if k not in absent]
    shuffled.shuffle(numbers)
    written([f"{np.datetime64(unit) + k},{3 * k + 1},0" for k in numbers])
    source = read_series(section(gaps="interpolate", window=2))
    np.testing.assert_allclose(values_of(source), [3 * k + 1 for k in range(40)])
    assert source.times is not None
    np.testing.assert_array_equal(source.times, (np.datetime64(unit) + np.arange(40)).astype("datetime64[ns]"))


def test_months_weekdays_and_years_are_regular() -> None:
    months = np.datetime64("2020-01") + np.arange(40)
    days = np.busday_offset("2024-01-01", np.arange(40), roll="forward")
    for times in (months.astype("datetime64[D]"), days, (months + 1).astype("datetime64[D]") - 1, months):
        written([f"{time},{k},0" for k, time in enumerate(times)])
        source = read_series(section())
        assert len(values_of(source)) == 40
        assert "gap" not in notes_of(source)


def sunday(minutes: int) -> str:
    """Return a local time from the hour before the clocks change, in steps of half an hour."""
    return str(np.datetime64("2024-03-31T00:00") + minutes)


def replaced(number: int, row: str) -> list[str]:
    rows = lines()
    rows[number] = row
    return rows


@pytest.mark.parametrize(
    ("rows", "changes", "message", "hint"),
    [
        (replaced(3, f"{hour(3)},x,9"), {}, r"load\.csv, line 5, column load: 'x' is not a finite number", "gaps="),
        (replaced(3, f"{hour(3)},inf,9"), {}, r"line 5, column load: 'inf' is not a finite number", "gaps="),
        (replaced(3, f"{hour(3)},,9"), {}, r"line 5, column load: the value is missing", "data.gaps=interpolate"),
        (replaced(3, f"{hour(3)},,9"), {"gaps": "split"}, r"line 5, column load: the value is missing", "data.gaps="),
        ([f"{hour(k)};{k},5;1" for k in range(9)], {}, r"line 2, column load: '0,5' is a number with a comma", "point"),
        (replaced(3, ",3,9"), {"gaps": "interpolate"}, r"line 5, column date: the value is missing", "mend the file"),
        (replaced(3, "03.01.2024,3,9"), {}, r"line 5, column date: '03\.01\.2024' is not a time", "2026-01-31"),
        (replaced(3, f"{hour(3)},3"), {}, r"line 5: 2 values, but there are 3 columns", "mend the line"),
        (
            [*lines()[:5], *lines()[7:]],
            {},
            r"line 7: 2024-01-01 07:00 comes after 2024-01-01 04:00, but the usual step is 1 hour: 2 steps are mis",
            "data.gaps=split, or data.gaps=interpolate",
        ),
        (
            [*lines()[:5], *lines()[6:9], *lines()[10:]],
            {},
            r"line 7: .* 1 step is missing; 2 gaps in all$",
            "data.gaps=split",
        ),
        (
            replaced(5, "2024-01-01 05:20,5,25"),
            {"gaps": "interpolate"},
            r"line 7: 2024-01-01 05:20 comes after 2024-01-01 04:00.* not a whole number of steps",
            "data.gaps=split",
        ),
        (
            [*lines()[::-1], f"{hour(30)},3,9"],
            {},
            r"line 22: 2024-01-02 06:00 comes after 2024-01-01 19:00.* 10 steps are missing$",
            "data.gaps=split",
        ),
        (
            [*lines(), "2034-01-01 00:00,1,1"],
            {"gaps": "interpolate"},
            r"lacks 87652 steps of 87673, at a usual step of 1 hour: more than there are",
            "data.gaps=split",
        ),
        (
            [*lines(), f"{hour(4)},4,16", f"{hour(6)},4,16"],
            {},
            r"line 22: 2024-01-01 04:00 stands there again, first in .*load\.csv, line 6; 2 rows repeat a time",
            "data.duplicates=first, last or mean",
        ),
        (
            [f"{sunday(30 * k + 60 * (k >= 4))},{k},0" for k in range(20)],
            {},
            r"line 6: 2024-03-31T03:00 comes after 2024-03-31T01:30.* 2 steps are missing",
            "a change of the clocks",
        ),
        (
            [f"{sunday(30 * k - 60 * (k >= 6))},{k},0" for k in range(20)],
            {},
            r"2024-03-31T02:00 stands there again",
            "a change of the clocks",
        ),
        (
            [f"2024-0{3 + (k > 9)}-{20 + k - 12 * (k > 9)}T00:00+0{1 + (k > 9)}:00,1,1" for k in range(20)],
            {},
            r"comes after",
            "a change of the clocks",
        ),
        ([f"{m},1,1" for m in (20240101, 20240201, 20240301, 20240501)], {}, r"20240501 comes after", "2026-01-31"),
        ([lines()[0]] * 9, {"duplicates": "first"}, r"has one time only, 2024-01-01 00:00: a step needs two", ""),
        ([], {}, r"load\.csv holds no row", "right file"),
        (
            [f"{hour(k)},,{k}" for k in range(20)],
            {"gaps": "interpolate"},
            r"line 2, column load: the value is missing, and there is none before it",
            "data.inputs",
        ),
        (
            replaced(19, f"{hour(19)},,1"),
            {"gaps": "interpolate"},
            r"line 21, column load: the value is missing, and there is none behind it",
            "data.inputs",
        ),
        (
            [f"{hour(k)},,1" for k in range(20)],
            {"future": ["square"]},
            r"load\.csv holds no value in load",
            "right file",
        ),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(
    rows: list[str], changes: dict[str, Any], message: str, hint: str
) -> None:
    written(rows, "date;load;square" if rows and ";" in rows[0] else "date,load,square")
    with pytest.raises(DataError, match=message) as caught:
        read_series(section(**changes))
    assert hint in caught.value.problems[0].hint


def test_only_times_of_day_early_on_a_sunday_let_think_of_the_clocks() -> None:
    for start, minutes in (("2024-03-31", 24 * 60), ("2024-03-30T00:00", 30), ("2024-03-31T12:00", 30)):
        times = np.datetime64(start, "m") + minutes * np.arange(20)
        written([f"{time},1,1" for time in [*times, times[2]]])
        with pytest.raises(DataError, match="stands there again") as caught:
            read_series(section())
        assert "clocks" not in caught.value.problems[0].hint


def test_many_bad_cells_are_told_by_the_first_of_them_and_their_number() -> None:
    written([f"{hour(k)},{k if k < 70 else ''},1" for k in range(100)])
    with pytest.raises(DataError) as caught:
        read_series(section())
    assert len(caught.value.problems) == 21
    assert "30 such cells in all" in caught.value.problems[-1].text


def test_a_column_of_lists_is_no_input() -> None:
    times = np.datetime64("2024-01-01") + np.arange(20)
    pq.write_table(pa.table({"date": times, "load": [[k] for k in range(20)]}), "load.parquet")
    with pytest.raises(DataError, match=r"load\.parquet: column load holds list<.*>, not numeric values"):
        read_series(section(path="load.parquet"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": ["load", "load"]}, r"data\.target names load twice"),
        ({"inputs": ["load", "square", "square"]}, r"data\.inputs names square twice"),
        ({"future": ["square", "square"]}, r"data\.future names square twice"),
        ({"inputs": ["date", "load"]}, r"column date is both data\.time and data\.inputs"),
        ({"future": ["load"]}, r"column load is both data\.target and data\.future"),
        ({"target": "laod"}, r"load\.csv has no column laod"),
        ({"time": "time"}, r"load\.csv has no column time"),
        ({"inputs": ["square"]}, r"data\.inputs lacks the target load"),
        ({"window": 30}, r"data\.window=30 and data\.horizon=2 need 32 steps, but .*load\.csv has 20"),
    ],
)
def test_settings_that_do_not_fit_the_file_are_told(changes: dict[str, Any], message: str) -> None:
    written()
    with pytest.raises(ConfigError, match=message):
        read_series(section(**changes))


def test_a_series_is_one_file() -> None:
    written()
    Path("more.csv").write_text(FILE.read_text())
    with pytest.raises(DataError, match=r"data\.path=\*\.csv matches 2 files, but a series is one"):
        read_series(section(path="*.csv"))


def history(future: Sequence[str] = (), window: int = 3, horizon: int = 2, **changes: Any) -> History:
    return read_history(
        FILE, section(**changes), channels=["square", "load"], future=future, window=window, horizon=horizon
    )


def test_a_forecast_starts_from_the_last_window_and_goes_on_in_time() -> None:
    written()
    found = history()
    assert found.values.tolist() == [[289, 17], [324, 18], [361, 19]]
    assert found.values.dtype == np.float32
    assert found.ahead is None
    assert found.layout.written(found.times) == [hour(17), hour(18), hour(19)]
    assert found.future_stamps(3) == [hour(20), hour(21), hour(22)]
    assert found.future_times(1)[0] == np.datetime64("2024-01-01T20")


def test_what_lies_before_the_window_does_not_matter() -> None:
    rows = [lines()[0], *lines()[3:]]
    rows[2:4] = [f"{hour(4)},,", rows[3], rows[3]]
    written(rows)
    assert history().values[:, 1].tolist() == [17, 18, 19]


def test_gaps_of_the_window_are_filled_where_the_run_did_so() -> None:
    written([*lines()[:17], *lines()[18:]])
    assert history(gaps="interpolate").values[:, 1].tolist() == [17, 18, 19]


def test_columns_that_are_known_ahead_come_from_the_rows_behind_the_last_value() -> None:
    known = [f"{hour(20 + k)},,,{k},{5 + k}" for k in range(3)]
    written([*(f"{row},9,9" for row in lines()), *known], "date,load,square,b,a")
    found = history(["a", "b"])
    assert found.values[-1].tolist() == [361, 19]
    assert found.ahead is not None
    assert found.ahead.tolist() == [[5, 0], [6, 1]]
    also_past = read_history(FILE, section(), channels=["load", "a"], future=["a"], window=2, horizon=3)
    assert (also_past.values.tolist(), also_past.ahead.tolist()) == ([[18, 9], [19, 9]], [[5], [6], [7]])  # type: ignore[union-attr]


def test_the_past_of_what_is_known_ahead_may_be_missing_where_it_is_not_seen() -> None:
    written([*(f"{row}," for row in lines()), f"{hour(20)},,,1", f"{hour(21)},,,2"], "date,load,square,known")
    found = history(["known"])
    assert found.ahead is not None
    assert found.ahead.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("rows", "changes", "message"),
    [
        (lines(4), {"window": 5}, r"load\.csv has 4 steps, fewer than the window of 5"),
        (
            [*lines()[:18], *lines()[19:]],
            {"gaps": "split"},
            r"has 1 steps since the last gap, fewer than the window of 3",
        ),
        ([*lines()[:18], *lines()[19:]], {}, r"line 20: 2024-01-01 19:00 comes after 2024-01-01 17:00"),
        ([*lines(), lines()[19]], {}, r"line 22: 2024-01-01 19:00 stands there again"),
        ([*lines()[:19], f"{hour(19)},,3"], {}, r"line 21, column load: the value is missing"),
        (lines(1), {"window": 1}, r"has one time only, 2024-01-01 00:00: a step needs two"),
    ],
)
def test_a_history_that_is_not_whole_is_told(rows: list[str], changes: dict[str, Any], message: str) -> None:
    written(rows)
    with pytest.raises(DataError, match=message):
        history(**changes)


@pytest.mark.parametrize(
    ("ahead", "message"),
    [
        ([], r"load\.csv has 0 rows ahead, but 2 are needed, from 2024-01-01 20:00 to 2024-01-01 21:00"),
        ([f"{hour(20)},,,1"], r"load\.csv has 1 rows ahead, but 2 are needed"),
        ([f"{hour(20)},,,1", f"{hour(22)},,,1"], r"line 23: 2024-01-01 22:00 stands where 2024-01-01 21:00 comes next"),
        ([f"{hour(20)},,,1", f"{hour(21)},,,"], r"line 23, column known: the value is missing"),
    ],
)
def test_what_is_not_known_ahead_is_told(ahead: list[str], message: str) -> None:
    written([*(f"{row},0" for row in lines()), *ahead], "date,load,square,known")
    with pytest.raises(DataError, match=message):
        history(["known"])


@pytest.mark.parametrize("changes", [{"inputs": ["load", "day"]}, {"future": ["day"]}, {"target": "day"}], ids=str)
@pytest.mark.parametrize("gaps", ["error", "interpolate"])
def test_a_column_of_text_is_no_input(changes: dict[str, Any], gaps: str) -> None:
    written([f"{row},{'Mon' if k % 7 else 'Sun'}" for k, row in enumerate(lines())], "date,load,square,day")
    with pytest.raises(DataError, match=r"load\.csv: column day holds text, not numbers$") as caught:
        read_series(section(gaps=gaps, **changes))
    assert "interpolate" not in caught.value.problems[0].hint


def test_a_column_that_a_file_lacks_is_told() -> None:
    written(header="date,load,squares")
    with pytest.raises(ConfigError, match=r"load\.csv has no column square"):
        history()
