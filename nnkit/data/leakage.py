"""Whether one column alone predicts the target, judged on rows that the prediction was not made from."""

# N rows, n rows that are looked at, K target columns

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnkit.spec import Task

Array = npt.NDArray[Any]
FEWEST = 20  # rows below which nothing is said
SCREENED, SCREEN = 1_000, 0.9  # the first look takes fewer rows, and lets pass what may be a leak
LEAK = {"classification": 0.995, "multilabel": 0.995, "regression": 0.999}
MOST_LABELS = 50


def leak(values: Array, target: Array, task: Task, *, is_category: bool) -> float | None:
    """Return how well a column alone predicts the target, where that is suspiciously well; else None.

    Args:
        values: (n,) in random order, NaN or -1 where missing.
        target: (n,) class numbers, or (n, K) values, or labels of 0 and 1.
        task: what is learned.
        is_category: whether values that differ have nothing in common.

    Returns:
        Classes and labels: balanced accuracy of the nearest value's majority, each half of the rows judged by the
        other. Values: the absolute rank correlation (Spearman), or for categories the R² of their means. None where
        that is below LEAK, and where too few rows can be judged.
    """
    if len(values) < FEWEST:
        return None
    found = None
    for rows, least in ((slice(SCREENED), SCREEN), (slice(None), LEAK[task])):
        found = _score(values[rows], target[rows], task, is_category)
        if found < least:
            return None
    return found


def _score(values: Array, target: Array, task: Task, is_category: bool) -> float:
    if task == "classification":
        return _both_ways(values, target, is_category)
    columns = [target[:, k] for k in range(min(target.shape[1], MOST_LABELS))]
    if task == "multilabel":
        return max(_both_ways(values, labels.astype(np.int64), is_category) for labels in columns)
    score = _explained if is_category else _rank_correlation
    return max(score(values, column) for column in columns)


def _both_ways(values: Array, classes: Array, is_category: bool) -> float:
    first, second = np.arange(0, len(values), 2), np.arange(1, len(values), 2)
    filled = values.astype(np.float64)
    missing = np.isnan(filled)
    if missing.any() and not missing.all():
        present = filled[~missing]
        filled[missing] = 2 * present.max() - present.min() + 1  # a value of its own, beyond all others
    score = _balanced_accuracy(filled, classes, first, second, is_category)
    return score if score < SCREEN else min(score, _balanced_accuracy(filled, classes, second, first, is_category))


def _balanced_accuracy(values: Array, classes: Array, known: Array, asked: Array, is_category: bool) -> float:
    """Return the mean recall of the classes, when the asked rows get the majority class of the nearest known value.

    Categories that are not among the known rows are not judged; 0 where these are most of the asked rows, or where
    fewer than two classes are judged.
    """
    order = known[np.lexsort((classes[known], values[known]))]
    levels, starts = np.unique(values[order], return_index=True)
    ends = np.append(starts[1:], len(order))
    majority = classes[order[(starts + ends - 1) // 2]]  # the middle one, since they are in order
    wanted, truth = values[asked], classes[asked]
    above = np.searchsorted(levels, wanted).clip(max=len(levels) - 1)
    below = (above - 1).clip(min=0)
    at = np.where(wanted - levels[below] < levels[above] - wanted, below, above)
    seen = levels[at] == wanted if is_category else np.ones(len(asked), bool)
    if np.count_nonzero(seen) < max(len(asked) / 2, 1):
        return 0.0
    most = int(classes.max()) + 1
    total = np.bincount(truth[seen], minlength=most)
    right = np.bincount(truth[seen & (majority[at] == truth)], minlength=most)
    judged = (total > 0) & (np.bincount(classes[known], minlength=most) > 0)
    return float((right[judged] / total[judged]).mean()) if np.count_nonzero(judged) > 1 else 0.0


def _rank_correlation(values: Array, target: Array) -> float:
    """Return |Spearman's rho| over the rows that have a value; 0 where these are few."""
    present = ~np.isnan(values)
    if np.count_nonzero(present) < max(FEWEST, len(values) / 2):
        return 0.0
    x, y = (ranks - ranks.mean() for ranks in (_ranks(values[present]), _ranks(target[present])))
    size = np.sqrt((x @ x) * (y @ y))
    return float(abs(x @ y) / size) if size else 0.0


def _ranks(values: Array) -> Array:
    """Return ranks from 1, equal values sharing their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _explained(values: Array, target: Array) -> float:
    """Return the share of one half's variance that the categories' means in the other half explain."""
    first, second = values[::2] + 1, values[1::2] + 1  # 0 is for missing
    most = int(values.max()) + 2
    counts = np.bincount(first, minlength=most)
    means = np.bincount(first, weights=target[::2], minlength=most) / np.maximum(counts, 1)
    seen = counts[second] > 0
    if np.count_nonzero(seen) < max(len(second) / 2, 1):
        return 0.0
    truth = target[1::2][seen]
    spread = ((truth - truth.mean()) ** 2).sum()
    return float(1 - ((truth - means[second[seen]]) ** 2).sum() / spread) if spread else 0.0


def counts_rows(values: Array, low: float, high: float, num_rows: int) -> bool:
    """Tell whether whole numbers name rows: all of them differ, where they are so dense that chance would repeat some.

    Args:
        values: (N,) of the training rows.
        low: the smallest value of all rows.
        high: the largest one.
        num_rows: how many rows there are in all.
    """
    span = high - low + 1
    if not len(values) or span > 2 * num_rows or len(values) ** 2 < 10 * span:  # by the birthday rule, repeats are sure
        return False
    return bool((values == np.floor(values)).all()) and len(np.unique(values)) == len(values)
