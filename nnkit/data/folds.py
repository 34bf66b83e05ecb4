"""The rows that each fold of a cross-validation holds out: scikit-learn's own choice."""

# N rows outside of the test part, S steps of a series outside of it

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, cast

import numpy as np

from nnkit.config.sections.cv import CvConfig
from nnkit.data.source import Rows, Source
from nnkit.errors import ConfigError

FoldKind = Literal["kfold", "stratified", "group", "time"]


def fold_kind(source: Source, wanted: str) -> FoldKind:
    """Return how the rows are dealt out: as wanted, or for "auto" by what the data has."""
    if wanted != "auto":
        return cast(FoldKind, wanted)
    if source.task == "forecast":
        return "time"
    if source.group is not None:
        return "group"
    return "stratified" if source.task == "classification" else "kfold"


def folds_of(source: Source, rows: Rows, cv: CvConfig) -> Iterator[tuple[Rows, Rows]]:
    """Yield for each fold, repeat after repeat, the rows that are left and those that are held out, both sorted.

    They are those of RepeatedKFold and RepeatedStratifiedKFold with random_state=cv.split_seed, and of GroupKFold, or
    with classes StratifiedGroupKFold, with shuffle=True and one RandomState(cv.split_seed) for all repeats.

    Args:
        source: with rows that stand for themselves.
        rows: (N,) sorted, to be dealt out.
        cv: with folds; `fold` is not looked at.

    Raises:
        ConfigError: the kind does not fit the data, or there are more folds than rows, groups, or members of a class.
    """
    kind = fold_kind(source, cv.kind)
    _check_kind(source, kind)
    _check_size(source, rows, cv, kind)
    has_classes = source.task == "classification"
    target = source.row_target[rows] if has_classes else None
    group = source.group[rows] if kind == "group" and source.group is not None else None
    chance = np.random.RandomState(cv.split_seed)
    for _ in range(cv.repeats):
        splitter = _splitter(kind, cv, chance, has_classes=has_classes)
        for rest, held in splitter.split(rows, target, group):
            yield rows[rest], rows[held]


def _splitter(kind: FoldKind, cv: CvConfig, chance: np.random.RandomState, *, has_classes: bool) -> Any:
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    of_groups = StratifiedGroupKFold if has_classes else GroupKFold
    chosen = {"kfold": KFold, "stratified": StratifiedKFold, "group": of_groups}[kind]
    return chosen(n_splits=cv.folds, shuffle=True, random_state=chance)


def _check_kind(source: Source, kind: FoldKind) -> None:
    if kind == "stratified" and source.task != "classification":
        raise ConfigError(
            f"cv.kind=stratified keeps the shares of classes, but {source.name} is for {source.task}",
            hint="cv.kind=kfold",
        )
    if kind == "group" and source.group is None:
        raise ConfigError(f"cv.kind=group keeps groups whole, but {source.name} has none", hint="cv.kind=auto")


def _check_size(source: Source, rows: Rows, cv: CvConfig, kind: FoldKind) -> None:
    """Check that each fold can hold out a row, a group, and a member of each class. Raises: ConfigError."""
    folds, most, what = cv.folds or 0, len(rows), f"the {len(rows)} rows of {source.name} outside of the test part"
    if kind == "group":
        assert source.group is not None
        most = len(np.unique(source.group[rows]))
        what = f"the {most} groups of {source.name} outside of the test part"
    if source.task == "classification" and kind != "kfold":
        counts = np.bincount(source.row_target[rows], minlength=len(source.classes))
        if counts.min() < most:
            most, name = int(counts.min()), source.classes[int(counts.argmin())]
            what = f"the smallest class: {name} of {source.name} has {most} rows outside of the test part"
    if folds > most:
        hint = f"cv.folds={most}" if most > 1 else "give more data, or leave the class out with data.classes"
        raise ConfigError(f"cv.folds={folds} is more than {what}", hint=hint)


def time_fold(num_steps: int, cv: CvConfig) -> tuple[int, int]:
    """Return how many steps lie before those that a fold in time holds out, and how many these are.

    They are those of TimeSeriesSplit: each fold holds out what comes behind the one before.

    Args:
        num_steps: S, in order.
        cv: with folds, and the fold that is asked for.

    Raises:
        ConfigError: there are too few steps.
    """
    from sklearn.model_selection import TimeSeriesSplit

    folds, fold = cv.folds or 0, cv.fold or 0
    if num_steps <= folds:
        raise ConfigError(f"cv.folds={folds} is too many for {num_steps} steps outside of the test part")
    rest, held = list(TimeSeriesSplit(folds).split(np.empty(num_steps)))[fold]
    return len(rest), len(held)
