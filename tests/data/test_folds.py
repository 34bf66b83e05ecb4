"""The rows of each fold: scikit-learn's own, index for index, and no leak from one part into another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from nnkit.config.sections.cv import CvConfig
from nnkit.data.folds import fold_kind, folds_of, time_fold
from nnkit.data.source import Source
from nnkit.data.split import Splits, split, split_fold
from nnkit.data.windows import windows_source
from nnkit.errors import ConfigError, DataError
from tests.data.series_sources import source_of_tags
from tests.data.sources import source_of_classes, source_of_values

SEEDS = st.integers(0, 2**32 - 1)
FOLDS, REPEATS = st.integers(2, 5), st.integers(1, 3)
CLASSES = st.lists(st.integers(5, 25), min_size=2, max_size=5)
# Some rows of a set, as if others were the test part: what scikit-learn splits are these, in their order.
GAPS = st.integers(1, 3)


def of_classes(counts: Sequence[int]) -> Source:
    return source_of_classes(np.random.default_rng(0).permutation(np.repeat(range(len(counts)), counts)), len(counts))


def with_groups(source: Source, size: int) -> Source:
    return replace(source, group=np.random.default_rng(1).permutation(np.arange(len(source)) // size))


def same(found: Any, wanted: Any, rows: Any) -> bool:
    """Whether folds hold out the same rows, and leave the same ones, as indices of some rows say."""
    return all(
        np.array_equal(rest, rows[train]) and np.array_equal(held, rows[test])
        for (rest, held), (train, test) in zip(found, wanted, strict=True)
    )


@given(num_rows=st.integers(10, 80), gap=GAPS, folds=FOLDS, repeats=REPEATS, seed=SEEDS)
def test_folds_at_random_are_those_of_repeated_k_fold(
    num_rows: int, gap: int, folds: int, repeats: int, seed: int
) -> None:
    rows = np.arange(0, num_rows * gap, gap)
    cv = CvConfig(folds=folds, repeats=repeats, split_seed=seed)
    wanted = RepeatedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(rows)
    assert same(folds_of(source_of_values(num_rows * gap), rows, cv), wanted, rows)


@given(counts=CLASSES, folds=FOLDS, repeats=REPEATS, seed=SEEDS)
def test_folds_with_classes_are_those_of_repeated_stratified_k_fold(
    counts: list[int], folds: int, repeats: int, seed: int
) -> None:
    source, rows = of_classes(counts), np.arange(sum(counts))
    cv = CvConfig(folds=folds, repeats=repeats, split_seed=seed)
    wanted = RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(
        rows, source.row_target
    )
    assert same(folds_of(source, rows, cv), wanted, rows)


@given(folds=FOLDS, seed=SEEDS)
def test_without_repeats_they_are_those_of_the_plain_splitters(folds: int, seed: int) -> None:
    source, rows = of_classes([10, 20, 30]), np.arange(60)
    cv = CvConfig(folds=folds, split_seed=seed)
    stratified = StratifiedKFold(folds, shuffle=True, random_state=seed).split(rows, source.row_target)
    assert same(folds_of(source, rows, cv), stratified, rows)
    plain = KFold(folds, shuffle=True, random_state=seed).split(rows)
    assert same(folds_of(source, rows, replace(cv, kind="kfold")), plain, rows)


@given(size=st.integers(1, 5), folds=FOLDS, seed=SEEDS)
def test_folds_of_groups_are_those_of_the_group_splitters(size: int, folds: int, seed: int) -> None:
    values, classes, rows = with_groups(source_of_values(60), size), with_groups(of_classes([30, 30]), size), range(60)
    cv = CvConfig(folds=folds, split_seed=seed)
    wanted = GroupKFold(folds, shuffle=True, random_state=seed).split(rows, groups=values.group)
    assert same(folds_of(values, np.arange(60), cv), wanted, np.arange(60))
    wanted = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(rows, classes.target, classes.group)
    assert same(folds_of(classes, np.arange(60), cv), wanted, np.arange(60))


@given(size=st.integers(1, 5), folds=FOLDS, repeats=REPEATS, seed=SEEDS, has_classes=st.booleans())
def test_each_row_is_held_out_once_a_repeat_and_groups_stay_whole(
    size: int, folds: int, repeats: int, seed: int, *, has_classes: bool
) -> None:
    source = with_groups(of_classes([30, 30]) if has_classes else source_of_values(60), size)
    assert source.group is not None
    found = list(folds_of(source, np.arange(60), CvConfig(folds=folds, repeats=repeats, split_seed=seed)))
    for repeat in range(repeats):
        held = [held for _, held in found[repeat * folds : (repeat + 1) * folds]]
        assert np.sort(np.concatenate(held)).tolist() == list(range(60))
    assert all(not np.intersect1d(source.group[rest], source.group[held]).size for rest, held in found)
    assert len(found) == folds * repeats


def test_the_repeats_differ() -> None:
    first, second = (held for _, held in list(folds_of(source_of_values(40), np.arange(40), TWICE))[::2])
    assert not np.array_equal(first, second)


TWICE = CvConfig(folds=2, repeats=2)


@given(num_steps=st.integers(20, 300), folds=st.integers(2, 6))
def test_folds_in_time_are_those_of_time_series_split(num_steps: int, folds: int) -> None:
    for fold, (rest, held) in enumerate(TimeSeriesSplit(folds).split(np.empty(num_steps))):
        assert time_fold(num_steps, CvConfig(folds=folds, fold=fold)) == (len(rest), len(held))
        assert held[0] == len(rest)


@given(window=st.integers(1, 6), horizon=st.integers(1, 4), stride=st.integers(1, 3), fold=st.integers(0, 2))
def test_no_target_of_a_fold_in_time_lies_behind_the_part_that_is_held_out(
    window: int, horizon: int, stride: int, fold: int
) -> None:
    num_steps, test_fraction = 120, 0.2
    cv = CvConfig(folds=3, fold=fold)
    names: dict[str, Any] = {"inputs": ["y"], "targets": ["y"], "future": [], "times": None, "parts_of": None}
    sizes: dict[str, Any] = {"window": window, "horizon": horizon, "stride": stride, "parts": None}
    shares = {"val_fraction": 0.25, "test_fraction": test_fraction}
    source = windows_source("x", {"y": np.sin(np.arange(120.0))}, cv=cv, **names, **sizes, **shares)
    parts = split_fold(source, cv, seed=0, **shares)
    ahead = source.target
    before, held = time_fold(96, cv)
    steps = [
        np.unique([np.arange(s, s + horizon) for s in ahead.starts[rows]])  # type: ignore[union-attr]
        for rows in (parts.train, parts.val, parts.test)
    ]
    assert steps[0].max() < before - round(before * 0.25) <= steps[1].min()
    assert steps[1].max() < before <= steps[2].min()
    assert steps[2].max() == before + held - 1 < num_steps - round(num_steps * test_fraction)
    past = source.inputs[0]
    assert (past.starts + past.lengths == ahead.starts).all()  # type: ignore[union-attr]


def parts_of(source: Source, cv: CvConfig, test_fraction: float | None = 0.2) -> list[Splits]:
    return [
        split_fold(source, replace(cv, fold=fold), val_fraction=0.2, test_fraction=test_fraction, seed=7)
        for fold in range(cv.count)
    ]


@given(counts=CLASSES, folds=FOLDS, repeats=REPEATS, seed=SEEDS)
def test_no_row_is_in_two_parts_of_a_fold_and_none_sees_the_test_part(
    counts: list[int], folds: int, repeats: int, seed: int
) -> None:
    source = of_classes([count + 5 for count in counts])
    whole = split(source, val_fraction=0.2, test_fraction=0.2, seed=7)
    outside = np.union1d(whole.train, whole.val).tolist()
    cv = CvConfig(folds=folds, repeats=repeats, split_seed=seed)
    found = parts_of(source, cv)
    for parts in found:
        assert sorted([*parts.train, *parts.val, *parts.test]) == outside
        assert len(parts.val) == round(0.2 * (len(parts.train) + len(parts.val)))
    held = np.concatenate([parts.test for parts in found])
    assert sorted(held) == sorted(outside * repeats)


def test_without_a_test_part_the_folds_cover_all_rows() -> None:
    found = parts_of(of_classes([20, 30]), CvConfig(folds=4), None)
    assert sorted(np.concatenate([parts.test for parts in found])) == list(range(50))
    whole = split(of_classes([20, 30]), val_fraction=0.2, test_fraction=None, seed=0)
    assert (len(whole.train), len(whole.val), len(whole.test)) == (40, 10, 0)


def test_groups_stay_whole_in_the_validation_part_too() -> None:
    source = with_groups(source_of_values(90), 3)
    assert source.group is not None
    for parts in parts_of(source, CvConfig(folds=3)):
        names = [set(source.group[rows].tolist()) for rows in (parts.train, parts.val, parts.test)]
        assert not names[0] & names[1]
        assert not (names[0] | names[1]) & names[2]


def test_a_published_test_set_is_left_alone() -> None:
    source = source_of_classes(np.arange(40) % 2, 2, test_rows=np.arange(30, 40))
    assert max(np.concatenate([parts.test for parts in parts_of(source, CvConfig(folds=3))])) == 29


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (source_of_values(9), "kfold"),
        (of_classes([5, 5]), "stratified"),
        (with_groups(of_classes([5, 5]), 2), "group"),
        (source_of_tags([[[1.0]]] * 4, [[0], [1], [0], [1]]), "kfold"),
        (replace(source_of_values(9), is_multilabel=True), "kfold"),
    ],
)
def test_the_kind_fits_the_data(source: Source, kind: str) -> None:
    assert fold_kind(source, "auto") == kind
    assert fold_kind(source, "time") == "time"


@pytest.mark.parametrize(
    ("source", "cv", "text", "hint"),
    [
        (
            of_classes([30, 3]),
            CvConfig(folds=4),
            "cv.folds=4 is more than the smallest class: c1 of data=made has 3 rows outside of the test part",
            "cv.folds=3",
        ),
        (
            of_classes([30, 1]),
            CvConfig(folds=4),
            "cv.folds=4 is more than the smallest class: c1 of data=made has 1 rows",
            "give more data, or leave the class out with data.classes",
        ),
        (source_of_values(6), CvConfig(folds=7), "cv.folds=7 is more than the 6 rows of data=made outside", "folds=6"),
        (
            with_groups(source_of_values(20), 5),
            CvConfig(folds=5),
            "cv.folds=5 is more than the 4 groups of data=made outside of the test part",
            "cv.folds=4",
        ),
        (
            source_of_values(20),
            CvConfig(folds=2, kind="stratified"),
            "cv.kind=stratified keeps the shares of classes, but data=made is for regression",
            "cv.kind=kfold",
        ),
        (
            source_of_values(20),
            CvConfig(folds=2, kind="group"),
            "cv.kind=group keeps groups whole, but data=made has none",
            "cv.kind=auto",
        ),
    ],
)
def test_folds_that_cannot_be_are_named(source: Source, cv: CvConfig, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        list(folds_of(source, np.arange(len(source)), cv))
    assert caught.value.problems[0].text.startswith(text)
    assert hint in caught.value.problems[0].hint


def test_too_few_steps_for_folds_in_time_are_named() -> None:
    with pytest.raises(ConfigError, match=r"cv\.folds=5 is too many for 5 steps"):
        time_fold(5, CvConfig(folds=5, fold=0))


def test_a_validation_part_of_the_datas_own_is_refused() -> None:
    source = replace(source_of_values(40), val_rows=np.arange(5))
    with pytest.raises(ConfigError, match="data=made comes with a validation part, but each fold splits one off"):
        split_fold(source, CvConfig(folds=2, fold=0), val_fraction=0.2, test_fraction=0.2, seed=0)


def test_a_class_without_a_training_row_in_a_fold_is_named() -> None:
    source = source_of_classes([0] * 30 + [1, 1], 2)
    both_in_one = next(
        seed
        for seed in range(20)
        if any({30, 31} <= set(held) for _, held in KFold(2, shuffle=True, random_state=seed).split(range(32)))
    )
    with pytest.raises(DataError, match="class c1 of data=made has no training sample"):
        parts_of(source, CvConfig(folds=2, kind="kfold", split_seed=both_in_one), None)
