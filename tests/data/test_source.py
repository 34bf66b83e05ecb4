"""What readers return: identity, checks, choices of rows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.source import Source, check_source, keep_classes, keep_some
from nnkit.errors import ConfigError, DataError
from tests.data.series_sources import source_of_series, source_of_tags, source_of_texts, source_of_windows
from tests.data.sources import source_of, source_of_classes, source_of_values


def numbers(source: Source) -> list[int]:
    """Return which rows of the original a source of numbered rows has."""
    return source.inputs[0][:, 0].astype(int).tolist()


def test_the_task_goes_by_classes_and_labels() -> None:
    assert source_of_classes([0, 1, 2], 3).task == "classification"
    assert source_of_values(3).task == "regression"
    assert replace(source_of_values(3), is_multilabel=True).task == "multilabel"


def test_equal_data_has_an_equal_fingerprint_whatever_its_memory_layout() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    first, second = source_of(x, [1, 2, 3]), source_of(np.asfortranarray(x), [1, 2, 3])
    assert first.fingerprint() == second.fingerprint()
    assert len(first.fingerprint()) == 64


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.array([[1, 2], [3, 5]], np.float32), [0, 1]),
        (np.array([[1, 2], [3, 4]], np.float32), [1, 1]),
        (np.array([[1, 2], [3, 4]], np.float64), [0, 1]),
        (np.array([[1, 2, 3, 4]], np.float32).reshape(2, 1, 2), [0, 1]),
    ],
    ids=["a feature", "a target", "the type", "the shape"],
)
def test_other_data_has_another_fingerprint(x: Any, y: list[int]) -> None:
    assert source_of(x, y).fingerprint() != source_of(np.array([[1, 2], [3, 4]], np.float32), [0, 1]).fingerprint()


@pytest.mark.parametrize("part", ["val_rows", "test_rows", "group"])
def test_other_parts_or_groups_are_other_data_but_for_runs_of_the_first_format(part: str) -> None:
    source = source_of_values(6)
    first, second = (replace(source, **{part: np.array(rows)}) for rows in ([0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1]))
    facts = {"format": 2, "data_fingerprint": first.fingerprint()}
    assert first.is_of(facts)
    assert not second.is_of(facts)
    old = {"format": 1, "data_fingerprint": source.fingerprint()}
    assert first.is_of(old)
    assert second.is_of(old)


def test_taken_rows_keep_their_order_and_their_place_in_the_published_test_set() -> None:
    taken = source_of_classes([0, 1, 0, 1, 0], 2, test_rows=np.array([3, 4])).take(np.array([4, 0, 3]))
    assert numbers(taken) == [4, 0, 3]
    assert taken.row_target.tolist() == [0, 0, 1]
    assert taken.test_rows is not None
    assert taken.test_rows.tolist() == [0, 2]


def test_rows_are_taken_without_a_published_test_set() -> None:
    assert source_of_values(5).take(np.array([1, 2])).test_rows is None


def test_usable_data_passes() -> None:
    check_source(source_of_classes([0, 1, 2], 3))
    check_source(source_of_values(3))
    check_source(source_of(np.zeros((3, 1, 2, 2), np.uint8), [0, 1, 0], classes="ab", kind="image"))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (source_of_values(2), "data=made has 2 rows, but training, validation and test need one each"),
        (source_of(np.zeros((4, 0), np.float32), [1, 2, 3, 4]), r"an array of shape \(4, 0\), which holds no value"),
        (source_of_classes([0, 0, 0], 1), r"data=made has one class only \(c0\)"),
        (source_of_classes([0, 1, 2], 4), "data=made has 3 rows, fewer than its 4 classes"),
    ],
    ids=["rows", "no feature", "one class", "classes"],
)
def test_data_with_nothing_to_learn_is_refused(source: Source, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check_source(source)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_feature_that_is_not_finite_is_named(value: float) -> None:
    x = np.zeros((5, 2, 3), np.float32)
    x[2, 1, 0] = x[4, 0, 0] = value
    message = f"data=made has 2 values that are not finite; the first is {value} in row 3, position [2, 1]"
    with pytest.raises(DataError, match=re.escape(message)):
        check_source(source_of(x, range(5), kind="series"))


def test_a_target_that_is_not_finite_is_named() -> None:
    with pytest.raises(DataError, match="has 1 values that are not finite; the first is nan in row 2"):
        check_source(source_of(np.zeros((3, 1), np.float32), [1, np.nan, 3]))


def test_named_classes_alone_are_kept_and_numbered_in_the_original_order() -> None:
    kept = keep_classes(source_of_classes([0, 1, 2, 3, 2, 1, 0], 4), ["c3", "c1"])
    assert kept.classes == ("c1", "c3")
    assert numbers(kept) == [1, 3, 5]
    assert kept.row_target.tolist() == [0, 1, 0]
    assert kept.row_target.dtype == np.int64


def test_classes_are_named_by_whole_numbers_too() -> None:
    digits = replace(source_of_classes([0, 1, 2], 3), classes=("3", "5", "8"))
    assert keep_classes(digits, [3, 8]).classes == ("3", "8")


def test_kept_classes_keep_the_published_test_set() -> None:
    kept = keep_classes(source_of_classes([0, 1, 2, 0, 1, 2], 3, test_rows=np.array([3, 4, 5])), ["c0", "c2"])
    assert kept.test_rows is not None
    assert numbers(kept.take(kept.test_rows)) == [3, 5]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["c0", "c7", 9], "data.classes must be among c0, c1, c2, got c7, 9"),
        (["c1"], r"data.classes needs two or more classes, got \[c1\]"),
        (["c1", "c1"], r"data.classes needs two or more classes, got \[c1,c1\]"),
        ([], r"data.classes needs two or more classes, got \[\]"),
    ],
)
def test_classes_that_cannot_be_kept_are_refused(wanted: list[str | int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        keep_classes(source_of_classes([0, 1, 2], 3), wanted)


def test_classes_of_a_regression_target_are_refused() -> None:
    with pytest.raises(ConfigError, match="picks classes, but the target is a number"):
        keep_classes(source_of_values(4), ["a", "b"])


@given(num_rows=st.integers(1, 40), limit=st.integers(3, 50), seed=st.integers(-5, 5))
def test_a_limit_keeps_that_many_different_rows_in_order(num_rows: int, limit: int, seed: int) -> None:
    kept = numbers(keep_some(source_of_values(num_rows), limit, seed))
    assert len(kept) == min(num_rows, limit)
    assert kept == sorted(set(kept))
    assert kept == numbers(keep_some(source_of_values(num_rows), limit, seed))


@pytest.mark.parametrize(
    ("source", "limit", "message"),
    [
        (source_of_values(9), 2, "data.limit=2 is too few for three parts"),
        (source_of_classes([0, 1, 2, 3, 4], 5), 4, "data.limit=4 is too few for the 5 classes of data=made"),
    ],
    ids=["values", "classes"],
)
def test_a_limit_below_the_number_of_parts_or_classes_is_refused(source: Source, limit: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        keep_some(source, limit, 0)


def test_the_seed_picks_the_rows_under_a_limit() -> None:
    kept = {tuple(numbers(keep_some(source_of_values(100), 10, seed))) for seed in range(5)}
    assert len(kept) == 5


def test_a_limit_leaves_the_published_test_set_whole() -> None:
    kept = keep_some(source_of_classes([0, 1] * 10, 2, test_rows=np.arange(14, 20)), 4, 0)
    assert len(kept) == 10
    assert kept.test_rows is not None
    assert numbers(kept.take(kept.test_rows)) == list(range(14, 20))


# sequences


def test_the_task_of_an_answer_a_step_goes_by_words_and_classes() -> None:
    items = [np.zeros((2, 1))] * 3
    assert source_of_tags(items, [[0, 1]] * 3).task == "tagging"
    assert source_of_texts(["a b"] * 4, is_language=True).task == "language"
    assert source_of_windows(20, window=3, horizon=2).task == "forecast"
    assert source_of_texts(["a b"] * 4).task == "classification"


@pytest.mark.parametrize("part", ["starts", "lengths", "values", "part_of"])
def test_other_sequences_are_other_data(part: str) -> None:
    source = source_of_texts(["a b", "c d", "e f", "g h"], is_language=True)
    given = source.inputs[0]
    changed = {"starts": given.starts + 1, "lengths": given.lengths - 1, "values": given.values[::-1], "part_of": None}
    other = replace(source, inputs=(replace(given, **{part: changed[part]}),))
    assert source.fingerprint() == replace(source).fingerprint() != other.fingerprint()


def test_taken_rows_of_sequences_keep_input_and_target_together() -> None:
    items = [np.full((n, 1), n) for n in (2, 1, 3)]
    taken = source_of_tags(items, [[0, 1], [1], [0, 0, 1]]).take(np.array([2, 0]))
    assert [steps[:, 0].tolist() for steps in taken.inputs[0]] == [[3, 3, 3], [2, 2]]
    assert [steps.tolist() for steps in taken.target] == [[0, 0, 1], [0, 1]]


def test_more_classes_than_sequences_are_enough_where_each_step_has_one() -> None:
    source = source_of_tags([np.zeros((4, 1))] * 3, [[0, 1, 2, 3]] * 3, "abcd")
    check_source(source)
    assert len(keep_some(source_of_tags([np.zeros((4, 1))] * 5, [[0, 1, 2, 3]] * 5, "abcd"), 3, 0)) == 3
    with pytest.raises(ConfigError, match=r"data\.limit=2 is too few for three parts"):
        keep_some(source, 2, 0)


def test_a_value_of_a_sequence_that_is_not_finite_is_named_by_row_and_step() -> None:
    items = [np.zeros((n, 2)) for n in (2, 4, 3)]
    items[1][2, 1] = items[2][0, 0] = np.nan
    message = "data=made has 2 values that are not finite; the first is nan in row 2, position [3, 2]"
    with pytest.raises(DataError, match=re.escape(message)):
        check_source(source_of_series(items))


def test_classes_of_steps_and_of_words_cannot_be_picked() -> None:
    tags = source_of_tags([np.zeros((2, 1))] * 3, [[0, 1]] * 3)
    with pytest.raises(ConfigError, match=r"data\.classes picks classes, but each step has a class"):
        keep_classes(tags, ["no"])
    with pytest.raises(ConfigError, match=r"data\.classes picks classes, but the target is a number"):
        keep_classes(source_of_windows(20, window=3, horizon=2), ["a"])


def test_who_has_too_few_texts_is_told_of_long_ones() -> None:
    with pytest.raises(DataError, match="has 1 rows, but training, validation and test need one each") as caught:
        check_source(source_of_texts(["a long text of many words"]))
    assert caught.value.problems[0].hint.startswith("data.task=language for one long text")
    with pytest.raises(DataError, match="has 2 rows") as caught:
        check_source(source_of_series([[[1.0]], [[2.0]]]))
    assert caught.value.problems[0].hint == ""


def test_a_share_is_that_of_the_rows_in_no_part_that_the_data_comes_with() -> None:
    source = replace(source_of_values(100), test_rows=np.arange(80, 100))
    kept = numbers(keep_some(source, 0.1, 0))
    assert len(kept) == 8 + 20
    assert set(range(80, 100)) <= set(kept)
    assert set(kept) <= set(numbers(keep_some(source, 0.5, 0)))
    with pytest.raises(ConfigError, match=r"data\.limit=0\.01, 1 of 80 rows, is too few for three parts"):
        keep_some(source, 0.01, 0)
