"""What runs on sequences are worth: the numbers of their training, whole sequences resampled, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from nnkit.data.sequences import Sequences
from nnkit.infer.bootstrap import intervals
from nnkit.infer.evaluate import evaluate
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import open_run
from nnkit.infer.history import history_part
from nnkit.infer.labelled import own_rows
from nnkit.infer.predict import Told, predict_parts
from nnkit.infer.predictions import write_evaluated
from tests.finished import SEQUENCES, facts_of, load_table, opened, sequence_path
from tests.own_code import HERE
from tests.trained import trained


def on_test(kind: str) -> Evaluation:
    return evaluate(opened(kind), *own_rows(opened(kind), "test"))


def written(kind: str) -> pd.DataFrame:
    write_evaluated(opened(kind), on_test(kind), Path("p.csv"))
    return pd.read_csv("p.csv", keep_default_na=False)


@pytest.mark.parametrize("kind", SEQUENCES)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_the_metrics_are_those_of_the_training(kind: str, part: Any) -> None:
    run = opened(kind)
    found = evaluate(run, *own_rows(run, part)).metrics
    wanted = facts_of(run.folder)["metrics"]
    shared = [name for name in found if f"{part}/{name}" in wanted]
    assert len(shared) >= 2
    for name in shared:
        assert found[name] == pytest.approx(wanted[f"{part}/{name}"], rel=1e-5, abs=1e-6), name
    loss = {"language": "nats", "forecast": "scaled_mse", "regression": None}.get(run.spec.task, "log_loss")
    if loss is not None:
        assert found[loss] == pytest.approx(wanted[f"{part}/loss"], rel=1e-5)


def test_each_step_of_a_sequence_counts() -> None:
    run, found = opened("bits"), on_test("bits")
    source, rows = own_rows(run, "test")
    assert isinstance(source.target, Sequences)
    steps = np.concatenate([list(source.target)[row] for row in rows])
    assert found.target.tolist() == steps.tolist()
    assert found.answers.predicted.tolist() == found.answers.probabilities.argmax(1).tolist()
    assert found.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(steps, found.answers.predicted))
    assert found.metrics["log_loss"] == pytest.approx(metrics.log_loss(steps, found.answers.probabilities), rel=1e-5)
    plain = found.to_plain()
    assert (plain["rows"], plain["steps"]) == (len(rows), len(steps))


def test_the_answers_of_a_sequence_do_not_depend_on_the_others() -> None:
    run = opened("bits")
    source, rows = own_rows(run, "test")
    found = on_test("bits")
    ends = np.cumsum(source.target.lengths[rows])  # type: ignore[union-attr]
    for row in (0, 5):
        alone = evaluate(run, source, rows[row : row + 1]).answers.probabilities
        whole = found.answers.probabilities[ends[row] - len(alone) : ends[row]]
        np.testing.assert_allclose(alone, whole, atol=1e-6)


def test_whole_sequences_are_drawn_again() -> None:
    rng = np.random.default_rng(0)
    target, p = rng.integers(0, 2, 40), rng.dirichlet([1, 1], 40)
    choices: dict[str, Any] = {"seed": 1, "resamples": 200}
    wanted = intervals("classification", target, p, p.argmax(1), **choices)
    # Copies of a row say nothing new: drawn with it, they leave the intervals as they are.
    copies = [np.repeat(x, 3, axis=0) for x in (target, p, p.argmax(1))]
    found = intervals("tagging", *copies, group=np.repeat(np.arange(40), 3), **choices)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name] == pytest.approx(wanted[name])
    narrower = intervals("tagging", *copies, **choices)["accuracy"]
    assert np.ptp(narrower) < np.ptp(wanted["accuracy"])
    assert intervals("tagging", *copies, group=np.zeros(120), **choices) == {}


def test_groups_keep_their_rows_where_some_weigh_nothing() -> None:
    rng = np.random.default_rng(0)
    target, p, group = rng.integers(0, 2, 60), rng.dirichlet([1, 1], 60), np.repeat(np.arange(20), 3)
    weight = np.where(group < 10, 1.0, 0.0)
    choices: dict[str, Any] = {"seed": 1, "resamples": 100}
    found = intervals("tagging", target, p, p.argmax(1), weight=weight, group=group, **choices)
    kept = group < 10
    wanted = intervals("tagging", target[kept], p[kept], p[kept].argmax(1), group=group[kept], **choices)
    assert found == wanted


def test_a_line_is_a_step_of_a_sequence() -> None:
    frame, found = written("bits"), on_test("bits")
    assert list(frame.columns) == ["row", "step", "target", "prediction", "probability_even", "probability_odd"]
    first = frame[frame["row"] == found.rows[0] + 1]
    assert first["step"].tolist() == list(range(1, len(first) + 1))
    assert frame["row"].drop_duplicates().tolist() == (found.rows + 1).tolist()
    assert frame["target"].tolist() == [("even", "odd")[k] for k in found.target]


def test_a_line_is_a_token_of_a_segment() -> None:
    frame, found = written("letters"), on_test("letters")
    assert list(frame.columns) == ["segment", "step", "target", "prediction", "probability"]
    assert frame["step"].tolist() == list(range(1, 13)) * len(found.rows)
    assert frame["segment"].tolist() == np.repeat(found.rows + 1, 12).tolist()
    assert "".join(frame["target"]) in Path(opened("letters").config.data.path).read_text()  # type: ignore[union-attr,arg-type]
    assert -np.log(frame["probability"]).mean() == pytest.approx(found.metrics["nats"], rel=1e-5)


def test_a_line_is_a_step_ahead_of_a_window() -> None:
    frame, table = written("load"), load_table()
    names = ["origin", "step", "time", "target_load", "target_gas", "prediction_load", "prediction_gas"]
    assert list(frame.columns) == names
    place = {time: number for number, time in enumerate(table["date"])}
    ahead = [place[time] for time in frame["time"]]
    assert [place[time] for time in frame["origin"]] == (np.array(ahead) - frame["step"]).tolist()
    assert frame["step"].tolist() == list(range(1, 7)) * (len(frame) // 6)
    np.testing.assert_allclose(frame[["target_load", "target_gas"]], table[["load", "gas"]].iloc[ahead], rtol=1e-6)


def test_steps_without_times_have_their_numbers() -> None:
    frame = written("sine")
    assert (frame["time"] - frame["origin"]).tolist() == frame["step"].tolist()
    assert frame["time"].max() == 260
    assert len(frame) == 4 * len(on_test("sine").rows)


def test_the_lines_of_a_forecast_are_written_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written("load")
    monkeypatch.setattr("nnkit.infer.predictions.AT_ONCE", 14)
    pd.testing.assert_frame_equal(written("load"), whole)


@pytest.mark.parametrize(
    "layout",
    ["%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "number"],
)
def test_times_are_written_as_the_file_does_and_as_predict_does(layout: str) -> None:
    times = pd.date_range("2026-01-01", periods=90, freq="D")
    stamps = times.strftime(layout).tolist() if layout != "number" else [str(7 * n) for n in range(90)]
    path = Path("days.csv").absolute()
    pd.DataFrame({"when": stamps, "y": np.sin(np.arange(90.0))}).to_csv(path, index=False)
    data = ("data=series", f"data.path={path}", "data.time=when", "data.target=y", "data.window=5", "data.horizon=2")
    result = trained(*data, "model=linear", "trainer.max_epochs=1")
    run = open_run(result.folder)
    write_evaluated(run, evaluate(run, *own_rows(run, "test")), Path("found.csv"))
    frame = pd.read_csv("found.csv", dtype=str)
    assert frame["time"].iloc[-2:].tolist() == stamps[-2:]
    assert frame["origin"].iloc[-1] == stamps[-3]
    pd.read_csv(path, dtype=str)[:88].to_csv("past.csv", index=False)
    told = Told()
    (batch,) = predict_parts(run, history_part(run, Path("past.csv"), told), told, proba=False)
    assert batch.to_pandas()["when"].tolist() == stamps[-2:]


def test_unknown_words_are_counted() -> None:
    found = on_test("reviews")
    assert all(word.startswith("n") for word in found.unknown)
    assert 0 < sum(found.unknown.values()) < found.tokens
    assert on_test("letters").unknown == {}


def of_own(*words: str) -> tuple[dict[str, Any], float]:
    """Return what is measured of a run with a metric of the user's own, and what its training said of that."""
    tiny = ("model=gru", "model.hidden_size=4", "trainer.max_epochs=1", "batching.eval_batch_size=7")
    result = trained(*words, *tiny, "metric=code", "metric.name=mine")
    run = open_run(result.folder, trust=True)
    return dict(evaluate(run, *own_rows(run, "test")).metrics), result.metrics["test/mine"]


def test_a_metric_of_the_users_own_sees_every_step() -> None:
    bits = ("data=parity", "data.samples=60", "data.min_length=3")
    found, wanted = of_own(*bits, f"metric.code={HERE}:AmongTheFirst", 'metric.kwargs={"k": 1}')
    assert found["mine"] == pytest.approx(wanted, rel=1e-6)
    assert found["mine"] == pytest.approx(found["accuracy"], rel=1e-6)


def test_a_metric_of_the_users_own_sees_every_token() -> None:
    book = ("data=text", f"data.path={sequence_path('letters')}", "data.task=language", "data.segment=8")
    found, wanted = of_own(*book, f"metric.code={HERE}:AmongTheFirst", 'metric.kwargs={"k": 1}')
    assert found["mine"] == pytest.approx(wanted, rel=1e-6)
    assert found["mine"] == pytest.approx(found["accuracy"], rel=1e-6)


@pytest.mark.parametrize("targets", ["load", "[load,gas]"])
def test_a_metric_of_the_users_own_sees_all_channels_in_their_own_units(targets: str) -> None:
    series = ("data=series", f"data.path={sequence_path('load')}", "data.time=date", f"data.target={targets}")
    found, wanted = of_own(*series, "data.window=20", "data.horizon=3", f"metric.code={HERE}:AbsoluteError")
    assert found["mine"] == pytest.approx(wanted, rel=1e-5)
    assert found["mine"] == pytest.approx(found["mae"], rel=1e-5)
