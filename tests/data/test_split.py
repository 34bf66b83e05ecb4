"""Training, validation and test rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.model_selection import GroupShuffleSplit

from nnkit.data.embedded import read_classes, read_digits
from nnkit.data.source import Source
from nnkit.data.split import Splits, split
from nnkit.errors import ConfigError, DataError
from tests.data.series_sources import source_of_series, source_of_tags
from tests.data.sources import source_of_classes, source_of_values

# Fractions that leave at least a fifth for training, as do all that a user would type.
FRACTIONS = st.floats(0.05, 0.4)
SEEDS = st.integers(-(2**31), 2**31)


def parts_of(splits: Splits) -> list[list[int]]:
    return [splits.train.tolist(), splits.val.tolist(), splits.test.tolist()]


def class_errors(source: Source, splits: Splits) -> list[float]:
    """Return by how many samples the class farthest from its exact share is off, in each part."""
    counts = np.bincount(source.row_target, minlength=len(source.classes))
    parts = (splits.train, splits.val, splits.test)
    shares = [counts * len(rows) / len(source) for rows in parts]
    found = [np.bincount(source.row_target[rows], minlength=len(counts)) for rows in parts]
    return [float(np.abs(f - s).max()) for f, s in zip(found, shares, strict=True)]


@given(num_rows=st.integers(20, 200), val=FRACTIONS, test=FRACTIONS, seed=SEEDS)
def test_parts_are_disjoint_complete_sorted_and_of_the_asked_sizes(
    num_rows: int, val: float, test: float, seed: int
) -> None:
    train_rows, val_rows, test_rows = parts_of(
        split(source_of_values(num_rows), val_fraction=val, test_fraction=test, seed=seed)
    )
    assert sorted(train_rows + val_rows + test_rows) == list(range(num_rows))
    assert all(rows == sorted(rows) for rows in (train_rows, val_rows, test_rows))
    assert (len(val_rows), len(test_rows)) == (round(num_rows * val), round(num_rows * test))


@given(counts=st.lists(st.integers(10, 60), min_size=2, max_size=12), val=FRACTIONS, test=FRACTIONS, seed=SEEDS)
def test_each_part_has_each_class_in_proportion(counts: list[int], val: float, test: float, seed: int) -> None:
    source = source_of_classes(np.random.default_rng(0).permutation(np.repeat(range(len(counts)), counts)), len(counts))
    train_error, val_error, test_error = class_errors(
        source, split(source, val_fraction=val, test_fraction=test, seed=seed)
    )
    # Members of a class lie evenly in the order, half a step from its ends. So a stretch that starts at an end has the
    # exact count of a class of share w, out of C, to within (1 + w (C - 2)) / 2; validation lies between two of them.
    bound = 1 + max(counts) / sum(counts) * (len(counts) - 2)
    assert max(train_error, test_error) <= bound / 2 + 1e-9
    assert val_error <= bound + 1e-9


@given(counts=st.lists(st.integers(10, 60), min_size=2, max_size=3), val=FRACTIONS, test=FRACTIONS, seed=SEEDS)
def test_training_and_test_part_of_few_classes_are_stratified_within_one_sample(
    counts: list[int], val: float, test: float, seed: int
) -> None:
    source = source_of_classes(np.repeat(range(len(counts)), counts), len(counts))
    train_error, _, test_error = class_errors(source, split(source, val_fraction=val, test_fraction=test, seed=seed))
    assert max(train_error, test_error) < 1


@pytest.mark.parametrize(
    "read", [read_digits, *(lambda n=n: read_classes(n) for n in ("iris", "wine", "breast_cancer"))]
)
def test_the_embedded_sets_are_stratified_within_one_sample(read: Callable[[], Source]) -> None:
    source = read()
    for seed in range(10):
        assert max(class_errors(source, split(source, val_fraction=0.15, test_fraction=0.2, seed=seed))) < 1


@pytest.mark.parametrize(
    "source", [source_of_values(60), source_of_classes([0, 1, 2] * 20, 3)], ids=["values", "classes"]
)
def test_the_split_is_a_function_of_the_seed(source: Source) -> None:
    def parts(seed: int) -> list[list[int]]:
        return parts_of(split(source, val_fraction=0.2, test_fraction=0.2, seed=seed))

    np.random.seed(1)
    first = parts(0)
    np.random.seed(2)
    assert parts(0) == first
    assert all(parts(seed) != first for seed in range(1, 6))


def test_the_split_of_classes_does_not_look_at_the_features() -> None:
    labels = [0, 1, 1, 0, 2] * 10
    plain = source_of_classes(labels, 3)
    other = source_of_classes(labels, 3)
    other.inputs[0][:] = np.random.default_rng(0).normal(size=other.inputs[0].shape)
    first, second = (split(s, val_fraction=0.2, test_fraction=0.2, seed=4) for s in (plain, other))
    assert parts_of(first) == parts_of(second)


@given(labels=st.lists(st.integers(0, 2), min_size=30, max_size=90), num_test=st.integers(1, 15), seed=SEEDS)
def test_a_published_test_set_is_the_test_part(labels: list[int], num_test: int, seed: int) -> None:
    published = np.random.default_rng(seed % 7).choice(len(labels), num_test, replace=False)
    rest = sorted(set(range(len(labels))) - set(published.tolist()))
    assume({labels[row] for row in rest} == {0, 1, 2})
    splits = split(
        source_of_classes(labels, 3, test_rows=published.astype(np.int64)),
        val_fraction=0.2,
        test_fraction=None,
        seed=seed,
    )
    train_rows, val_rows, test_rows = parts_of(splits)
    assert test_rows == sorted(published.tolist())
    assert sorted(train_rows + val_rows) == rest
    assert len(val_rows) == round(0.2 * len(rest))


def test_a_rare_class_stays_in_training() -> None:
    source = source_of_classes([0] * 50 + [1] * 50 + [2], 3)
    for seed in range(20):
        assert 100 in split(source, val_fraction=0.2, test_fraction=0.2, seed=seed).train


@pytest.mark.parametrize(
    ("val", "test", "message"),
    [
        (0.2, 0.04, "data.test_fraction=0.04 of 10 samples leaves no test sample"),
        (0.04, 0.2, "data.val_fraction=0.04 of 10 samples leaves no validation sample"),
        (0.5, 0.5, "data.val_fraction and data.test_fraction leave no training sample of 10"),
        (0.8, 0.7, "data.val_fraction and data.test_fraction leave no training sample of 10"),
    ],
)
def test_an_empty_part_is_refused(val: float, test: float, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split(source_of_values(10), val_fraction=val, test_fraction=test, seed=0)


def test_a_class_without_training_sample_is_named() -> None:
    source = source_of_classes([0, 1, 0, 1, 0, 1, 0, 1, 2, 2], 3, test_rows=np.array([8, 9]))
    with pytest.raises(DataError, match="class c2 of data=made has no training sample") as raised:
        split(source, val_fraction=0.25, test_fraction=None, seed=0)
    assert "data.classes" in raised.value.problems[0].hint


# groups


@given(
    sizes=st.lists(st.integers(1, 8), min_size=12, max_size=40),
    val=st.floats(0.05, 0.3),
    test=st.floats(0.05, 0.3),
    seed=SEEDS,
)
def test_a_group_is_never_torn_and_parts_reach_their_sizes(
    sizes: list[int], val: float, test: float, seed: int
) -> None:
    group = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    source = replace(source_of_values(len(group)), group=group)
    wanted = (round(len(group) * val), round(len(group) * test))
    assume(min(wanted) >= 1)
    splits = split(source, val_fraction=val, test_fraction=test, seed=seed)
    train_rows, val_rows, test_rows = parts_of(splits)
    assert sorted(train_rows + val_rows + test_rows) == list(range(len(group)))
    found = [set(group[rows].tolist()) for rows in (train_rows, val_rows, test_rows)]
    assert sum(map(len, found)) == len(set().union(*found))
    for rows, number in zip((val_rows, test_rows), wanted, strict=True):
        assert number <= len(rows) < number + max(sizes)


def test_groups_are_kept_as_scikit_learns_group_split_keeps_them() -> None:
    group = np.repeat(np.arange(20), 5)
    source = replace(source_of_values(100), group=group)
    splits = split(source, val_fraction=0.2, test_fraction=0.2, seed=0)
    train, test = next(GroupShuffleSplit(1, test_size=0.2, random_state=0).split(group, groups=group))
    assert len(np.unique(group[splits.test])) == len(np.unique(group[test])) == 4
    assert not {*group[splits.train]} & {*group[splits.test]}
    assert not {*group[train]} & {*group[test]}


def test_the_seed_draws_the_groups() -> None:
    source = replace(source_of_values(60), group=np.arange(60) // 3)
    found = {tuple(split(source, val_fraction=0.2, test_fraction=0.2, seed=seed).test.tolist()) for seed in range(6)}
    assert len(found) == 6


@pytest.mark.parametrize("groups", [1, 2])
def test_too_few_groups_for_three_parts_are_refused(groups: int) -> None:
    source = replace(source_of_values(30), group=np.arange(30) % groups)
    with pytest.raises(ConfigError, match=f"data.group has {groups} groups, too few for parts of their own"):
        split(source, val_fraction=0.2, test_fraction=0.2, seed=0)


# parts that the data comes with


def test_a_published_validation_set_is_the_validation_part() -> None:
    source = replace(source_of_values(20), val_rows=np.array([7, 3, 5]))
    train_rows, val_rows, test_rows = parts_of(split(source, val_fraction=0.5, test_fraction=0.2, seed=0))
    assert val_rows == [3, 5, 7]
    assert len(test_rows) == round(0.2 * 17)
    assert sorted(train_rows + test_rows) == sorted({*range(20)} - {3, 5, 7})


@pytest.mark.parametrize("by_group", [False, True])
def test_with_both_published_parts_the_rest_is_trained_on_whatever_the_fractions(by_group: bool) -> None:
    source = replace(
        source_of_values(10),
        val_rows=np.array([8, 2]),
        test_rows=np.array([0, 9]),
        group=np.array([0, 1, 2, 1, 1, 3, 3, 1, 2, 0]) if by_group else None,
    )
    for seed in range(3):
        found = parts_of(split(source, val_fraction=0.9, test_fraction=0.9, seed=seed))
        assert found == [[1, 3, 4, 5, 6, 7], [2, 8], [0, 9]]


def test_published_parts_that_are_everything_leave_nothing_to_train_on() -> None:
    source = replace(source_of_values(6), val_rows=np.arange(3), test_rows=np.arange(3, 6))
    with pytest.raises(DataError, match="data=made has no training row"):
        split(source, val_fraction=0.2, test_fraction=0.2, seed=0)


def test_an_empty_published_part_is_refused() -> None:
    source = replace(source_of_values(20), test_rows=np.empty(0, np.int64))
    with pytest.raises(DataError, match="data=made has no test row"):
        split(source, val_fraction=0.2, test_fraction=0.2, seed=0)


def test_a_part_whose_rows_all_weigh_nothing_is_refused() -> None:
    weight = np.ones(10, np.float32)
    weight[[3, 4]] = 0
    source = replace(source_of_values(10), weight=weight, val_rows=np.array([3, 4]))
    with pytest.raises(DataError, match="data=made has no validation row with a weight above 0"):
        split(source, val_fraction=0.2, test_fraction=0.2, seed=0)


def test_a_group_in_two_parts_that_the_data_comes_with_is_refused() -> None:
    source = replace(source_of_values(12), test_rows=np.array([10, 11]), group=np.arange(12) % 5)
    with pytest.raises(DataError, match=r"2 groups of data\.group stand in two of the parts"):
        split(source, val_fraction=0.2, test_fraction=None, seed=0)


# sequences


def test_sequences_are_split_whole_and_in_no_order() -> None:
    source = source_of_tags(
        [np.zeros((n % 4 + 1, 1)) for n in range(40)], [np.arange(n % 4 + 1) % 2 for n in range(40)]
    )
    found = parts_of(split(source, val_fraction=0.25, test_fraction=0.25, seed=0))
    assert sorted(row for part in found for row in part) == list(range(40))
    assert [len(part) for part in found] == [20, 10, 10]
    assert found != parts_of(split(source, val_fraction=0.25, test_fraction=0.25, seed=1))


def test_a_class_that_no_step_of_training_has_is_refused() -> None:
    source = source_of_tags([np.zeros((2, 1))] * 6, [[0, 1], *[[0, 0]] * 5])
    cut = replace(source, val_rows=np.array([0]), test_rows=np.array([1]))
    with pytest.raises(DataError, match="class yes of data=made has no training sample"):
        split(cut, val_fraction=0.2, test_fraction=0.2, seed=0)
    fine = replace(source, val_rows=np.array([2]), test_rows=np.array([1]))
    assert parts_of(split(fine, val_fraction=0.2, test_fraction=0.2, seed=0)) == [[0, 3, 4, 5], [2], [1]]


def test_classes_of_sequences_have_their_share_in_every_part() -> None:
    source = source_of_series([np.zeros((n % 3 + 1, 1)) for n in range(40)], np.repeat([0, 1], [30, 10]))
    for rows in parts_of(split(source, val_fraction=0.2, test_fraction=0.3, seed=0)):
        assert sum(row >= 30 for row in rows) == pytest.approx(len(rows) / 4, abs=1)
