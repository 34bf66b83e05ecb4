"""Sequences as stretches of shared steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.sequences import Sequences

STRETCHES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=8)


def stretches(places: list[tuple[int, int]], **changes: Any) -> Sequences:
    """Return stretches (start, length) of the steps 0, 1, 2, … 29."""
    starts, lengths = (np.array(column, np.int64) for column in zip(*places, strict=True))
    return Sequences(np.arange(30, dtype=np.int32), starts, lengths, **changes)


def lists_of(given: Sequences) -> list[list[Any]]:
    return [steps.tolist() for steps in given]


def test_arrays_lie_side_by_side_and_come_out_as_they_went_in() -> None:
    items = [np.array([[1, 2]]), np.array([[3, 4], [5, 6], [7, 8]]), np.array([[9, 9]])]
    given = Sequences.of(items)
    assert lists_of(given) == [item.tolist() for item in items]
    assert (len(given), given.longest, given.is_even) == (3, 3, False)
    assert Sequences.of(items[::2]).is_even


@given(places=STRETCHES, rows=st.lists(st.integers(0, 7), min_size=1, max_size=8))
def test_chosen_rows_are_those_sequences_on_the_same_steps(places: list[tuple[int, int]], rows: list[int]) -> None:
    given = stretches(places, part_of=np.arange(len(places)))
    rows = [row % len(places) for row in rows]
    chosen = given[np.array(rows)]
    assert lists_of(chosen) == [lists_of(given)[row] for row in rows]
    assert chosen.values is given.values
    assert chosen.part_of is not None
    assert chosen.part_of.tolist() == rows
    assert lists_of(given[1:3]) == lists_of(given)[1:3]


@given(places=STRETCHES)
def test_covered_steps_are_those_in_a_sequence_and_compact_keeps_them_alone(places: list[tuple[int, int]]) -> None:
    given = stretches(places)
    used = sorted({step for start, length in places for step in range(start, start + length)})
    assert np.flatnonzero(given.covered()).tolist() == used
    small = given.compact()
    assert small.values.tolist() == used
    assert lists_of(small) == lists_of(given)
    assert small.compact() is small


@pytest.mark.parametrize(
    ("places", "part_of", "expected"),
    [
        ([(0, 3), (3, 3), (6, 2)], [0, 0, 0], [False, True, True]),
        ([(0, 3), (3, 3), (6, 2)], [0, 1, 1], [False, False, True]),
        ([(0, 3), (2, 3), (5, 2)], [0, 0, 0], [False, False, True]),
        ([(0, 3), (4, 3), (7, 2)], [0, 0, 0], [False, False, True]),
        ([(3, 3), (0, 3), (3, 3)], [0, 0, 0], [False, False, True]),
        ([(0, 3), (3, 3)], None, [False, False]),
    ],
    ids=["contiguous", "two texts", "overlap", "gap", "backwards", "on their own"],
)
def test_a_sequence_follows_where_the_one_before_it_in_the_same_text_ended(
    places: list[tuple[int, int]], part_of: list[int] | None, expected: list[bool]
) -> None:
    given = stretches(places, part_of=None if part_of is None else np.array(part_of))
    assert given.follows.tolist() == expected


def test_what_is_left_out_between_two_breaks_the_chain() -> None:
    given = stretches([(0, 3), (3, 3), (6, 3), (9, 3)], part_of=np.zeros(4, np.int64))
    assert given[np.array([0, 2, 3])].follows.tolist() == [False, False, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"values": np.arange(30, dtype=np.int32)[::-1]},
        {"starts": np.array([1, 3])},
        {"lengths": np.array([3, 1])},
        {"words": ("a", "c")},
        {"words": ()},
        {"part_of": np.array([0, 1])},
        {"part_of": None},
    ],
    ids=lambda changes: f"{next(iter(changes))}",
)
def test_the_arrays_tell_different_sequences_apart(changes: dict[str, Any]) -> None:
    given = stretches([(0, 3), (3, 2)], words=("a", "b"), part_of=np.array([0, 0]))

    def digest(of: Sequences) -> list[tuple[str, Any]]:
        return [(name, array.tolist()) for name, array in of.arrays()]

    assert digest(given) == digest(replace(given))
    assert digest(given) != digest(replace(given, **changes))
