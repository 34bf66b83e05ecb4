"""Tables in memory: rows, columns, and several files as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.frame import Column, Frame, joined, translated


def texts(cells: list[str | None], known: list[str] | None = None) -> Column:
    names = known or sorted({cell for cell in cells if cell is not None})
    numbers = [-1 if cell is None else names.index(cell) for cell in cells]
    return Column("c", "categorical", np.array(numbers, np.int32), tuple(names))


def cells_of(column: Column) -> list[str | None]:
    return [None if number < 0 else column.categories[number] for number in column.values]


NUMBERS = Column("n", "numeric", np.array([1.0, np.nan, 3.0]))
FRAME = Frame((NUMBERS, texts(["a", None, "b"])))


def test_missing_cells_are_found_in_both_kinds() -> None:
    assert [column.missing().tolist() for column in FRAME.columns] == [[False, True, False]] * 2


@pytest.mark.parametrize("rows", [[2, 0], slice(1, None), [True, False, True]], ids=["numbers", "slice", "mask"])
def test_rows_are_taken_from_every_column(rows: Any) -> None:
    taken = FRAME[np.asarray(rows) if isinstance(rows, list) else rows]
    places = np.arange(3)[rows]
    assert len(taken) == len(places)
    np.testing.assert_array_equal(taken.column("n").values, NUMBERS.values[places])
    assert cells_of(taken.column("c")) == [["a", None, "b"][k] for k in places]


def test_a_frame_without_columns_has_no_rows_and_an_unknown_column_is_none() -> None:
    assert len(Frame(())) == 0
    with pytest.raises(KeyError):
        FRAME.column("z")


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=6), min_size=1, max_size=4))
def test_joined_files_keep_every_cell_whatever_their_numberings(parts: list[list[str | None]]) -> None:
    orders = [["c", "b", "a"], ["a", "b", "c"]]
    frames = [
        Frame((Column("n", "numeric", np.arange(len(cells), dtype=np.float64)), texts(cells, orders[k % 2])))
        for k, cells in enumerate(parts)
    ]
    found = joined(frames)
    assert cells_of(found.column("c")) == [cell for cells in parts for cell in cells]
    assert found.column("n").values.tolist() == [float(k) for cells in parts for k in range(len(cells))]
    assert len(set(found.column("c").categories)) == len(found.column("c").categories)


def test_a_column_is_translated_into_another_numbering() -> None:
    column = texts(["a", "b", None, "z"])
    assert translated(column, {"a": 5, "b": 6}, absent=0, missing=9).tolist() == [5, 6, 9, 0]
    assert translated(column, {"z": 1}, absent=0).tolist() == [0, 0, -1, 1]
    assert translated(column, {}, absent=0).dtype == np.int32


def test_what_makes_a_frame_is_its_names_kinds_categories_and_values() -> None:
    assert [name for name, _ in FRAME.arrays()] == ["n:numeric:", "c:categorical:a|b"]
