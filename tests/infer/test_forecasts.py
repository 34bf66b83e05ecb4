"""Errors of forecasts, against hand calculations, and what they are compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.infer.evaluate import evaluate
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import open_run
from nnkit.infer.forecasts import in_sample, measured, notes_on_mase
from nnkit.infer.labelled import new_rows, own_rows
from nnkit.run import train
from nnkit.spec import InputSpec
from tests.finished import copy_of, facts_of, folder_of, load_table, opened, sequence_path
from tests.trained import config_of

ONE = np.ones(1)


def on_test(kind: str) -> Evaluation:
    return evaluate(opened(kind), *own_rows(opened(kind), "test"))


def series(values: Any, windows: list[int], *, window: int = 2, horizon: int = 1, stretch: Any = None) -> Source:
    """Windows of one channel that start at some steps."""
    steps = np.array(values, np.float64)[:, None]
    starts = np.array(windows, np.int64)
    part = np.zeros(len(starts), np.int64) if stretch is None else np.array(stretch, np.int64)

    def cut(first: Any, length: int) -> Sequences:
        return Sequences(steps, first, np.full(len(starts), length, np.int64), part_of=part)

    spec = InputSpec("x", "series", (window, 1))
    return Source("s", (cut(starts, window),), (spec,), cut(starts + window, horizon), ("y",), channels=(0,))


def test_measures_of_one_channel_are_those_of_a_hand_calculation() -> None:
    target = np.array([[[1.0], [2.0]], [[3.0], [5.0]]])  # two windows, two steps ahead
    predicted = np.array([[[2.0], [2.0]], [[3.0], [2.0]]])  # errors -1 0 0 3
    found = measured(target, predicted, ["y"], 2 * ONE, 0.5 * ONE)
    assert found["rmse"] == pytest.approx(np.sqrt(10 / 4))
    assert found["mae"] == pytest.approx(1)
    assert found["scaled_mse"] == pytest.approx(10 / 16)
    assert found["scaled_mae"] == pytest.approx(0.5)
    assert found["mase"] == pytest.approx(2)
    assert found["per_horizon"] == {
        "1": {"rmse": pytest.approx(np.sqrt(0.5)), "mae": pytest.approx(0.5), "scaled_mse": pytest.approx(0.125)},
        "2": {"rmse": pytest.approx(np.sqrt(4.5)), "mae": pytest.approx(1.5), "scaled_mse": pytest.approx(1.125)},
    }
    assert found["per_target"]["y"] == {
        name: found[name] for name in ("rmse", "mae", "mase", "scaled_mse", "scaled_mae")
    }


def test_channels_count_alike_and_those_without_an_in_sample_error_have_no_mase() -> None:
    target, predicted = np.zeros((1, 1, 2)), np.array([[[1.0, 30.0]]])
    found = measured(target, predicted, ["a", "b"], np.array([1.0, 10.0]), np.array([0.5, np.nan]))
    assert (found["rmse"], found["mae"]) == (15.5, 15.5)
    assert (found["scaled_mse"], found["scaled_mae"]) == (5.0, 2.0)
    assert found["mase"] == 2.0
    assert found["per_target"]["b"]["mase"] is None
    assert measured(target, predicted, ["a", "b"], np.ones(2), np.full(2, np.nan))["mase"] is None


def test_what_is_not_finite_is_none() -> None:
    found = measured(np.zeros((1, 1, 1)), np.full((1, 1, 1), 1e200), ["y"], ONE, ONE)
    assert found["rmse"] is None
    assert found["mae"] == 1e200


def test_the_in_sample_error_is_that_of_the_last_season_again() -> None:
    values = [1.0, 4.0, 2.0, 8.0, 0.0, 99.0, 99.0]
    source, train = series(values, [0, 1, 2]), np.arange(3)  # training covers the first five steps
    assert in_sample(source, train, 1) == [pytest.approx((3 + 2 + 6 + 8) / 4)]
    assert in_sample(source, train, 2) == [pytest.approx((1 + 4 + 2) / 3)]
    assert in_sample(source, train[:1], 2) == [pytest.approx(1)]
    assert np.isnan(in_sample(source, train, 5)).all()
    assert in_sample(series([3.0] * 7, [0, 1, 2]), train, 1) == [0]


def test_no_difference_is_taken_over_a_gap() -> None:
    values = [1.0, 2.0, 3.0, 50.0, 54.0, 58.0]
    source = series(values, [0, 3], stretch=[0, 1])
    assert in_sample(source, np.arange(2), 1) == [pytest.approx((1 + 1 + 4 + 4) / 4)]
    whole = replace(source, target=replace(source.target, part_of=None))  # type: ignore[type-var]
    assert in_sample(whole, np.arange(2), 1) == [pytest.approx((1 + 1 + 47 + 4 + 4) / 5)]


@pytest.mark.parametrize("kind", ["sine", "load", "known"])
def test_the_baseline_is_that_of_the_training(kind: str) -> None:
    found, wanted = on_test(kind).metrics["baseline"], facts_of(folder_of(kind))["metrics"]
    for name in ("rmse", "mae", "scaled_mse", "scaled_mae"):
        assert found[name] == pytest.approx(wanted[f"baseline/{name}"], rel=1e-5)
    assert found["method"] == "the last season"
    steps = found["per_horizon"].values()
    assert np.mean([step["scaled_mse"] for step in steps]) == pytest.approx(found["scaled_mse"])


def test_mase_is_measured_on_the_training_steps() -> None:
    found, table = on_test("load").metrics, load_table()
    train = table["load"].to_numpy()[:195]  # of 300 steps 45 are for validation and 60 for the test
    wanted = found["per_target"]["load"]["mae"] / np.abs(train[12:] - train[:-12]).mean()
    assert found["per_target"]["load"]["mase"] == pytest.approx(wanted)


def test_targets_and_answers_have_their_own_units() -> None:
    found = on_test("load")
    assert found.target.shape == found.answers.predicted.shape == (55, 6, 2)
    assert found.target[:, :, 0].mean() > 90
    error = found.target - found.answers.predicted
    assert found.metrics["rmse"] == pytest.approx(np.sqrt((error**2).mean((0, 1))).mean())
    assert found.intervals == {}


def test_a_new_file_is_measured_in_all_its_windows_against_the_training_of_the_run() -> None:
    load_table().head(100).to_csv("new.csv", index=False)
    run = opened("load")
    source, rows = new_rows(run, Path("new.csv"))
    assert len(rows) == 100 - 24 - 6 + 1
    found = evaluate(run, source, rows).metrics["per_target"]["load"]
    own = on_test("load").metrics["per_target"]["load"]
    assert found["mae"] / found["mase"] == pytest.approx(own["mae"] / own["mase"])


def test_without_its_data_a_run_has_no_mase() -> None:
    folder = copy_of(folder_of("load"))
    text = (folder / "config.yaml").read_text().replace(str(sequence_path("load")), "/gone.csv")
    (folder / "config.yaml").write_text(text)
    load_table().head(100).to_csv("new.csv", index=False)
    run = open_run(folder)
    found = evaluate(run, *new_rows(run, Path("new.csv")))
    assert found.metrics["mase"] is None
    assert found.metrics["baseline"]["mase"] is None
    assert found.metrics["rmse"] > 0
    assert "which is not there any more" in found.notes[0]


def test_why_a_channel_has_no_mase_is_told() -> None:
    assert list(notes_on_mase(["a", "b"], np.array([0.5, 2.0]), 1)) == []
    (told,) = notes_on_mase(["a", "b", "c"], np.array([0.0, 2.0, 0.0]), 1)
    assert told == "mase leaves out a, c: in training the last value again is never wrong"
    (told,) = notes_on_mase(["a"], np.zeros(1), 7)
    assert "the last season again is never wrong" in told
    (told,) = notes_on_mase(["a", "b"], np.full(2, np.nan), 30)
    assert told.startswith("mase needs training steps 30 apart (data.season)")


def forecast_of(folder: str, values: pd.DataFrame, *words: str) -> Evaluation:
    """The evaluation of a series of days, by a run that has seen it."""
    path = Path(f"{folder}.csv").absolute()
    days = pd.date_range("2026-01-01", periods=len(values)).strftime("%Y-%m-%d")
    values.assign(day=days).to_csv(path, index=False)
    data = ("data=series", f"data.path={path}", "data.time=day", "data.window=4", "data.horizon=2")
    Path(folder).mkdir()
    train(config_of(*data, "model=linear", "trainer.max_epochs=1", *words), Path(folder).absolute())
    run = open_run(Path(folder).absolute())
    return evaluate(run, *own_rows(run, "test"))


def test_a_channel_that_never_changes_is_named() -> None:
    table = pd.DataFrame({"still": np.full(60, 5.0), "wave": np.sin(np.arange(60.0))})
    found = forecast_of("still", table, 'data.target=["still", "wave"]')
    assert found.metrics["per_target"]["still"]["mase"] is None
    assert found.notes == ("mase leaves out still: in training the last value again is never wrong",)


def test_the_baseline_takes_a_season_from_before_the_window() -> None:
    wave = np.tile(np.arange(7.0) ** 2, 12) + 0.01 * np.arange(84)
    found = forecast_of("weeks", pd.DataFrame({"wave": wave}), "data.target=wave", "data.season=7")
    assert found.metrics["baseline"]["method"] == "the last season"
    assert found.metrics["baseline"]["mae"] == pytest.approx(0.07)
    assert found.metrics["baseline"]["mase"] == pytest.approx(1)
    assert found.notes == ()
    run = open_run(Path("weeks").absolute())
    assert run.facts["metrics"]["baseline/mae"] == pytest.approx(0.07, rel=1e-4)
    early = evaluate(run, *own_rows(run, "train"))
    assert early.metrics["baseline"]["method"] == "the last value"
    (told,) = early.notes
    assert told.startswith("the forecast to be beaten is the last value, not the last season: 3 of ")
    assert told.endswith("windows have no 7 steps before them (data.season)")
