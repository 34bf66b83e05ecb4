"""One look at each column, and the number that tells equal rows."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.data.frame import Column
from nnkit.data.profile import ColumnFacts, RowHashes, look_at_array, look_at_column
from nnkit.data.split import Splits
from nnkit.spec import InputSpec

EVERY = np.arange(5)
PARTS = Splits(EVERY, EVERY[:0], EVERY[:0])


def facts_of(column: Column) -> ColumnFacts:
    return look_at_column(column, PARTS, EVERY).facts


def test_categories_are_counted() -> None:
    found = facts_of(Column("c", "categorical", np.array([1, 0, 1, -1, 1], dtype=np.int32), ("a", "b", "unused")))
    assert (found.missing, found.distinct, found.top) == (1, 2, (("b", 3), ("a", 1)))


def test_numbers_have_limits_and_a_mean_of_those_that_are_there() -> None:
    found = facts_of(Column("n", "numeric", np.array([3, np.nan, -1, 4, np.nan], dtype=np.float32)))
    assert (found.missing, found.distinct, found.low, found.mean, found.high) == (2, 3, -1, 2, 4)
    found = facts_of(Column("e", "numeric", np.full(5, np.nan)))
    assert (found.missing, found.distinct, found.low, found.mean, found.constant) == (5, 0, None, None, False)


def test_dates_are_shown_as_dates() -> None:
    found = facts_of(Column("d", "date", np.array([0, 1, 19_000, 19_000, 1.5])))
    assert (found.low, found.high, found.distinct) == ("1970-01-01", "2022-01-08", 4)
    assert facts_of(Column("d", "date", np.array([1.5]).repeat(5))).low == "1970-01-02T12:00:00"


@pytest.mark.parametrize(("kind", "shape", "axes"), [("features", (3,), 0), ("series", (4, 2), (0, 1))])
def test_arrays_are_described_as_numpy_does(kind: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(100_000, *shape)).astype(np.float32)  # several chunks
    found = [each.facts for each in look_at_array(x, InputSpec("x", kind, shape), EVERY, RowHashes(len(x), 0))]  # type: ignore[arg-type]
    assert [each.low for each in found] == x.min(axis=axes).tolist()
    assert [each.high for each in found] == x.max(axis=axes).tolist()
    assert [each.mean for each in found] == pytest.approx(x.mean(axis=axes, dtype=np.float64).tolist(), abs=1e-12)


def test_pictures_are_described_by_channel() -> None:
    x = np.random.default_rng(0).integers(0, 200, (50, 3, 5, 5)).astype(np.uint8)
    found = [each.facts for each in look_at_array(x, InputSpec("x", "image", (3, 5, 5)), EVERY, RowHashes(50, 0))]
    assert [each.mean for each in found] == pytest.approx(x.mean(axis=(0, 2, 3)).tolist())
    assert [each.name for each in found] == ["x[0]", "x[1]", "x[2]"]


def test_zero_and_minus_zero_are_equal_but_equal_numbers_in_other_columns_are_not() -> None:
    hashes = RowHashes(3, 0)
    hashes.add_column(np.array([0.0, -0.0, 1.0]))
    hashes.add_column(np.array([1.0, 1.0, 0.0]))
    assert hashes.values[0] == hashes.values[1] != hashes.values[2]


def test_a_million_rows_that_differ_have_different_hashes() -> None:
    hashes = RowHashes(1_000_000, 0)
    numbers = np.arange(1_000_000)
    hashes.add_column((numbers // 1000).astype(np.float32))
    hashes.add_column((numbers % 1000).astype(np.float32))
    assert len(np.unique(hashes.values)) == 1_000_000
