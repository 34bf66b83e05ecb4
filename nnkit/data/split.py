"""Training, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np

from nnkit.config.sections.cv import CvConfig
from nnkit.data.folds import folds_of
from nnkit.data.source import Rows, Source, class_numbers, fixed_rows
from nnkit.errors import ConfigError, DataError
from nnkit.seeding import derive

PARTS = ("training", "validation", "test")


@final
@dataclass(frozen=True, slots=True)
class Splits:
    """Row numbers of the three parts; no row is in two of them."""

    train: Rows
    val: Rows
    test: Rows


def split(
    source: Source, *, val_fraction: float, test_fraction: float | None, seed: int, among: Rows | None = None
) -> Splits:
    """Split the rows at random, keeping each class's share in every part, or each group whole.

    Args:
        source: the data; the parts that it comes with are taken as they are.
        val_fraction: share of the rows (of those outside the parts that the data comes with) for validation.
        test_fraction: share of the rows for the test; None with a published test set, or for no test part.
        seed: of the split alone.
        among: the rows to be split; None for all.

    Raises:
        ConfigError: a part would be empty, or the fractions leave nothing to train on.
        DataError: a class has no training sample.
    """
    rows = np.setdiff1d(np.arange(len(source), dtype=np.int64) if among is None else among, fixed_rows(source))
    if source.val_rows is not None and source.test_rows is not None:
        parts = Splits(rows, np.sort(source.val_rows), np.sort(source.test_rows))
        _check_parts(source, parts, test_fraction)
        return parts
    wants_test = test_fraction is not None and source.test_rows is None
    num_test = round(len(rows) * (test_fraction or 0)) if wants_test else 0
    num_val = round(len(rows) * val_fraction) if source.val_rows is None else 0
    if wants_test and num_test < 1:
        raise ConfigError(
            f"data.test_fraction={test_fraction} of {len(rows)} samples leaves no test sample",
            hint="data.test_fraction=0.2",
        )
    if source.val_rows is None and num_val < 1:
        raise ConfigError(
            f"data.val_fraction={val_fraction} of {len(rows)} samples leaves no validation sample",
            hint="data.val_fraction=0.2",
        )
    if num_test + num_val >= len(rows):
        raise ConfigError(
            f"data.val_fraction and data.test_fraction leave no training sample of {len(rows)}",
            hint="make them smaller",
        )
    if source.names:
        of_test, of_val = test_fraction or 0.0 if wants_test else 0.0, val_fraction if num_val else 0.0
        stream = "name" if among is None else "name among"
        test, val, train = _by_name(source, rows, of_test, of_val, derive(seed, "split", stream))
    else:
        cut = _by_group if source.group is not None else _by_row
        test, val, train = cut(source, rows, num_test, num_val, seed)
    parts = Splits(
        np.sort(train),
        np.sort(val if source.val_rows is None else source.val_rows),
        np.sort(test if source.test_rows is None else source.test_rows),
    )
    _check_parts(source, parts, test_fraction)
    return parts


def split_fold(source: Source, cv: CvConfig, *, val_fraction: float, test_fraction: float | None, seed: int) -> Splits:
    """Return the parts of one fold: the test part is what it holds out of the rows that are not for the real test.

    Args:
        source: without a validation part of its own, for each fold has one. Where time cuts the data, it is cut for the
            fold already, and is taken as it is.
        cv: with folds, and the fold that is asked for.
        val_fraction: share of the rows that are not held out, for validation.
        test_fraction: share of all rows that no fold sees; None as in `split`.
        seed: of the real test part and of the validation part; cv has that of the folds.

    Raises:
        ConfigError: as `split` and `folds_of`; or the data has a validation part.
        DataError: a class has no training sample.
    """
    assert cv.fold is not None
    outer = split(source, val_fraction=val_fraction, test_fraction=test_fraction, seed=seed)
    if source.task == "forecast":
        return outer
    if source.val_rows is not None:
        told = f"{source.name} comes with a validation part, but each fold splits one off its own training rows"
        raise ConfigError(told, hint="cv.folds=null, or leave the validation part out")
    rest, held = list(folds_of(source, np.union1d(outer.train, outer.val), cv))[cv.fold]
    own = replace(source, test_rows=held)
    return split(own, val_fraction=val_fraction, test_fraction=None, seed=seed, among=rest)


def _by_row(source: Source, rows: Rows, num_test: int, num_val: int, seed: int) -> tuple[Rows, Rows, Rows]:
    order = _spread(source, rows, seed)
    return order[:num_test], order[num_test : num_test + num_val], order[num_test + num_val :]


def _by_name(source: Source, rows: Rows, of_test: float, of_val: float, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return the parts that a hash of each name decides on: rows that are added move no other one.

    A part that would be empty gets the row that is nearest to it.
    """
    place = np.array([derive(seed, source.names[row]) / 2**63 for row in rows])
    order = np.argsort(place, kind="stable")
    num_test = max(int((place < of_test).sum()), int(of_test > 0))
    num_val = max(int((place < of_test + of_val).sum()) - num_test, int(of_val > 0))
    sorted_rows = rows[order]
    return sorted_rows[:num_test], sorted_rows[num_test : num_test + num_val], sorted_rows[num_test + num_val :]


def _by_group(source: Source, rows: Rows, num_test: int, num_val: int, seed: int) -> tuple[Rows, Rows, Rows]:
    """Return the parts with each group whole: groups in a random order, until a part has its number of rows."""
    assert source.group is not None
    group = source.group[rows]
    names, counts = np.unique(group, return_counts=True)
    order = np.random.default_rng(derive(seed, "split")).permutation(len(names))
    up_to = np.cumsum(counts[order])
    num_test_groups = int(np.searchsorted(up_to, num_test)) + 1 if num_test else 0
    before = up_to[num_test_groups - 1] if num_test_groups else 0
    num_val_groups = int(np.searchsorted(up_to - before, num_val)) + 1 - num_test_groups if num_val else 0
    if num_test_groups + num_val_groups >= len(names):
        raise ConfigError(
            f"data.group has {len(names)} groups, too few for parts of their own", hint="smaller data.val_fraction"
        )
    ends = (num_test_groups, num_test_groups + num_val_groups)
    test, val, train = (rows[np.isin(group, names[part])] for part in np.split(order, ends))
    return test, val, train


def _spread(source: Source, rows: Rows, seed: int) -> Rows:
    """Return the rows in a random order in which every stretch has about the classes' overall shares."""
    rng = np.random.default_rng(derive(seed, "split"))
    shuffled = rng.permutation(rows)
    if source.task != "classification":
        return shuffled
    place = np.empty(len(shuffled))
    for number in range(len(source.classes)):
        members = np.flatnonzero(source.target[shuffled] == number)
        place[members] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    return shuffled[np.argsort(place, kind="stable")]


def _check_parts(source: Source, parts: Splits, test_fraction: float | None) -> None:
    has_test = test_fraction is not None or source.test_rows is not None
    for name, rows in zip(PARTS, (parts.train, parts.val, parts.test), strict=True):
        if name == "test" and not has_test:
            continue
        if not len(rows):
            raise DataError(f"{source.name} has no {name} row", hint="data.val_fraction, data.test_fraction")
        if source.weight is not None and not source.weight[rows].any():
            raise DataError(f"{source.name} has no {name} row with a weight above 0", hint="data.sample_weight=null")
    _check_groups(source, parts)
    _check_classes(source, parts)


def _check_groups(source: Source, parts: Splits) -> None:
    """Check that the parts that the data comes with tear no group. Raises: DataError."""
    if source.group is None:
        return
    train, val, test = (np.unique(source.group[rows]) for rows in (parts.train, parts.val, parts.test))
    torn = len(np.intersect1d(train, val)) + len(np.intersect1d(np.union1d(train, val), test))
    if torn:
        raise DataError(
            f"{source.name}: {torn} groups of data.group stand in two of the parts that the data comes with",
            hint="data.group=null, or mend the parts",
        )


def _check_classes(source: Source, parts: Splits) -> None:
    if not source.classes:
        return
    counts = np.bincount(class_numbers(source.target, parts.train), minlength=len(source.classes))
    if (counts == 0).any():
        name = source.classes[int(np.argmin(counts))]
        hint = "give more data, smaller fractions, a larger data.limit, or leave the class out with data.classes"
        if source.task == "segmentation":
            what = f"class {name} of {source.name} has no pixel in a training picture of this size"
            ignored = f", or data.ignore={name} for a slip of the pen" if name.isdecimal() else ""
            raise DataError(what, hint=f"a larger data.size, more data, or other data.values{ignored}")
        raise DataError(f"class {name} of {source.name} has no training sample", hint=hint)
