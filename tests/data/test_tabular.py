"""The encoding of tables against pandas, scikit-learn and hand calculation."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from nnkit.data.frame import Column, ColumnKind, Frame
from nnkit.data.tabular import MissingCellError, Rules, TableEncoder, column_notes, fit_table
from nnkit.errors import DataError
from nnkit.spec import InputSpec

SCALERS = {"standard": StandardScaler, "minmax": MinMaxScaler, "robust": RobustScaler}
NAN = float("nan")
PLAIN = Rules(scaling="none")


def numeric(name: str, values: Any, kind: ColumnKind = "numeric", dtype: Any = np.float64) -> Column:
    return Column(name, kind, np.asarray(values, dtype))


def categorical(name: str, cells: list[str | None], known: list[str] | None = None) -> Column:
    """Return a column of texts, None where missing; its numbers are those of the first time each text appears."""
    names = known or list(dict.fromkeys(cell for cell in cells if cell is not None))
    numbers = [-1 if cell is None else names.index(cell) for cell in cells]
    return Column(name, "categorical", np.array(numbers, np.int32), tuple(names))


def encoded(encoder: TableEncoder, frame: Frame) -> list[torch.Tensor]:
    return list(encoder.prepare(encoder.store(frame)))


def features(frame: Frame, rules: Rules = PLAIN, train: Any = slice(None)) -> Any:
    """Return all features of all rows, fitted on the training rows."""
    (found,) = encoded(fit_table(frame, train, rules), frame)
    return found.numpy()


def names_of(frame: Frame, rules: Rules = PLAIN) -> tuple[str, ...]:
    return fit_table(frame, slice(None), rules).feature_names()


# numbers


@pytest.mark.parametrize("scaling", SCALERS)
def test_numbers_are_scaled_as_scikit_learn_does_from_the_training_rows(scaling: str) -> None:
    x = np.random.default_rng(0).gamma(2, size=(40, 3)) * [1, 100, 0.01] + [0, -50, 3]
    train = np.arange(0, 40, 3)
    frame = Frame(tuple(numeric(f"c{k}", x[:, k]) for k in range(3)))
    expected = SCALERS[scaling]().fit(x[train]).transform(x)
    np.testing.assert_allclose(features(frame, Rules(scaling=scaling), train), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_shift_costs_no_digits(dtype: Any) -> None:
    x = (2**24 + np.arange(6) * 2).astype(dtype)
    expected = StandardScaler().fit_transform(x[:, None].astype(np.float64))
    found = features(Frame((numeric("c", x, dtype=dtype),)), Rules(scaling="standard"))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("rule", "strategy"),
    [
        ("mean", {"strategy": "mean"}),
        ("median", {"strategy": "median"}),
        ("most_frequent", {"strategy": "most_frequent"}),
        ("constant", {"strategy": "constant", "fill_value": -7.5}),
        ("indicator", {"strategy": "mean", "add_indicator": True}),
    ],
)
def test_missing_numbers_are_filled_as_scikit_learn_does(rule: str, strategy: dict[str, Any]) -> None:
    x = np.array([1.0, 5.0, 5.0, NAN, 2.0, 9.0, NAN, 100.0])
    train = np.arange(6)
    expected = SimpleImputer(**strategy).fit(x[train, None]).transform(x[:, None])
    rules = Rules(scaling="none", missing_numeric=rule, fill_value=-7.5)
    np.testing.assert_allclose(features(Frame((numeric("c", x),)), rules, train), expected, rtol=1e-6)


def test_the_scale_is_that_of_the_cells_that_are_there() -> None:
    x = np.array([[1.0], [NAN], [3.0], [8.0]])
    expected = np.nan_to_num(StandardScaler().fit_transform(x), nan=0.0)  # the mean, scaled
    np.testing.assert_allclose(features(Frame((numeric("c", x[:, 0]),)), Rules()), expected, rtol=1e-6)


def test_the_indicator_is_there_only_where_training_lacks_a_value() -> None:
    frame = Frame((numeric("a", [1, NAN, 3]), numeric("b", [1, 2, NAN])))
    encoder = fit_table(frame, np.array([0, 1]), Rules(scaling="none", missing_numeric="indicator"))
    assert encoder.feature_names() == ("a", "a_missing", "b")
    (found,) = encoded(encoder, frame)
    assert found.tolist() == [[1, 0, 1], [1, 1, 2], [3, 0, 1.5]]


def test_a_missing_number_is_refused_where_the_rule_says_so() -> None:
    frame = Frame((numeric("a", [1, 2, NAN]),))
    encoder = fit_table(frame, np.array([0, 1]), Rules(missing_numeric="error"))
    with pytest.raises(MissingCellError, match=r"^column a: row 3 has no value$") as raised:
        encoder.store(frame)
    assert isinstance(raised.value, DataError)
    assert (raised.value.name, raised.value.row) == ("a", 2)
    assert "data.missing_numeric=mean" in raised.value.problems[0].hint


def test_a_constant_column_is_only_shifted() -> None:
    encoder = fit_table(Frame((numeric("c", [0.1, 0.1, 0.1]),)), slice(None), Rules())
    assert encoder.numbers[0].size == 1
    (found,) = encoded(encoder, Frame((numeric("c", [0.1, 1.1]),)))
    assert found.flatten().tolist() == pytest.approx([0, 1])


def test_booleans_stay_0_and_1_whatever_the_scaling() -> None:
    frame = Frame((numeric("b", [0, 1, 1, NAN], "boolean"),))
    found = features(frame, Rules(scaling="standard"))
    np.testing.assert_allclose(found, [[0], [1], [1], [2 / 3]], rtol=1e-6)
    most = features(frame, Rules(missing_numeric="most_frequent"))
    assert most.tolist() == [[0], [1], [1], [1]]


# dates


def test_a_date_is_its_days_and_its_place_in_year_and_week() -> None:
    dates = pd.to_datetime(["1970-01-01 00:00", "2024-02-29 00:00", "1969-12-25 12:00"])
    days = ((dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)).to_numpy()
    frame = Frame((numeric("d", days, "date"),))
    assert names_of(frame) == ("d", "d_year_sin", "d_year_cos", "d_week_sin", "d_week_cos")
    expected = [
        [day, *(f(2 * np.pi * day / period) for period in (365.2425, 7) for f in (np.sin, np.cos))] for day in days
    ]
    np.testing.assert_allclose(features(frame), expected, rtol=1e-5, atol=1e-5)


def test_the_same_weekday_has_the_same_place_in_the_week_and_two_dates_of_a_year_apart_the_same_in_the_year() -> None:
    found = features(Frame((numeric("d", [3.0, 3.0 + 7 * 1000, 3.0 + 365.2425 * 10], "date"),)))
    np.testing.assert_allclose(found[0, 3:], found[1, 3:], atol=1e-5)
    np.testing.assert_allclose(found[0, 1:3], found[2, 1:3], atol=1e-5)


def test_a_missing_date_has_no_place_in_year_and_week() -> None:
    frame = Frame((numeric("d", [10.0, NAN, 20.0], "date"),))
    found = features(frame, Rules(scaling="none", missing_numeric="indicator"))
    assert found[1].tolist() == [15.0, 0, 0, 0, 0, 1]
    assert found[0, -1] == found[2, -1] == 0


# categories


def test_categories_become_the_columns_of_scikit_learns_one_hot_encoder() -> None:
    cells = ["red", "blue", "red", "green", "blue", "red"]
    encoder = OneHotEncoder(sparse_output=False).fit(np.array(cells)[:, None])
    frame = Frame((categorical("c", list(cells)),))
    found, names = features(frame), names_of(frame)
    order = [names.index(f"c={name}") for name in encoder.categories_[0]]
    np.testing.assert_array_equal(found[:, order], encoder.transform(np.array(cells)[:, None]))
    assert names == ("c=red", "c=blue", "c=green")  # the most frequent first, then by name


def test_an_unseen_category_has_no_feature_of_its_own() -> None:
    frame = Frame((categorical("c", ["a", "b", "a", "z"]),))
    found = features(frame, PLAIN, np.arange(3))
    assert found.tolist() == [[1, 0], [0, 1], [1, 0], [0, 0]]
    assert fit_table(frame, np.arange(3), PLAIN).unseen(frame) == {"c": 1}
    assert fit_table(frame, np.arange(4), PLAIN).unseen(frame) == {}


def test_unseen_categories_are_counted_by_cells_not_by_names() -> None:
    frame = Frame((categorical("c", ["a", "z", "y", "z", None]), categorical("d", ["a"] * 5)))
    assert fit_table(frame, np.array([0]), PLAIN).unseen(frame) == {"c": 3}


def test_rare_categories_share_a_bucket_with_the_unseen() -> None:
    frame = Frame((categorical("c", ["a", "a", "b", "b", "c", "d", "z"]),))
    rules = replace(PLAIN, max_categories=2)
    encoder = fit_table(frame, np.arange(6), rules)
    assert encoder.feature_names() == ("c=other", "c=a", "c=b")
    (found,) = encoded(encoder, frame)
    assert found.tolist() == [[0, 1, 0]] * 2 + [[0, 0, 1]] * 2 + [[1, 0, 0]] * 3
    assert [note for note in column_notes(encoder, frame) if "2 most frequent categories are kept" in note]


@given(
    cells=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=30).filter(any),
    limit=st.integers(1, 5),
    rule=st.sampled_from(["indicator", "most_frequent", "constant"]),
)
def test_every_row_falls_into_exactly_one_bucket(cells: list[str | None], limit: int, rule: str) -> None:
    frame = Frame((categorical("c", cells),))
    rules = Rules(scaling="none", max_categories=limit, missing_categorical=rule)
    found, names = features(frame, rules), names_of(frame, rules)
    assert (found.sum(1) == 1).all()
    counts = pd.Series(cells).value_counts()
    kept = sorted(counts.index, key=lambda name: (-counts[name], name))[:limit]
    for name in kept:
        expected = [cell == name or (cell is None and rule == "most_frequent" and name == kept[0]) for cell in cells]
        assert found[:, names.index(f"c={name}")].tolist() == expected


@pytest.mark.parametrize(
    ("rule", "train", "names", "expected"),
    [
        ("indicator", [0, 1, 2, 3], ("c=missing", "c=a", "c=b"), [1, 0, 0]),
        ("indicator", [0, 1, 2], ("c=a", "c=b"), [0, 0]),
        ("constant", [0, 1, 2, 3], ("c=missing", "c=a", "c=b"), [1, 0, 0]),
        ("constant", [0, 1, 2], ("c=missing", "c=a", "c=b"), [1, 0, 0]),
        ("most_frequent", [0, 1, 2, 3], ("c=a", "c=b"), [1, 0]),
    ],
)
def test_a_missing_category_goes_by_the_rule(
    rule: str, train: list[int], names: tuple[str, ...], expected: list[int]
) -> None:
    frame = Frame((categorical("c", ["a", "b", "a", None]),))
    encoder = fit_table(frame, np.array(train), Rules(missing_categorical=rule))
    assert encoder.feature_names() == names
    (found,) = encoded(encoder, frame)
    assert found[3].tolist() == expected


def test_a_missing_category_is_refused_where_the_rule_says_so() -> None:
    frame = Frame((categorical("c", ["a", None, "a"]),))
    with pytest.raises(MissingCellError, match=re.escape("column c: row 2 has no value")):
        fit_table(frame, slice(None), Rules(missing_categorical="error")).store(frame)


def test_another_numbering_of_the_same_categories_is_encoded_alike() -> None:
    encoder = fit_table(Frame((categorical("c", ["a", "b", "b"]),)), slice(None), PLAIN)
    one = Frame((categorical("c", ["a", "b", None, "z"]),))
    other = Frame((categorical("c", ["a", "b", None, "z"], known=["z", "q", "b", "a"]),))
    np.testing.assert_array_equal(encoded(encoder, one)[0], encoded(encoder, other)[0])


# the whole table


MIXED = Frame(
    (
        numeric("n", [1, NAN, 3, 5, 8], dtype=np.float32),
        categorical("c", ["a", "b", None, "a", "rare"]),
        numeric("b", [0, 1, 1, NAN, 0], "boolean"),
        numeric("d", [0.5, 100, NAN, 3, 9], "date"),
        categorical("k", ["x", "y", "x", "y", "z"]),
        numeric("empty", [NAN] * 5),
        categorical("blank", [None] * 5),
    )
)
MIXED_RULES = Rules(missing_numeric="indicator", max_categories=2)


@pytest.mark.parametrize("categories", ["one_hot", "embedding"])
def test_an_encoder_survives_json(categories: Any) -> None:
    encoder = fit_table(MIXED, np.arange(5), replace(MIXED_RULES, categories=categories))
    again = TableEncoder.from_plain(json.loads(json.dumps(encoder.to_plain())))
    assert again == encoder
    for one, other in zip(encoded(encoder, MIXED), encoded(again, MIXED), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("categories", ["one_hot", "embedding"])
def test_the_specs_are_the_shapes_that_come_out(categories: Any) -> None:
    encoder = fit_table(MIXED, np.arange(5), replace(MIXED_RULES, categories=categories))
    found = encoded(encoder, MIXED)
    assert [tuple(x.shape[1:]) for x in found] == [spec.shape for spec in encoder.specs]
    assert [x.dtype for x in found] == [torch.float32, torch.int32][: len(found)]
    assert len(encoder.feature_names()) == encoder.specs[0].shape[0]
    assert torch.cat([x.float() for x in found], 1).isfinite().all()


def test_embedded_categories_are_the_bucket_numbers_of_each_column() -> None:
    encoder = fit_table(MIXED, np.arange(5), replace(MIXED_RULES, categories="embedding"))
    _, buckets = encoded(encoder, MIXED)
    # c: other 0, missing 1, a 2, b 3; k: other 0, x 1, y 2
    assert buckets.tolist() == [[2, 1], [3, 2], [1, 1], [2, 2], [0, 0]]
    assert encoder.specs[1] == InputSpec("categories", "categories", (2,), (4, 3))
    assert not any("=" in name for name in encoder.feature_names())


def test_a_table_of_categories_alone_has_no_features_when_they_are_embedded() -> None:
    frame = Frame((categorical("c", ["a", "b"]),))
    encoder = fit_table(frame, slice(None), replace(PLAIN, categories="embedding"))
    assert encoder.specs == (InputSpec("categories", "categories", (1,), (3,)),)
    assert encoded(encoder, frame)[0].tolist() == [[1], [2]]
    assert features(frame).tolist() == [[1, 0], [0, 1]]


def test_a_table_without_categories_has_nothing_to_embed() -> None:
    encoder = fit_table(Frame((numeric("n", [1, 2]),)), slice(None), replace(PLAIN, categories="embedding"))
    assert encoder.specs == (InputSpec("features", "features", (1,)),)


def test_columns_without_a_value_in_training_are_left_out_and_told() -> None:
    frame = Frame((numeric("n", [1, 2, 3]), numeric("late", [NAN, NAN, 9]), categorical("c", [None, None, "a"])))
    encoder = fit_table(frame, np.array([0, 1]), PLAIN)
    assert encoder.names == ("n",)
    assert encoder.kinds == {"n": "numeric"}
    assert list(column_notes(encoder, frame)) == [
        "column late has no value in training and is left out",
        "column c has no value in training and is left out",
    ]


def test_a_table_without_any_value_in_training_is_refused() -> None:
    frame = Frame((numeric("n", [NAN, 2]), categorical("c", [None, "a"])))
    with pytest.raises(DataError, match="no column has a value in the training rows"):
        fit_table(frame, np.array([0]), PLAIN)


def test_rows_outside_training_change_nothing() -> None:
    train = np.array([0, 1, 2])
    other = Frame((numeric("n", [1, NAN, 3, 1e9, -1e9]), categorical("c", ["a", "b", None, "zz", "zz"])))
    same = Frame((numeric("n", [1, NAN, 3, 0, 0]), categorical("c", ["a", "b", None, "a", "a"])))
    assert fit_table(other, train, MIXED_RULES) == fit_table(same, train, MIXED_RULES)


def test_the_order_of_the_columns_of_new_rows_does_not_matter() -> None:
    encoder = fit_table(MIXED, np.arange(5), MIXED_RULES)
    turned = Frame(tuple(reversed(MIXED.columns)))
    assert torch.equal(encoded(encoder, MIXED)[0], encoded(encoder, turned)[0])


def test_the_whole_encoding_is_the_one_made_by_hand() -> None:
    encoder = fit_table(MIXED, np.arange(5), MIXED_RULES)
    n = np.array([1, 4.25, 3, 5, 8])
    present = np.array([1, 3, 5, 8])
    (found,) = encoded(encoder, MIXED)
    by_name = dict(zip(encoder.feature_names(), found.T.numpy(), strict=True))
    np.testing.assert_allclose(by_name["n"], (n - present.mean()) / present.std(), rtol=1e-5, atol=1e-6)
    expected = {
        "n_missing": [0, 1, 0, 0, 0],
        "b": [0, 1, 1, 0.5, 0],
        "b_missing": [0, 0, 0, 1, 0],
        "d_missing": [0, 0, 1, 0, 0],
        "c=other": [0, 0, 0, 0, 1],
        "c=missing": [0, 0, 1, 0, 0],
        "c=a": [1, 0, 0, 1, 0],
        "c=b": [0, 1, 0, 0, 0],
        "k=other": [0, 0, 0, 0, 1],
        "k=x": [1, 0, 1, 0, 0],
        "k=y": [0, 1, 0, 1, 0],
    }
    for name, column in expected.items():
        assert by_name[name].tolist() == column, name
    assert len(by_name) == len(expected) + 6  # n, and the date with its four places


def test_values_are_rounded_as_those_of_training_were() -> None:
    exact = np.random.default_rng(0).normal(50, 9, 200)
    short = exact.astype(np.float32)
    for dtype in ("float32", "float64"):
        trained = Frame((numeric("c", exact, dtype=dtype), numeric("d", exact, "date", dtype=dtype)))
        encoder = fit_table(trained, slice(None), Rules(missing_numeric="indicator"))
        again = TableEncoder.from_plain(json.loads(json.dumps(encoder.to_plain())))
        later = Frame((numeric("c", exact), numeric("d", exact, "date")))
        for found, wanted in zip(again.store(later), encoder.store(trained), strict=True):
            assert torch.equal(found, wanted)
    assert (short.astype(np.float64) != exact).all()


def test_rare_categories_are_no_unseen_ones() -> None:
    frame = Frame((categorical("c", ["a", "a", "b", "b", "c", "d", "z", "z"]), categorical("k", ["x"] * 8)))
    encoder = fit_table(frame, np.arange(6), replace(PLAIN, max_categories=2))
    encoder = TableEncoder.from_plain(json.loads(json.dumps(encoder.to_plain())))
    assert (encoder.unseen(frame), encoder.forgetful) == ({"c": 2}, frozenset())


def test_too_many_rare_categories_are_counted_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame((categorical("c", ["a", "a", "b", "b", "c", "d", "z", "z"]), categorical("k", ["x"] * 8)))
    monkeypatch.setattr("nnkit.data.tabular.MOST_RARE", 1)
    encoder = fit_table(frame, np.arange(6), replace(PLAIN, max_categories=2))
    assert (encoder.unseen(frame), encoder.forgetful) == ({"c": 4}, {"c"})
    (c, _) = encoder.categories
    assert (c.num_rare, c.rare) == (2, ())
    assert encoder.feature_names()[0] == "c=other"


def test_the_places_of_one_hot_features_are_found_once() -> None:
    frame = Frame(tuple(categorical(f"c{k}", [f"{i % 100}" for i in range(200)]) for k in range(50)))
    encoder = fit_table(frame, slice(None), PLAIN)
    stored = encoder.store(frame[np.arange(2)])

    def seconds() -> float:
        start = time.perf_counter()
        encoder.prepare(stored)
        return time.perf_counter() - start

    first = seconds()
    assert min(seconds() for _ in range(20)) < first / 3
