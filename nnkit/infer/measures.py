"""How good predictions are: every measure of a task, as plain values that go straight into JSON.

The definitions are scikit-learn's. What is undefined is None, never nan: the R² of a constant target, the ROC curve of
a class that never occurs. An average leaves out the classes, labels or columns for which it is undefined; only in the
macro-F1 of labels they count as 0.
"""

# N rows, C classes, L labels, K target columns

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit.infer.terms import (
    Array,
    Floats,
    binary_log_losses,
    calibration_bins,
    class_means,
    label_macro_f1,
    log_losses,
    ratio,
    squared_errors,
    sums,
)

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def classification(
    target: Array,
    probabilities: Array,
    predicted: Array,
    classes: Sequence[str],
    weight: Array | None = None,
) -> dict[str, Any]:
    """Return the measures of one class out of C.

    Args:
        target: true class numbers (N,).
        probabilities: (N, C); rows may sum to 1 as nearly as float32 can.
        predicted: class numbers (N,).
        classes: the C names, in the order of the numbers.
        weight: of each row (N,), >= 0; None counts every row once.

    Returns:
        accuracy, balanced_accuracy, macro_f1, log_loss; roc_auc and pr_auc (average precision) of the second of two
        classes, or the mean of one class against the rest; brier of the second of two classes, or the sum of squares
        over more, averaged over rows; calibration_error; per_class by name; confusion, rows true, columns predicted.
    """
    rows = _weights(weight, len(target))
    kept = rows > 0
    target, predicted, rows = target[kept], predicted[kept], rows[kept]
    probabilities = probabilities[kept].astype(np.float64)
    size = len(classes)
    confusion = sums(target * size + predicted, rows, size * size).reshape(size, size)
    right, true, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    second = [1] if size == 2 else range(size)
    curves = [_areas(target == number, probabilities[:, number], rows) for number in second]
    return {
        **{name: _plain(value) for name, value in class_means(right, true, guessed).items()},
        "log_loss": _mean(log_losses(target, probabilities), rows),
        "roc_auc": _average(curve["roc_auc"] for curve in curves),
        "pr_auc": _average(curve["pr_auc"] for curve in curves),
        "brier": _mean(squared_errors(target, probabilities), rows),
        "calibration_error": _calibration_error(target, probabilities, rows),
        "per_class": _per_name(classes, right, true, guessed, whole=weight is None),
        "confusion": _counts(confusion, whole=weight is None),
    }


def multilabel(
    target: Array,
    probabilities: Array,
    predicted: Array,
    labels: Sequence[str],
    weight: Array | None = None,
) -> dict[str, Any]:
    """Return the measures of L labels that a row may have or not.

    Args:
        target: 0 or 1 (N, L).
        probabilities: (N, L).
        predicted: 0 or 1 (N, L).
        labels: the L names.
        weight: of each row (N,), >= 0; None counts every row once.

    Returns:
        accuracy (all labels of a row right), hamming_loss, macro_f1, micro_f1, log_loss (mean over all cells), roc_auc
        and pr_auc (means over labels); per_label by name. In macro_f1 a label that is neither true nor predicted
        anywhere counts as 0, as in scikit-learn and in the metrics of the training; its own f1 is None.
    """
    rows = _weights(weight, len(target))
    kept = rows > 0
    is_true, is_guessed, rows = target[kept] > 0, predicted[kept] > 0, rows[kept]
    probabilities = probabilities[kept].astype(np.float64)
    right, true, guessed = (rows @ cells.astype(np.float64) for cells in (is_true & is_guessed, is_true, is_guessed))
    same = is_true == is_guessed  # (N, L)
    curves = [_areas(*column, rows) for column in zip(is_true.T, probabilities.T, strict=True)]
    per_label = _per_name(labels, right, true, guessed, whole=weight is None)
    for values, column, curve in zip(per_label.values(), same.T, curves, strict=True):
        values |= {"accuracy": _mean(column, rows), **curve}
    return {
        "accuracy": _mean(same.all(1), rows),
        "hamming_loss": _mean((~same).mean(1), rows),
        "macro_f1": _plain(label_macro_f1(right, true + guessed)) if len(rows) else None,
        "micro_f1": _plain(ratio(2 * right.sum(), true.sum() + guessed.sum())),
        "log_loss": _mean(binary_log_losses(is_true, probabilities), rows),
        "roc_auc": _average(curve["roc_auc"] for curve in curves),
        "pr_auc": _average(curve["pr_auc"] for curve in curves),
        "per_label": per_label,
    }


def regression(
    target: Array,
    predicted: Array,
    names: Sequence[str],
    weight: Array | None = None,
) -> dict[str, Any]:
    """Return the measures of K numbers, in the target's own units.

    Args:
        target: (N, K).
        predicted: (N, K).
        names: of the K columns.
        weight: of each row (N,), >= 0; None counts every row once.

    Returns:
        rmse, mae, mape (None where a target is 0), r2 (None for a constant target), and residual_quantiles of true
        minus predicted. Of several columns each measure is the mean over them, the quantiles are None, as quantiles
        have no mean that means anything, and per_target holds every column by name.
    """
    rows = _weights(weight, len(target))
    kept = rows > 0
    y, guess = target[kept].astype(np.float64), predicted[kept].astype(np.float64)
    columns = [_column(y[:, k], guess[:, k], rows[kept]) for k in range(len(names))]
    if len(columns) == 1:
        return columns[0]
    means = {name: _average(column[name] for column in columns) for name in ("rmse", "mae", "mape", "r2")}
    return {**means, "residual_quantiles": None, "per_target": dict(zip(names, columns, strict=True))}


def _column(target: Floats, predicted: Floats, rows: Floats) -> dict[str, Any]:
    """Return the measures of one column, all arguments (N,)."""
    residual = target - predicted
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # what overflows ends as None
        squared = _mean(residual**2, rows)
        relative = np.abs(residual / target)
        centre = np.sum(rows * target) / rows.sum()
        spread = _mean((target - centre) ** 2, rows)
    varies = len(target) > 0 and target.min() < target.max()
    return {
        "rmse": None if squared is None else math.sqrt(squared),
        "mae": _mean(np.abs(residual), rows),
        "mape": _mean(relative, rows) if np.all(target) else None,
        "r2": 1 - squared / spread if varies and squared is not None and spread else None,
        "residual_quantiles": _quantiles(residual, rows),
    }


def _quantiles(values: Floats, rows: Floats) -> dict[str, float | None]:
    """Return the smallest value at or below which so much of the weight lies, by quantile."""
    if len(values) == 0 or not np.isfinite(values).all():
        return {f"{q:g}": None for q in QUANTILES}
    order = np.argsort(values)
    below = np.cumsum(rows[order])
    places = np.searchsorted(below, np.array(QUANTILES) * below[-1])
    return {f"{q:g}": float(values[order[place]]) for q, place in zip(QUANTILES, places, strict=True)}


def _areas(is_true: Array, score: Floats, rows: Floats) -> dict[str, float | None]:
    """Return the areas under both curves; None where the class never occurs or always does."""
    if is_true.all() or not is_true.any() or not np.isfinite(score).all():
        return {"roc_auc": None, "pr_auc": None}
    from sklearn.metrics import average_precision_score, roc_auc_score  # costs most of a second

    return {
        "roc_auc": float(roc_auc_score(is_true, score, sample_weight=rows)),
        "pr_auc": float(average_precision_score(is_true, score, sample_weight=rows)),
    }


def _calibration_error(target: Array, probabilities: Floats, rows: Floats) -> float | None:
    """Return the mean gap between confidence and accuracy (Guo et al. 2017), each bin by its weight."""
    if not np.isfinite(probabilities).all():
        return None
    bins = calibration_bins(target, probabilities, rows)
    gap = np.abs(bins.accuracy - bins.confidence)
    return _plain(ratio(np.nansum(gap * bins.weight), bins.weight.sum()))


def _per_name(names: Sequence[str], right: Floats, true: Floats, guessed: Floats, *, whole: bool) -> dict[str, Any]:
    """Return precision, recall, F1 and support of each class or label, from sums of weight (C,)."""
    precision, recall, f1 = ratio(right, guessed), ratio(right, true), ratio(2 * right, true + guessed)
    return {
        name: {
            "precision": _plain(precision[number]),
            "recall": _plain(recall[number]),
            "f1": _plain(f1[number]),
            "support": int(true[number]) if whole else float(true[number]),
        }
        for number, name in enumerate(names)
    }


def _weights(weight: Array | None, rows: int) -> Floats:
    return np.ones(rows) if weight is None else weight.astype(np.float64)


def _counts(added: Floats, *, whole: bool) -> list[Any]:
    counted: list[Any] = (added.astype(np.int64) if whole else added).tolist()
    return counted


def _mean(values: Array, rows: Floats) -> float | None:
    """Return the weighted mean of (N,) values; None without rows, or where it is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _plain(ratio(np.sum(rows * values), rows.sum()))


def _average(values: Any) -> float | None:
    """Return the mean of those values that are not None."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _plain(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None
