"""What a run is worth: the numbers of the training, and of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from nnkit.assemble import prepare
from nnkit.data.source import Source
from nnkit.infer.evaluate import Evaluation, evaluate
from nnkit.infer.finished import open_run
from nnkit.infer.labelled import own_rows
from nnkit.infer.predictions import write_evaluated
from tests.finished import KINDS, OLD, copy_of, facts_of, opened, table
from tests.own_code import HERE
from tests.trained import config_of, trained


def on_test(kind: str) -> Evaluation:
    return evaluate(opened(kind), *own_rows(opened(kind), "test"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_the_metrics_are_those_of_the_training(kind: str, part: Any) -> None:
    run = opened(kind)
    found = evaluate(run, *own_rows(run, part)).metrics
    wanted = facts_of(run.folder)["metrics"]
    shared = [name for name in found if f"{part}/{name}" in wanted]
    assert shared
    for name in shared:
        assert found[name] == pytest.approx(wanted[f"{part}/{name}"], rel=1e-5, abs=1e-6), name


def test_the_metrics_of_a_first_format_run_are_those_of_its_training() -> None:
    run = open_run(copy_of(OLD))
    found = evaluate(run, *own_rows(run, "test")).metrics
    wanted = facts_of(run.folder)["metrics"]
    assert found["log_loss"] == pytest.approx(wanted["test/loss"], rel=1e-5)
    assert found["accuracy"] == wanted["test/accuracy"]


def test_classes_are_measured_as_scikit_learn_does() -> None:
    found = on_test("binary")
    second = found.answers.probabilities[:, 1]
    guessed = (second > opened("binary").threshold).astype(int)
    assert found.answers.predicted.tolist() == guessed.tolist()
    assert found.metrics["accuracy"] == pytest.approx(metrics.accuracy_score(found.target, guessed))
    assert found.metrics["roc_auc"] == pytest.approx(metrics.roc_auc_score(found.target, second))
    assert found.metrics["macro_f1"] == pytest.approx(metrics.f1_score(found.target, guessed, average="macro"))
    assert found.metrics["confusion"] == metrics.confusion_matrix(found.target, guessed).tolist()
    low, high = found.intervals["accuracy"]
    assert low <= found.metrics["accuracy"] <= high
    assert found.to_plain()["rows"] == 48


def test_values_are_measured_in_their_own_units() -> None:
    found = on_test("values")
    price = table()["price"].to_numpy()[found.rows][:, None]
    np.testing.assert_allclose(found.target, price, rtol=1e-6)
    assert found.metrics["rmse"] == pytest.approx(np.sqrt(np.mean((price - found.answers.predicted) ** 2)), rel=1e-5)
    assert found.metrics["rmse"] > 1000


def test_rows_count_by_their_weight() -> None:
    run = opened("array")
    source, rows = own_rows(run, "test")
    weight = np.ones(len(source), dtype=np.float32)
    weight[rows[:5]] = 3
    found = evaluate(run, replace(source, weight=weight), rows)
    wanted = metrics.accuracy_score(found.target, found.answers.predicted, sample_weight=weight[rows])
    assert found.metrics["accuracy"] == pytest.approx(wanted)


@pytest.mark.parametrize(("name", "shown"), [("first_two", "first_two"), ("log_loss", "own_log_loss")])
def test_a_metric_of_the_users_own_stands_among_the_others(name: str, shown: str) -> None:
    words = ("metric=code", f"metric.code={HERE}:AmongTheFirst", f"metric.name={name}", "batching.eval_batch_size=7")
    result = trained(*words)
    run = open_run(result.folder, trust=True)
    found = evaluate(run, *own_rows(run, "test"))
    wanted = metrics.top_k_accuracy_score(found.target, found.answers.probabilities, k=2)
    assert found.metrics[shown] == pytest.approx(wanted)
    assert found.metrics[shown] == pytest.approx(result.metrics[f"test/{name}"])
    p = found.answers.probabilities.astype(np.float64)
    wanted = metrics.log_loss(found.target, p / p.sum(1, keepdims=True))
    assert found.metrics["log_loss"] == pytest.approx(wanted, rel=1e-5)


def test_a_metric_of_the_users_own_sees_values_in_the_targets_units() -> None:
    words = ("data=diabetes", "metric=code", f"metric.code={HERE}:AbsoluteError", "metric.name=distance")
    run = open_run(trained(*words).folder, trust=True)
    found = evaluate(run, *own_rows(run, "val"))
    assert found.metrics["distance"] == pytest.approx(
        metrics.mean_absolute_error(found.target, found.answers.predicted), rel=1e-5
    )


def test_a_metric_that_is_not_finite_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(trained("metric=code", f"metric.code={HERE}:AmongTheFirst", "metric.name=mine").folder, trust=True)
    monkeypatch.setattr(f"{HERE}.AmongTheFirst.__call__", lambda *_: (float("nan"), 1))
    assert evaluate(run, *own_rows(run, "val")).metrics["mine"] is None


def test_the_macro_f1_of_labels_of_which_one_never_occurs_is_that_of_the_training() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 3)).astype(np.float32)
    y = (x > 0).astype(int)
    y[:, 2] = np.arange(90) == prepared_row(x, y)
    np.savez("rare.npz", x=x, y=y)
    result = trained(*RARE)
    run = open_run(result.folder)
    found = evaluate(run, *own_rows(run, "test"))
    wanted = metrics.f1_score(found.target, found.answers.predicted, average="macro", zero_division=0)
    assert not found.target[:, 2].any()
    assert not found.answers.predicted[:, 2].any()
    assert found.metrics["macro_f1"] == pytest.approx(wanted)
    assert found.metrics["macro_f1"] == pytest.approx(result.metrics["test/macro_f1"])
    low, high = found.intervals["macro_f1"]
    assert low <= found.metrics["macro_f1"] <= high


RARE = ("data=array", "data.path=rare.npz", "data.task=multilabel", "trainer.max_epochs=40", "optimizer.lr=0.03")


def prepared_row(x: Any, y: Any) -> int:
    """A row of the training part."""
    np.savez("rare.npz", x=x, y=y)
    return int(prepare(config_of(*RARE)).splits.train[0])


def test_categories_that_training_has_not_seen_are_counted() -> None:
    run = opened("binary")
    source, rows = own_rows(run, "all")
    town = source.inputs[0].column("town")
    columns = tuple(
        replace(c, categories=tuple("Paris" if t == "Oslo" else t for t in c.categories)) if c.name == "town" else c
        for c in source.inputs[0].columns
    )
    changed: Source = replace(source, inputs=(replace(source.inputs[0], columns=columns),))
    found = evaluate(run, changed, rows)
    assert found.unseen == {"town": int((town.values == town.categories.index("Oslo")).sum())}
    assert on_test("array").unseen == {}


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("binary", ["row", "target", "prediction", "probability_no", "probability_yes, gladly"]),
        ("values", ["row", "target", "prediction"]),
        ("several", ["row", "target_price", "target_count", "prediction_price", "prediction_count"]),
        (
            "labels",
            [
                "row",
                "target_red",
                "target_big",
                "prediction_red",
                "prediction_big",
                "probability_red",
                "probability_big",
            ],
        ),
    ],
)
def test_predictions_stand_beside_the_truth(kind: str, columns: list[str]) -> None:
    from pathlib import Path

    import pandas as pd

    found = on_test(kind)
    write_evaluated(opened(kind), found, Path("p.csv"))
    frame = pd.read_csv("p.csv")
    assert list(frame.columns) == columns
    assert frame["row"].tolist() == (found.rows + 1).tolist()
    if kind == "binary":
        assert frame["target"].tolist() == table()["bought"].to_numpy()[found.rows].tolist()
    if kind == "values":
        np.testing.assert_allclose(frame["target"], table()["price"].to_numpy()[found.rows], rtol=1e-6)
