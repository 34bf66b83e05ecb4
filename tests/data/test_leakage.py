"""Columns that alone predict the target, and those that only seem to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnkit.data.leakage import _rank_correlation, counts_rows, leak

NUM_ROWS = 600
LABELS = np.random.default_rng(5).integers(0, 3, NUM_ROWS)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def of_classes(values: Any, labels: Any = LABELS, *, is_category: bool = False) -> float | None:
    return leak(np.asarray(values), np.asarray(labels, dtype=np.int64), "classification", is_category=is_category)


def of_values(values: Any, target: Any, *, is_category: bool = False) -> float | None:
    return leak(np.asarray(values), np.asarray(target)[:, None], "regression", is_category=is_category)


@pytest.mark.parametrize("num_rows", [60, 600, 10_000])
def test_numbers_that_tell_the_classes_apart_are_a_leak_in_any_order(num_rows: int) -> None:
    labels = rng().integers(0, 3, num_rows)
    assert of_classes(np.array([5.0, -1.0, 2.0])[labels] + rng(2).uniform(0, 0.5, num_rows), labels) == 1
    assert of_classes(rng(3).normal(size=num_rows), labels) is None


def test_categories_that_give_the_class_away_are_a_leak_however_many_there_are() -> None:
    category = rng(3).integers(0, 60, NUM_ROWS)
    assert of_classes(category, category % 2, is_category=True) == 1


def test_categories_that_hardly_repeat_are_no_leak() -> None:
    names = np.arange(NUM_ROWS) // 2  # each stands in two rows, mostly of other classes
    assert of_classes(rng().permutation(names), is_category=True) is None
    assert of_classes(np.arange(NUM_ROWS), is_category=True) is None


def test_a_value_that_misses_in_one_class_alone_is_a_leak() -> None:
    died = np.where(LABELS == 1, rng(4).normal(size=NUM_ROWS), np.nan)
    assert of_classes(died, LABELS == 1) == 1
    assert of_classes(np.where(LABELS == 1, 0, -1), LABELS == 1, is_category=True) == 1


def test_a_good_column_is_no_leak() -> None:
    assert of_classes(LABELS + rng(6).normal(size=NUM_ROWS) * 0.25) is None  # about 97 of 100 are right


def test_a_rare_class_counts_as_much_as_a_frequent_one() -> None:
    labels = (np.arange(10_000) % 100 == 0).astype(np.int64)
    assert of_classes(np.zeros(10_000) + (np.arange(10_000) == 5), labels) is None  # 99 of 100 are right, by saying 0
    assert of_classes(labels + 0.0, rng().permutation(labels)) is None


def test_a_monotone_function_of_the_value_is_a_leak_and_a_noisy_one_is_not() -> None:
    value = rng(7).normal(size=NUM_ROWS)
    assert of_values(-(value**3), value) == pytest.approx(1)
    assert of_values(value + rng(8).normal(size=NUM_ROWS) * 0.2, value) is None


def test_a_monotone_function_is_a_leak_though_a_third_of_it_is_missing() -> None:
    value = rng(7).normal(size=NUM_ROWS)
    assert of_values(np.where(LABELS == 0, np.nan, value), value) == pytest.approx(1)
    assert of_values(np.where(LABELS > 0, np.nan, value), value) is None


def test_the_rank_correlation_is_that_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    x, y = rng(1).integers(0, 20, 300).astype(float), rng(2).normal(size=300)
    y += x / 5
    expected = pandas.Series(x).rank().corr(pandas.Series(y).rank())
    assert _rank_correlation(x, y) == pytest.approx(abs(expected), abs=1e-12)


def test_categories_whose_means_are_the_value_are_a_leak() -> None:
    category = rng(9).integers(0, 8, NUM_ROWS)
    assert of_values(category, np.sqrt(category), is_category=True) == pytest.approx(1)
    assert of_values(category, rng().permutation(np.sqrt(category)), is_category=True) is None
    assert of_values(np.arange(NUM_ROWS), np.arange(NUM_ROWS) + 0.0, is_category=True) is None


def test_few_rows_and_a_column_without_values_are_not_judged() -> None:
    assert of_values(np.arange(10.0), np.arange(10.0)) is None
    assert of_values(np.full(100, np.nan), np.arange(100.0)) is None
    assert of_values(np.ones(100), np.arange(100.0)) is None
    assert of_classes(np.full(100, np.nan), np.arange(100) % 2) is None


def test_row_numbers_are_known_by_being_dense_and_different() -> None:
    assert counts_rows(rng().permutation(600)[:400], 0, 599, 600)
    assert not counts_rows(np.arange(400) * 10, 0, 3_990, 400)  # not dense
    assert not counts_rows(np.arange(400) // 2, 0, 199, 400)  # they repeat
    assert not counts_rows(np.arange(400) / 2, 0, 199.5, 400)  # not whole
    assert not counts_rows(np.arange(5), 0, 4, 5)  # five may differ by chance
