"""What measures and their intervals are made of: a loss for each row, ratios of sums, bins of confidence."""

# N rows, C classes, L labels, … any leading dimensions, such as bootstrap resamples

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

SMALLEST = float(np.finfo(np.float64).eps)  # scikit-learn cuts probabilities here, so that no loss is infinite
BINS = 15


class Bins(NamedTuple):
    """Equal-width bins of the top class's probability, each (15,)."""

    weight: Floats
    confidence: Floats  # mean probability of the top class; nan in an empty bin
    accuracy: Floats  # share of rows whose true class is the top one; nan in an empty bin


def mean_of_defined(values: Floats) -> Floats:
    """Return the mean over the last dimension of (…, C), leaving nan out: (…); nan where nothing is left."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(defined, values, 0).sum(-1) / defined.sum(-1))


def sums(number: Array, weight: Floats, size: int) -> Floats:
    """Return the weights (N,) added up by the numbers (N,) from 0 to size - 1: (size,)."""
    return np.asarray(np.bincount(number, weights=weight, minlength=size), dtype=np.float64)


def ratio(part: Floats | np.float64, whole: Floats | np.float64) -> Floats:
    """Return part / whole by element; nan where the whole is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / whole, np.nan))


def class_means(right: Floats, true: Floats, predicted: Floats) -> dict[str, Floats]:
    """Return accuracy, balanced accuracy and macro-F1 from the sums of a confusion matrix.

    Args:
        right: (…, C) its diagonal.
        true: (…, C) its row sums.
        predicted: (…, C) its column sums.

    Returns:
        Values (…) by name. As in scikit-learn, a class without true rows is left out of balanced accuracy, and one
        that is neither true nor predicted out of macro-F1.
    """
    return {
        "accuracy": ratio(right.sum(-1), true.sum(-1)),
        "balanced_accuracy": mean_of_defined(ratio(right, true)),
        "macro_f1": mean_of_defined(ratio(2 * right, true + predicted)),
    }


def label_macro_f1(right: Floats, occurring: Floats) -> Floats:
    """Return the macro-F1 of labels, from the sums of hits and of true plus predicted ones, both (…, L): (…).

    As in scikit-learn, a label that is neither true nor predicted counts as 0.
    """
    return np.asarray(np.nan_to_num(ratio(2 * right, occurring)).mean(-1))


def log_losses(target: Array, probabilities: Floats) -> Floats:
    """Return -log of the true class's probability (N,), from class numbers (N,) and probabilities (N, C).

    A row is divided by its sum first: what a float32 softmax leaves sums to 1 only nearly.
    """
    chosen = probabilities[np.arange(len(target)), target]
    share = ratio(chosen, probabilities.sum(1))
    return np.asarray(-np.log(np.clip(share, SMALLEST, 1)))


def binary_log_losses(target: Array, probabilities: Floats) -> Floats:
    """Return the mean binary log loss of each row (N,), from labels 0/1 (N, L) and probabilities (N, L)."""
    chosen = np.where(target > 0, probabilities, 1 - probabilities)
    return np.asarray(-np.log(np.clip(chosen, SMALLEST, 1)).mean(1))


def squared_errors(target: Array, probabilities: Floats) -> Floats:
    """Return each row's Brier score (N,): of two classes that of the second, of more the sum over all classes.

    Source: Brier 1950, whose sum over two classes scikit-learn's `brier_score_loss` halves in the same way.
    """
    if probabilities.shape[1] == 2:
        return np.asarray((probabilities[:, 1] - target) ** 2)
    error = probabilities.copy()
    error[np.arange(len(target)), target] -= 1
    return np.asarray(np.einsum("nc,nc->n", error, error))


def calibration_bins(target: Array, probabilities: Floats, weight: Floats) -> Bins:
    """Sort rows into 15 equal bins, open to the left, of the probability of the class that the net puts first.

    Args:
        target: class numbers (N,).
        probabilities: (N, C), finite.
        weight: (N,), >= 0.

    Returns:
        Weight, mean confidence and accuracy of each bin.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2.
    """
    top = probabilities.max(1, initial=0)
    right = probabilities.argmax(1) == target
    number = np.clip(np.ceil(top * BINS).astype(np.int64) - 1, 0, BINS - 1)
    total = sums(number, weight, BINS)
    confidence, accuracy = sums(number, weight * top, BINS), sums(number, weight * right, BINS)
    return Bins(total, ratio(confidence, total), ratio(accuracy, total))
