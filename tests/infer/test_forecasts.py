"""Errors of forecasts, against hand calculations, and what they are compared with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.infer.evaluate import evaluate
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import open_run
from nnkit.infer.forecasts import in_sample, measured
from nnkit.infer.labelled import new_rows, own_rows
from nnkit.spec import InputSpec
from tests.finished import copy_of, facts_of, folder_of, load_table, opened, sequence_path

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
    assert in_sample(source, train, 5) == [None]
    assert in_sample(series([3.0] * 7, [0, 1, 2]), train, 1) == [None]


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
