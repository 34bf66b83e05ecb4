"""From a raw target to class numbers or values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.target import MOST_WHOLE_NUMBER_CLASSES, class_order, read_target
from nnkit.errors import DataError


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        ([True, False, True], ("False", "True")),
        ([5, 3, 5], ("3", "5")),
        ([5.0, 3.0, 5.0], ("3", "5")),
        ([[5], [3], [5]], ("3", "5")),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b")),
    ],
    ids=["text", "booleans", "whole numbers", "whole floats", "one column", "objects"],
)
def test_auto_takes_these_for_classes_in_sorted_order(y: Any, classes: tuple[str, ...]) -> None:
    target, names, task = read_target(y, task="auto", name="y")
    assert (target.tolist(), target.dtype, names, task) == ([1, 0, 1], np.int64, classes, "classification")


@pytest.mark.parametrize(
    "y",
    [[0.5, 1.0, 2.0], np.arange(MOST_WHOLE_NUMBER_CLASSES + 1), [[1, 2], [3, 4]], [1.0, np.nan], [1.0, np.inf]],
    ids=["fractions", "many whole numbers", "two columns", "nan", "inf"],
)
def test_auto_takes_these_for_values(y: Any) -> None:
    target, names, task = read_target(y, task="auto", name="y")
    np.testing.assert_array_equal(target, np.asarray(y, dtype=np.float64).reshape(len(y), -1))
    assert (target.dtype, names, task) == (np.float64, (), "regression")


def test_auto_takes_whole_numbers_up_to_the_limit_for_classes() -> None:
    assert len(read_target(np.arange(MOST_WHOLE_NUMBER_CLASSES), task="auto", name="y")[1]) == MOST_WHOLE_NUMBER_CLASSES


def test_the_task_decides_where_it_is_given() -> None:
    values, no_names, task = read_target([0, 1, 1], task="regression", name="y")
    assert (values.tolist(), no_names, task) == ([[0.0], [1.0], [1.0]], (), "regression")
    assert read_target([0.5, 1.5, 0.5], task="classification", name="y")[1] == ("0.5", "1.5")


@given(st.lists(st.sampled_from(["cat", "dog", "Cat", "10", "9", ""]), min_size=1))
def test_class_numbers_lead_back_to_the_labels(labels: list[str]) -> None:
    target, names, _ = read_target(labels, task="auto", name="y")
    assert [names[number] for number in target] == labels
    assert list(names) == sorted(set(labels))


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["a", "b"], "regression", r"t\.csv: column y must be numbers for regression, got <U1 of shape \(2,\)"),
        ([True, False], "regression", r"must be numbers for regression, got bool of shape \(2,\)"),
        (np.zeros((2, 2, 2)), "auto", r"must be numbers for regression, got float64 of shape \(2, 2, 2\)"),
        ([[1, 2], [3, 4]], "classification", r"t\.csv: column y must have one class a row, got shape \(2, 2\)"),
        ([["a", "b"]], "auto", r"must have one class a row, got shape \(1, 2\)"),
        ([[0, 1], [2, 1]], "multilabel", r"t\.csv: column y must be 0 and 1 for multilabel, got 2"),
        ([0.0, 0.5], "multilabel", r"must be 0 and 1 for multilabel, got 0\.5"),
        ([1.0, np.nan], "multilabel", r"must be 0 and 1 for multilabel, got nan"),
        (["a", "b"], "multilabel", r"must be 0 and 1 for multilabel, got a"),
        (np.zeros((2, 2, 2)), "multilabel", r"must have one row a sample for multilabel, got shape \(2, 2, 2\)"),
        ([1.0, 0.0, np.nan], "classification", r"t\.csv: column y has a class that is not finite, in row 3"),
    ],
)
def test_a_target_that_the_task_has_not_is_refused(y: Any, task: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_target(y, task=task, name="t.csv: column y")


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        ([[0, 1], [1, 1]], [[0, 1], [1, 1]]),
        ([[True, False]], [[1, 0]]),
        ([0.0, 1.0], [[0], [1]]),
        ([[0], [1]], [[0], [1]]),
    ],
)
def test_labels_are_columns_of_0_and_1(y: Any, expected: list[list[float]]) -> None:
    target, names, task = read_target(y, task="multilabel", name="y")
    assert (target.tolist(), target.dtype, names, task) == (expected, np.float64, (), "multilabel")


@given(st.permutations(["10", "9", "-1", "+3", "007"]))
def test_whole_numbers_are_ordered_by_value_and_other_names_as_text(names: list[str]) -> None:
    assert class_order(names) == ["-1", "+3", "007", "9", "10"]
    assert class_order([*names, "x"]) == sorted([*names, "x"])
