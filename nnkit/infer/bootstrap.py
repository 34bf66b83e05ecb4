"""How sure a measure is: 95 % percentile intervals by the bootstrap over rows."""

# N rows, R resamples, C classes, L labels, K target columns

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnkit.infer.terms import (
    Array,
    Floats,
    binary_log_losses,
    class_means,
    label_macro_f1,
    log_losses,
    mean_of_defined,
    ratio,
    squared_errors,
    sums,
)
from nnkit.seeding import derive
from nnkit.spec import Task

# From how often each row was drawn (R, N) to measures (R,) by name.
Statistics = Callable[[Floats], dict[str, Floats]]

LEVEL = (0.025, 0.975)
FEWEST, MOST, DRAWS = 100, 1000, 50_000_000
AT_ONCE = 2**20  # numbers of a block, so that it stays near the processor's cache
ENOUGH = 0.9


def intervals(
    task: Task,
    target: Array,
    outputs: Array,
    predicted: Array,
    *,
    seed: int,
    weight: Array | None = None,
    group: Array | None = None,
    resamples: int | None = None,
) -> dict[str, list[float]]:
    """Return the 95 % percentile interval of each measure, from rows drawn again with replacement.

    Args:
        task: which measures.
        target: class numbers (N,), labels 0/1 (N, L), or values (N, K).
        outputs: probabilities (N, C) or (N, L), or predicted values (N, K).
        predicted: class numbers (N,) or labels 0/1 (N, L); of a regression the values again, which are not read.
        seed: of the draws; the same seed gives the same intervals.
        weight: of each row (N,), >= 0. Rows are drawn evenly and keep their weight.
        group: (N,) of whole numbers. Rows of one group depend on each other, as the steps of a sequence do: they are
            drawn together, and it is the groups that have to be two or more. None: each row stands for itself.
        resamples: R; None picks 50 million draws' worth, at least 100 and at most 1000.

    Returns:
        [low, high] by name: accuracy, balanced_accuracy, macro_f1, log_loss, brier, and of two classes roc_auc;
        accuracy, macro_f1, log_loss of labels; rmse, mae, r2 of values. A measure is left out where more than a tenth
        of the resamples leave it undefined, and all are with fewer than two rows.

    Source: Efron 1979, percentile method.
    """
    if weight is not None:
        kept = weight > 0
        target, outputs, predicted, weight = target[kept], outputs[kept], predicted[kept], weight[kept]
        group = None if group is None else group[kept]
    rows = len(target)
    member = np.arange(rows) if group is None else np.unique(group, return_inverse=True)[1]
    if rows < 2 or member.max() < 1:
        return {}
    statistics = _statistics(task, target, outputs.astype(np.float64), predicted)
    return intervals_of(statistics, member, seed=seed, weight=weight, resamples=resamples)


def intervals_of(
    statistics: Statistics, member: Array, *, seed: int, weight: Array | None = None, resamples: int | None = None
) -> dict[str, list[float]]:
    """Return the interval of each measure; see `intervals` for what is drawn.

    Args:
        statistics: from how often each row was drawn to measures.
        member: (N,) the group of each row, from 0.
        seed: of the draws.
        weight: of each row (N,).
        resamples: R.
    """
    total = min(max(DRAWS // len(member), FEWEST), MOST) if resamples is None else resamples
    values = _resampled(statistics, member, total, weight, np.random.default_rng(derive(seed, "bootstrap")))
    found = {name: _interval(value) for name, value in values.items()}
    return {name: interval for name, interval in found.items() if interval is not None}


def _statistics(task: Task, target: Array, outputs: Floats, predicted: Array) -> Statistics:
    if task == "multilabel":
        return multilabel_statistics(target, outputs, predicted)
    if task == "regression":
        return regression_statistics(target, outputs)
    return classification_statistics(target, outputs, predicted)


def _resampled(
    statistics: Statistics, member: Array, total: int, weight: Array | None, chance: np.random.Generator
) -> dict[str, Floats]:
    """Return each measure of all resamples (R,), computed block by block; `member` (N,) is the group of each row."""
    blocks = []
    groups = int(member.max()) + 1
    step = max(1, AT_ONCE // len(member))
    for first in range(0, total, step):
        drawn = [chance.integers(0, groups, groups) for _ in range(min(step, total - first))]
        counts = np.stack([np.bincount(row, minlength=groups) for row in drawn]).astype(np.float64)
        if groups < len(member):
            counts = counts[:, member]
        if weight is not None:
            counts *= weight
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is left out below
            blocks.append(statistics(counts))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _interval(values: Floats) -> list[float] | None:
    defined = values[np.isfinite(values)]
    if len(defined) < ENOUGH * len(values):
        return None
    low, high = np.quantile(defined, LEVEL)
    return [float(low), float(high)]


def classification_statistics(target: Array, probabilities: Floats, predicted: Array) -> Statistics:
    """Return the function from counts (R, N) to measures of classes; see `intervals` for the arguments."""
    size = probabilities.shape[1]
    right = np.where(predicted == target, target, size)  # wrong rows fall into a class of their own
    losses = np.stack([log_losses(target, probabilities), squared_errors(target, probabilities)], 1)
    area = area_statistic(target == 1, probabilities[:, 1]) if size == 2 else None

    def of(counts: Floats) -> dict[str, Floats]:
        diagonal, true, guessed = (_class_sums(counts, number, size) for number in (right, target, predicted))
        log_loss, brier = (counts @ losses).T / counts.sum(1)
        areas = {} if area is None else {"roc_auc": area(counts)}
        return {**class_means(diagonal, true, guessed), "log_loss": log_loss, **areas, "brier": brier}

    return of


def _class_sums(counts: Floats, number: Array, size: int) -> Floats:
    """Return the counts (R, N) added up by class number: (R, C), without numbers from C on."""
    return np.stack([sums(number, row, size)[:size] for row in counts])


def area_statistic(is_true: Array, score: Floats) -> Callable[[Floats], Floats]:
    """Return the function from counts (R, N) to areas under the ROC curve (R,).

    The area is the chance that a true row scores above a false one, ties by half. Rows are sorted once; a resample then
    only adds up how often they were drawn.

    Args:
        is_true: (N,) bool.
        score: (N,) that grows with the chance of being true.
    """
    order = np.argsort(score)
    ordered = score[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # of each group of equal scores
    has_ties = len(starts) < len(score)
    positive = is_true[order].astype(np.float64)
    is_finite = bool(np.isfinite(score).all())

    def of(counts: Floats) -> Floats:
        if not is_finite:
            return np.full(len(counts), np.nan)
        drawn = counts.take(order, axis=1)
        true = drawn * positive
        false = drawn - true
        if has_ties:
            true, false = (np.add.reduceat(part, starts, axis=1) for part in (true, false))
        below = np.cumsum(false, axis=1)
        pairs = below[:, -1] * true.sum(1)
        below -= false / 2
        return ratio(np.einsum("rn,rn->r", true, below), pairs)

    return of


def multilabel_statistics(target: Array, probabilities: Floats, predicted: Array) -> Statistics:
    """Return the function from counts (R, N) to measures of labels; see `intervals` for the arguments."""
    is_true, is_guessed = target > 0, predicted > 0
    labels = target.shape[1]
    same = (is_true == is_guessed).all(1)
    means = np.stack([same, binary_log_losses(is_true, probabilities)], 1)  # (N, 2)
    both = is_true & is_guessed
    columns = np.concatenate([both, is_true.astype(np.float64) + is_guessed], 1)  # (N, 2L)

    def of(counts: Floats) -> dict[str, Floats]:
        accuracy, log_loss = (counts @ means).T / counts.sum(1)
        added = counts @ columns
        macro_f1 = label_macro_f1(added[:, :labels], added[:, labels:])
        return {"accuracy": accuracy, "macro_f1": macro_f1, "log_loss": log_loss}

    return of


def regression_statistics(target: Array, predicted: Floats) -> Statistics:
    """Return the function from counts (R, N) to measures of values; see `intervals` for the arguments."""
    error = target - predicted
    y = target - target.mean(0)  # sums of squares of what is far from 0 would lose the digits that matter
    with np.errstate(over="ignore"):
        columns = np.concatenate([error**2, np.abs(error), y, y**2], 1)  # (N, 4K)
    rounding = 64 * np.finfo(np.float64).eps

    def of(counts: Floats) -> dict[str, Floats]:
        total = counts.sum(1)[:, None]
        squared, absolute, centre, square = np.split(counts @ columns / total, 4, axis=1)  # (R, K)
        spread = square - centre**2
        varies = spread > rounding * square  # the spread of one row drawn N times is seldom exactly 0
        r2 = np.where(varies, 1 - ratio(squared, spread), np.nan)
        return {"rmse": np.sqrt(squared).mean(1), "mae": absolute.mean(1), "r2": mean_of_defined(r2)}

    return of
