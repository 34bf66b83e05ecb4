"""What a forecast starts from: the last window of a file, an array or a frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnkit.config.sections.sequences import SeriesConfig
from nnkit.errors import ConfigError, DataError
from nnkit.infer.evaluate import evaluate
from nnkit.infer.history import history_part, window_of_array, windows_of_frame
from nnkit.infer.labelled import own_rows
from nnkit.infer.predict import Told, predict_parts
from tests.finished import load_table, opened


def forecast(kind: str, path: str) -> pd.DataFrame:
    told = Told()
    (batch,) = predict_parts(opened(kind), history_part(opened(kind), Path(path), told), told, proba=False)
    assert told.rows == 1
    return batch.to_pandas()


def with_ahead(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """The table as it is on the day of the forecast: of its last rows the holidays alone are known."""
    found = frame.copy()
    found.loc[len(frame) - rows :, ["load", "gas"]] = np.nan
    return found


def test_a_file_is_forecast_from_its_end_as_its_last_window_was_measured() -> None:
    load_table()[:294].to_csv("new.csv", index=False)
    run = opened("load")
    found = forecast("load", "new.csv")
    assert found["date"].tolist() == load_table()["date"][294:].tolist()
    wanted = evaluate(run, *own_rows(run, "test")).answers.predicted[-1]
    np.testing.assert_allclose(found[["prediction_load", "prediction_gas"]], wanted, rtol=1e-5)


def test_the_rows_ahead_hold_what_is_known_beforehand() -> None:
    with_ahead(load_table(), 6).to_csv("new.csv", index=False)
    run = opened("known")
    found = forecast("known", "new.csv")
    assert found["date"].tolist() == load_table()["date"][294:].tolist()
    wanted = evaluate(run, *own_rows(run, "test")).answers.predicted[-1]
    np.testing.assert_allclose(found[["prediction_load"]], wanted, rtol=1e-5)


def test_an_array_is_forecast_without_times() -> None:
    values = load_table()[["load", "gas", "holiday"]].to_numpy()[:294]
    np.save("new.npy", values)
    np.savez("new.npz", x=values)
    run = opened("load")
    wanted = evaluate(run, *own_rows(run, "test")).answers.predicted[-1]
    for name in ("new.npy", "new.npz"):
        found = forecast("load", name)
        assert found["step"].tolist() == [1, 2, 3, 4, 5, 6]
        np.testing.assert_allclose(found[["prediction_load", "prediction_gas"]], wanted, rtol=1e-5)


def test_files_that_cannot_be_forecast_from_are_told() -> None:
    load_table()[:20].to_csv("short.csv", index=False)
    with pytest.raises(DataError, match=r"short\.csv has 20 steps, fewer than the window of 24") as caught:
        forecast("load", "short.csv")
    assert "data." not in caught.value.problems[0].hint
    load_table().drop(columns="gas").to_csv("less.csv", index=False)
    with pytest.raises(ConfigError, match=r"less\.csv has no column gas"):
        forecast("load", "less.csv")
    load_table().to_csv("whole.csv", index=False)
    with pytest.raises(DataError, match="has 0 rows ahead, but 6 are needed, from 2026-01-07 06:00"):
        forecast("known", "whole.csv")
    with pytest.raises(ConfigError, match="data=sine has no files of its own form"):
        forecast("sine", "whole.csv")
    with pytest.raises(DataError, match=r"gone\.npy is not there") as caught:
        forecast("sine", "gone.npy")
    assert caught.value.problems[0].hint == ""
    np.savez("other.npz", y=np.zeros(30))
    with pytest.raises(DataError, match=r"other\.npz has no array named x, only y"):
        forecast("sine", "other.npz")


@pytest.mark.parametrize(
    ("kind", "array", "error", "text"),
    [
        ("load", np.zeros((20, 3)), DataError, "a has 20 steps, fewer than the window of 24"),
        ("load", np.zeros((30, 2)), DataError, r"a must hold numbers \(steps, 3\), got float64 of shape \(30, 2\)"),
        ("load", np.zeros((2, 30, 3)), DataError, "a must hold numbers"),
        ("sine", np.full(30, "x"), DataError, r"a must hold numbers \(steps, 1\), got <U1"),
        ("load", np.where(np.arange(30) == 28, np.nan, 0)[:, None] * np.ones(3), DataError, "a: row 29 is not finite"),
        ("known", np.zeros((30, 3)), ConfigError, "a is an array, but the forecast needs holiday ahead"),
    ],
)
def test_arrays_that_cannot_be_forecast_from_are_told(kind: str, array: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        window_of_array(opened(kind), array, "a")


def test_what_lies_before_the_window_does_not_matter() -> None:
    values = np.sin(np.arange(60.0))
    wanted = window_of_array(opened("sine"), values, "a").values
    values[:20] = np.nan
    np.testing.assert_array_equal(window_of_array(opened("sine"), values, "a").values, wanted)
    assert wanted.shape == (26, 1)


def test_a_frame_is_read_as_its_file_is() -> None:
    frame = with_ahead(load_table(), 6)
    past, ahead = windows_of_frame(opened("known"), frame)
    np.testing.assert_allclose(past.values, frame[["load", "gas", "holiday"]][270:294], rtol=1e-6)
    np.testing.assert_allclose(ahead.values, frame[["holiday"]][294:])
    (past,) = windows_of_frame(opened("load"), load_table().drop(columns="date"))
    np.testing.assert_allclose(past.values, load_table()[["load", "gas", "holiday"]][276:], rtol=1e-6)
    (past,) = windows_of_frame(opened("sine"), pd.DataFrame({"wave": np.arange(40.0)}))
    assert past.values[:, 0].tolist() == list(range(14, 40))


def changed(row: int, column: str, value: Any) -> pd.DataFrame:
    frame = load_table().astype({column: object})
    frame.loc[row, column] = value
    return frame


def untimed(ahead: int = 0) -> pd.DataFrame:
    return with_ahead(load_table(), ahead).drop(columns="date")


@pytest.mark.parametrize(
    ("kind", "frame", "error", "text"),
    [
        ("load", load_table().drop(columns=["gas", "holiday"]), ConfigError, "no column gas; .*no column holiday"),
        ("load", load_table()[:10], DataError, "the DataFrame has 10 steps, fewer than the window of 24"),
        ("load", changed(290, "gas", np.nan), DataError, "the DataFrame, row 291, column gas: the value is missing"),
        ("load", changed(290, "gas", "much"), DataError, "the DataFrame cannot be read: .*'much'.*column gas"),
        ("load", changed(290, "date", 7), DataError, "the DataFrame cannot be read: .*column date"),
        ("load", changed(290, "date", None), DataError, "the DataFrame, row 291, column date: the value is missing"),
        ("load", changed(290, "date", np.nan), DataError, "the DataFrame, row 291, column date: the value is missing"),
        ("load", changed(290, "date", "noon"), DataError, "row 291, column date: 'noon' is not a time"),
        ("load", changed(290, "date", "2026-01-07 00:30"), DataError, "row 291: 2026-01-07 00:30 stands there again"),
        ("load", load_table().drop(index=290), DataError, "the DataFrame, row 291: .*usual step is 30 minutes: 1 step"),
        ("load", load_table()[::2], DataError, "the DataFrame has a step of 1 hour, but the run was trained on"),
        ("known", load_table(), DataError, "the DataFrame has 0 rows ahead, but 6 are needed"),
        ("known", with_ahead(load_table(), 3), DataError, "the DataFrame has 3 rows ahead, but 6 are needed"),
        ("known", untimed(3), DataError, "the DataFrame has 3 rows ahead, but 6 are needed"),
        ("load", untimed()[:10], DataError, "the DataFrame has 10 steps, fewer than the window of 24"),
        ("load", untimed().assign(gas="much"), DataError, "the DataFrame, column gas: could not convert"),
        ("load", untimed().assign(gas=np.nan), DataError, "the DataFrame, row 277, column gas: the value is missing"),
    ],
)
def test_frames_that_cannot_be_forecast_from_are_told(
    kind: str, frame: pd.DataFrame, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        windows_of_frame(opened(kind), frame)
    told = " ".join(f"{problem.text} {problem.hint}" for problem in caught.value.problems)  # type: ignore[attr-defined]
    assert "data." not in told
    assert "parquet" not in told


def test_times_of_a_frame_may_be_of_any_kind_in_any_order_and_its_index() -> None:
    run, frame = opened("load"), load_table()
    (wanted,) = windows_of_frame(run, frame)
    dated = frame.assign(date=pd.to_datetime(frame["date"]))
    for other in (frame[::-1], dated, dated.set_index("date"), dated.assign(date=dated["date"].dt.tz_localize("UTC"))):
        (found,) = windows_of_frame(run, other)
        np.testing.assert_array_equal(found.values, wanted.values)


@pytest.mark.parametrize(("setting", "kept"), [("first", 0.0), ("last", 100.0), ("mean", 50.0)])
def test_a_repeat_in_a_frame_is_repaired_as_the_run_says(setting: Any, kept: float) -> None:
    run = opened("load")
    section = run.config.data
    assert isinstance(section, SeriesConfig)
    run = replace(run, config=replace(run.config, data=replace(section, duplicates=setting)))
    frame = pd.concat([load_table(), load_table()[-1:]]).reset_index(drop=True)
    frame.loc[len(frame) - 2 :, "gas"] = [0.0, 100.0]
    (found,) = windows_of_frame(run, frame)
    assert found.values[-1, 1] == kept


@pytest.mark.parametrize(("gaps", "row"), [("split", 290), ("interpolate", 290)])
def test_a_gap_in_a_frame_is_repaired_as_the_run_says(gaps: Any, row: int) -> None:
    run = opened("load")
    section = run.config.data
    assert isinstance(section, SeriesConfig)
    run = replace(run, config=replace(run.config, data=replace(section, gaps=gaps)))
    frame = load_table().drop(index=row)
    if gaps == "split":
        with pytest.raises(DataError, match="the DataFrame has 9 steps since the last gap"):
            windows_of_frame(run, frame)
        return
    (found,) = windows_of_frame(run, frame)
    filled = load_table().loc[[row - 1, row + 1], "load"].mean()
    assert found.values[24 - (300 - row), 0] == pytest.approx(filled)
