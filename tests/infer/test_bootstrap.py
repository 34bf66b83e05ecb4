"""Bootstrap statistics against scikit-learn on the same resample, and intervals against theory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from nnkit.infer.bootstrap import (
    area_statistic,
    classification_statistics,
    intervals,
    multilabel_statistics,
    regression_statistics,
)
from nnkit.infer.terms import Array, Floats

RESAMPLES = 5


def drawn_classes(size: int, rows: int = 90) -> tuple[Array, Floats, Array]:
    """Return targets (N,), probabilities (N, C) with ties, and the classes on top (N,)."""
    chance = np.random.default_rng(size)
    target = chance.integers(0, size, rows)
    p = chance.integers(1, 10, (rows, size)).astype(np.float64)
    p[np.arange(rows), target] += 2
    p /= p.sum(1, keepdims=True)
    return target, p, p.argmax(1)


def drawn_counts(rows: int) -> Floats:
    """Return how often each row was drawn (R, N), as floats."""
    return np.random.default_rng(9).multinomial(rows, np.full(rows, 1 / rows), RESAMPLES).astype(np.float64)


def repeated(counts: Floats, *arrays: Array) -> Any:
    """Return the arrays with each row as often as one resample (N,) has drawn it."""
    return [np.repeat(array, counts.astype(int), axis=0) for array in arrays]


@pytest.mark.parametrize("size", [2, 3, 12])
def test_statistics_of_classes_are_scikit_learns_of_the_repeated_rows(size: int) -> None:
    target, p, predicted = drawn_classes(size)
    counts = drawn_counts(90)
    found = classification_statistics(target, p, predicted)(counts)
    assert ("roc_auc" in found) == (size == 2)
    for k in range(RESAMPLES):
        y, q, guess = repeated(counts[k], target, p, predicted)
        expected = {
            "accuracy": sk.accuracy_score(y, guess),
            "balanced_accuracy": sk.recall_score(y, guess, labels=np.unique(y), average="macro"),
            "macro_f1": sk.f1_score(y, guess, average="macro"),
            "log_loss": sk.log_loss(y, q, labels=range(size)),
            "brier": sk.brier_score_loss(y, q[:, 1]) if size == 2 else ((q - np.eye(size)[y]) ** 2).sum(1).mean(),
        }
        if size == 2:
            expected["roc_auc"] = sk.roc_auc_score(y, q[:, 1])
        assert {name: value[k] for name, value in found.items()} == pytest.approx(expected)


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_the_area_is_scikit_learns_with_and_without_ties(decimals: int) -> None:
    chance = np.random.default_rng(4)
    is_true, score = chance.random(60) < 0.3, chance.random(60).round(decimals)
    counts = chance.random((RESAMPLES, 60))
    expected = [sk.roc_auc_score(is_true, score, sample_weight=row) for row in counts]
    assert list(area_statistic(is_true, score)(counts)) == pytest.approx(expected)


def test_statistics_of_labels_are_scikit_learns_of_the_repeated_rows() -> None:
    chance = np.random.default_rng(2)
    target = (chance.random((70, 4)) < [0.5, 0.1, 0.8, 0]).astype(np.int64)  # the last one never occurs
    p = np.clip(chance.random((70, 4)) * [0.6, 0.6, 0.6, 0.5] + 0.4 * target, 0.01, 0.99)
    predicted = (p > 0.5).astype(np.int64)
    counts = drawn_counts(70)
    found = multilabel_statistics(target, p, predicted)(counts)
    for k in range(RESAMPLES):
        y, q, guess = repeated(counts[k], target, p, predicted)
        expected = {
            "accuracy": sk.accuracy_score(y, guess),
            "macro_f1": sk.f1_score(y, guess, average="macro", zero_division=0),
            "log_loss": np.mean([sk.log_loss(y[:, j], q[:, j], labels=[0, 1]) for j in range(4)]),
        }
        assert {name: value[k] for name, value in found.items()} == pytest.approx(expected)


def test_statistics_of_values_are_scikit_learns_under_weights() -> None:
    chance = np.random.default_rng(3)
    target = chance.normal([1000, 0], [1, 20], (50, 2))
    predicted = target + chance.normal(size=(50, 2))
    counts = drawn_counts(50) * chance.random(50)
    found = regression_statistics(target, predicted)(counts)
    for k, w in enumerate(counts):
        expected = {
            "rmse": sk.root_mean_squared_error(target, predicted, sample_weight=w),
            "mae": sk.mean_absolute_error(target, predicted, sample_weight=w),
            "r2": sk.r2_score(target, predicted, sample_weight=w),
        }
        assert {name: value[k] for name, value in found.items()} == pytest.approx(expected)


def test_the_interval_of_a_mean_agrees_with_the_normal_approximation() -> None:
    target, p, predicted = drawn_classes(3, 4000)
    found = intervals("classification", target, p, predicted, seed=1)["accuracy"]
    accuracy = float((target == predicted).mean())
    half = 1.96 * math.sqrt(accuracy * (1 - accuracy) / 4000)
    assert found == pytest.approx([accuracy - half, accuracy + half], abs=0.1 * half)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    chance = np.random.default_rng(8)
    hits = 0
    for trial in range(200):
        target = chance.normal(size=(80, 1))
        low, high = intervals("regression", target, target * 0, target, seed=trial, resamples=200)["rmse"]
        hits += low <= 1 <= high
    assert 176 <= hits <= 199  # three standard errors of a binomial around 0.94, as the percentile method falls short


def test_the_seed_decides_the_interval() -> None:
    data = drawn_classes(2)
    first, again, other = (intervals("classification", *data, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_blocks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    data = drawn_classes(2)
    whole = intervals("classification", *data, seed=1, resamples=100)
    monkeypatch.setattr("nnkit.infer.bootstrap.AT_ONCE", 7 * 90)
    parts = intervals("classification", *data, seed=1, resamples=100)
    assert all(parts[name] == pytest.approx(whole[name]) for name in whole)


def test_rows_of_weight_zero_are_never_drawn() -> None:
    target, p, predicted = drawn_classes(2)
    w = np.where(np.arange(90) < 40, 0.5, 0)
    found = intervals("classification", target, p, predicted, seed=1, weight=w)
    alone = intervals("classification", target[:40], p[:40], predicted[:40], seed=1, weight=w[:40])
    assert found == alone


def test_equal_weights_are_no_weights() -> None:
    data = drawn_classes(3)
    w = np.full(90, 3.0)
    plain = intervals("classification", *data, seed=1)
    weighted = intervals("classification", *data, seed=1, weight=w)
    assert sorted(weighted) == sorted(plain)
    assert all(weighted[name] == pytest.approx(plain[name]) for name in plain)


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_rows_have_no_intervals(rows: int) -> None:
    target, p, predicted = (array[:rows] for array in drawn_classes(2))
    assert intervals("classification", target, p, predicted, seed=1) == {}


def test_one_class_alone_has_no_area_but_an_accuracy() -> None:
    _, p, predicted = drawn_classes(2)
    found = intervals("classification", np.ones(90, np.int64), p, predicted, seed=1)
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1", "log_loss", "brier"}


def test_a_class_that_a_third_of_the_resamples_miss_has_no_area() -> None:
    target, p, predicted = (array[:50] for array in drawn_classes(2))
    lonely = (np.arange(50) == 7).astype(np.int64)
    assert "roc_auc" not in intervals("classification", lonely, p, predicted, seed=1)
    assert "roc_auc" in intervals("classification", target, p, predicted, seed=1)


def test_a_constant_target_has_no_r2() -> None:
    target = np.full((20, 1), 0.1)
    found = intervals("regression", target, target + np.arange(20)[:, None], target, seed=1)
    assert set(found) == {"rmse", "mae"}


def test_labels_that_never_occur_have_an_f1_of_zero() -> None:
    none = np.zeros((20, 2), np.int64)
    found = intervals("multilabel", none, np.full((20, 2), 0.25), none, seed=1)
    assert set(found) == {"accuracy", "macro_f1", "log_loss"}
    assert found["macro_f1"] == [0, 0]
    assert found["log_loss"] == pytest.approx([-math.log(0.75)] * 2)


def test_values_that_are_not_numbers_leave_their_measures_out() -> None:
    target, p, predicted = drawn_classes(2)
    p[:30] = np.nan
    found = intervals("classification", target, p, predicted, seed=1)
    assert set(found) == {"accuracy", "balanced_accuracy", "macro_f1"}
