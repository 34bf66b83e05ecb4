"""Measures against scikit-learn, against numpy, and where they are undefined."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from nnkit.infer.measures import classification, multilabel, regression
from nnkit.infer.terms import Array, calibration_bins


def classes(size: int) -> list[str]:
    return [f"class {number}" for number in range(size)]


def drawn_classes(size: int, rows: int = 200, *, true: int | None = None) -> tuple[Array, Array, Array]:
    """Return targets (N,) of the first classes alone, float32 probabilities (N, C), and the classes on top (N,)."""
    chance = np.random.default_rng(size)
    target = chance.integers(0, true or size, rows)
    logits = chance.normal(size=(rows, size))
    logits[np.arange(rows), target] += 1
    exp = np.exp(logits)
    probabilities = (exp / exp.sum(1, keepdims=True)).round(2).astype(np.float32) + np.float32(1e-4)
    return target, probabilities, probabilities.argmax(1)


def drawn_labels(rows: int = 150) -> tuple[Array, Array, Array]:
    chance = np.random.default_rng(3)
    target = (chance.random((rows, 4)) < [0.5, 0.2, 0.05, 0.7]).astype(np.int64)
    probabilities = np.clip(chance.random((rows, 4)).round(2) * 0.7 + 0.3 * target, 0, 1).astype(np.float32)
    return target, probabilities, (probabilities > 0.5).astype(np.int64)


def weights(rows: int, weighted: bool) -> Array | None:
    return np.random.default_rng(1).integers(0, 4, rows) / 2 if weighted else None


def normalised(probabilities: Array) -> Array:
    wide = probabilities.astype(np.float64)
    return np.asarray(wide / wide.sum(1, keepdims=True))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [2, 3, 7])
def test_measures_of_classes_are_those_of_scikit_learn(size: int, weighted: bool) -> None:
    target, p, predicted = drawn_classes(size)
    w = weights(200, weighted)
    found = classification(target, p, predicted, classes(size), w)
    binary = size == 2
    truth, score = (target, p[:, 1]) if binary else (np.eye(size)[target], p)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(target, predicted, sample_weight=w))
    balanced = sk.balanced_accuracy_score(target, predicted, sample_weight=w)
    assert found["balanced_accuracy"] == pytest.approx(balanced)
    macro = sk.f1_score(target, predicted, average="macro", sample_weight=w)
    assert found["macro_f1"] == pytest.approx(macro)
    loss = sk.log_loss(target, normalised(p), labels=range(size), sample_weight=w)
    assert found["log_loss"] == pytest.approx(loss)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(truth, score, sample_weight=w))
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(truth, score, sample_weight=w))
    expected = (
        sk.brier_score_loss(target, p[:, 1], sample_weight=w)
        if binary
        else np.average(((p.astype(np.float64) - np.eye(size)[target]) ** 2).sum(1), weights=w)
    )
    assert found["brier"] == pytest.approx(expected)
    assert found["confusion"] == sk.confusion_matrix(target, predicted, sample_weight=w).tolist()


@pytest.mark.parametrize("weighted", [False, True])
def test_each_class_has_scikit_learns_precision_recall_f1_and_support(weighted: bool) -> None:
    target, p, predicted = drawn_classes(4)
    w = weights(200, weighted)
    found = classification(target, p, predicted, classes(4), w)["per_class"]
    expected = sk.precision_recall_fscore_support(target, predicted, sample_weight=w)
    assert list(found) == classes(4)
    for name, values in zip(("precision", "recall", "f1", "support"), expected, strict=True):
        assert [found[c][name] for c in classes(4)] == pytest.approx(list(values))
    assert all(isinstance(found[c]["support"], float if weighted else int) for c in classes(4))


def test_calibration_error_is_the_weighted_gap_of_fifteen_bins() -> None:
    target, p, predicted = drawn_classes(3)
    w = np.random.default_rng(2).random(200)
    top, right = p.max(1), (predicted == target).astype(float)
    gaps = []
    for low in range(15):
        inside = (top > low / 15) & (top <= (low + 1) / 15)
        if inside.any():
            gap = np.average(right[inside], weights=w[inside]) - np.average(top[inside], weights=w[inside])
            gaps.append(w[inside].sum() / w.sum() * abs(gap))
    found = classification(target, p, predicted, classes(3), w)["calibration_error"]
    assert found == pytest.approx(sum(gaps), rel=1e-6)


def test_a_net_that_says_eighty_percent_and_is_right_that_often_is_calibrated() -> None:
    target = np.array([0, 0, 0, 0, 1])
    p = np.tile([0.8, 0.2], (5, 1))
    assert classification(target, p, p.argmax(1), classes(2))["calibration_error"] == pytest.approx(0)
    bins = calibration_bins(target, p, np.ones(5))
    assert bins.weight[11] == 5  # (11/15, 12/15]
    assert bins.confidence[11] == pytest.approx(0.8)
    assert np.isnan(bins.accuracy[0])


def test_classes_that_never_occur_are_left_out_of_means_and_are_none_by_name() -> None:
    target, p, predicted = drawn_classes(5, true=3)
    predicted = np.where(predicted == 4, 0, predicted)
    found = classification(target, p, predicted, classes(5))
    present = sk.recall_score(target, predicted, labels=[0, 1, 2], average="macro")
    assert found["balanced_accuracy"] == pytest.approx(present)
    assert found["macro_f1"] == pytest.approx(sk.f1_score(target, predicted, average="macro"))
    areas = [sk.roc_auc_score(target == number, p[:, number]) for number in range(3)]
    assert found["roc_auc"] == pytest.approx(np.mean(areas))
    assert found["per_class"]["class 4"] == {"precision": None, "recall": None, "f1": None, "support": 0}
    assert found["per_class"]["class 3"]["recall"] is None
    assert found["per_class"]["class 3"]["precision"] == 0
    assert [len(row) for row in found["confusion"]] == [5] * 5


def test_a_single_row_has_no_curves() -> None:
    found = classification(np.array([1]), np.array([[0.25, 0.75]]), np.array([1]), classes(2))
    assert found["accuracy"] == found["balanced_accuracy"] == found["macro_f1"] == 1
    assert found["log_loss"] == pytest.approx(-np.log(0.75))
    assert found["brier"] == pytest.approx(0.25**2)
    assert found["calibration_error"] == pytest.approx(0.25)
    assert found["roc_auc"] is None
    assert found["pr_auc"] is None


def test_a_certain_mistake_costs_as_much_as_in_scikit_learn() -> None:
    target, p = np.array([0, 1]), np.array([[0.0, 1.0], [0.5, 0.5]])
    found = classification(target, p, p.argmax(1), classes(2))["log_loss"]
    assert found == pytest.approx(sk.log_loss(target, p))


@pytest.mark.parametrize("weighted", [False, True])
def test_measures_of_labels_are_those_of_scikit_learn(weighted: bool) -> None:
    target, p, predicted = drawn_labels()
    w = weights(150, weighted)
    found = multilabel(target, p, predicted, classes(4), w)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(target, predicted, sample_weight=w))
    assert found["hamming_loss"] == pytest.approx(sk.hamming_loss(target, predicted, sample_weight=w))
    for kind in ("macro", "micro"):
        expected = sk.f1_score(target, predicted, average=kind, sample_weight=w)
        assert found[f"{kind}_f1"] == pytest.approx(expected)
    losses = [sk.log_loss(target[:, k], p[:, k].astype(np.float64), sample_weight=w) for k in range(4)]
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(target, p, sample_weight=w))
    assert found["pr_auc"] == pytest.approx(sk.average_precision_score(target, p, sample_weight=w))


def test_each_label_has_scikit_learns_values() -> None:
    target, p, predicted = drawn_labels()
    found = multilabel(target, p, predicted, classes(4))["per_label"]
    assert list(found) == classes(4)
    for k, values in enumerate(found.values()):
        y, guess = target[:, k], predicted[:, k]
        expected = {
            "precision": sk.precision_score(y, guess),
            "recall": sk.recall_score(y, guess),
            "f1": sk.f1_score(y, guess),
            "support": int(y.sum()),
            "accuracy": sk.accuracy_score(y, guess),
            "roc_auc": sk.roc_auc_score(y, p[:, k]),
            "pr_auc": sk.average_precision_score(y, p[:, k]),
        }
        assert values == pytest.approx(expected)


def test_a_label_that_never_occurs_counts_as_zero_in_macro_f1_and_has_no_curve() -> None:
    target, p, predicted = drawn_labels()
    target[:, 2] = predicted[:, 2] = 0
    found = multilabel(target, p, predicted, classes(4))
    rest = [0, 1, 3]
    expected = sk.f1_score(target, predicted, average="macro", zero_division=0)
    assert found["macro_f1"] == pytest.approx(expected)
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(target[:, rest], p[:, rest]))
    assert found["per_label"]["class 2"]["f1"] is None
    assert found["per_label"]["class 2"]["roc_auc"] is None
    assert found["per_label"]["class 2"]["accuracy"] == 1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
def test_measures_of_values_are_those_of_scikit_learn(columns: int, weighted: bool) -> None:
    chance = np.random.default_rng(5)
    target = chance.normal(3, [[1, 10, 100]], (80, 3))[:, :columns]
    predicted = target + chance.normal(size=target.shape)
    w = weights(80, weighted)
    found = regression(target, predicted, classes(columns), w)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(target, predicted, sample_weight=w))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(target, predicted, sample_weight=w))
    assert found["r2"] == pytest.approx(sk.r2_score(target, predicted, sample_weight=w))
    mape = sk.mean_absolute_percentage_error(target, predicted, sample_weight=w)
    assert found["mape"] == pytest.approx(mape)
    if columns > 1:
        assert found["residual_quantiles"] is None
        first = regression(target[:, :1], predicted[:, :1], ["x"], w)
        assert found["per_target"]["class 0"] == first
        assert list(found["per_target"]) == classes(3)


def test_residual_quantiles_are_numpys_of_true_minus_predicted() -> None:
    chance = np.random.default_rng(6)
    target, predicted = chance.normal(size=(2, 101, 1))
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    found = regression(target, predicted, ["x"])["residual_quantiles"]
    expected = np.quantile(target - predicted, levels, method="inverted_cdf")
    assert list(found) == ["0.05", "0.25", "0.5", "0.75", "0.95"]
    assert list(found.values()) == pytest.approx(list(expected))


def test_a_weight_of_two_is_the_row_twice() -> None:
    chance = np.random.default_rng(7)
    target, predicted = chance.normal(size=(2, 30, 1))
    twice = regression(np.repeat(target, 2, 0), np.repeat(predicted, 2, 0), ["x"])
    once = regression(target, predicted, ["x"], np.full(30, 2.0))
    assert once["residual_quantiles"] == twice["residual_quantiles"]
    assert once["rmse"] == pytest.approx(twice["rmse"])


@pytest.mark.parametrize(
    ("target", "predicted", "undefined"),
    [
        ([[2.0]], [[1.0]], {"r2"}),
        ([[0.1], [0.1], [0.1]], [[1.0], [2.0], [3.0]], {"r2"}),
        ([[0.0], [1.0]], [[1.0], [2.0]], {"mape"}),
        ([[1.0], [2.0]], [[1e300], [2.0]], {"rmse", "r2"}),
        ([[1.0], [2.0]], [[np.nan], [2.0]], {"rmse", "mae", "mape", "r2"}),
        (np.zeros((0, 1)), np.zeros((0, 1)), {"rmse", "mae", "r2", "mape"}),
    ],
)
def test_what_is_undefined_is_none(target: Any, predicted: Any, undefined: set[str]) -> None:
    found = regression(np.array(target), np.array(predicted), ["x"])
    assert {name for name, value in found.items() if value is None} == undefined


def test_the_mean_over_targets_leaves_out_a_constant_one() -> None:
    target = np.array([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    found = regression(target, target + np.array([0.5, 1]), ["varies", "constant"])
    assert found["per_target"]["constant"]["r2"] is None
    assert found["r2"] == found["per_target"]["varies"]["r2"]


@pytest.mark.parametrize("rows", [0, 1, 20])
def test_everything_goes_into_json(rows: int) -> None:
    target, p, predicted = drawn_classes(3, rows)
    many, q, labels = (array[:rows] for array in drawn_labels())
    values = np.ones((rows, 2))
    for found in (
        classification(target, p, predicted, classes(3)),
        multilabel(many, q, labels, classes(4)),
        regression(values, values, classes(2)),
    ):
        assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_rows_of_weight_zero_do_not_count() -> None:
    target, p, predicted = drawn_classes(3)
    w = (np.arange(200) < 50).astype(float)
    found = classification(target, p, predicted, classes(3), w)
    alone = classification(target[:50], p[:50], predicted[:50], classes(3), w[:50])
    assert found == alone


def test_probabilities_that_are_not_numbers_leave_their_measures_none() -> None:
    target, p, predicted = drawn_classes(3)
    p[0] = np.nan
    found = classification(target, p, predicted, classes(3))
    undefined = {name for name, value in found.items() if value is None}
    assert undefined == {"log_loss", "roc_auc", "pr_auc", "brier", "calibration_error"}
