"""Windows of a series: which there are, and to which part they belong."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nnkit.data.sequence_encoder import fit_steps
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.data.split import split
from nnkit.data.windows import IN_TWO_PARTS, OF_FILLED, OVER_GAP, as_values, windows_source
from nnkit.errors import ConfigError


def windows(num_steps: int, **changes: Any) -> Source:
    """Return windows of two columns, a (the step's number) and b (ten times as much)."""
    steps = np.arange(num_steps, dtype=np.float64)
    settings: dict[str, Any] = {
        "inputs": ["a", "b"],
        "targets": ["b"],
        "future": [],
        "times": None,
        "parts_of": None,
        "window": 3,
        "horizon": 2,
        "stride": 1,
        "parts": None,
        "val_fraction": 0.25,
        "test_fraction": 0.25,
    }
    return windows_source("made.csv", {"a": steps, "b": 10 * steps}, **(settings | changes))


def target_of(source: Source) -> Sequences:
    assert isinstance(source.target, Sequences)
    return source.target


def rows_of(source: Source) -> tuple[Any, Any, Any]:
    """Return the rows of training, validation and test."""
    splits = split(source, val_fraction=0.5, test_fraction=0.5, seed=0)
    return splits.train, splits.val, splits.test


def first_targets(source: Source) -> tuple[list[int], ...]:
    """Return the first step of each target, part by part."""
    return tuple(target_of(source).starts[rows].tolist() for rows in rows_of(source))


def test_a_window_is_the_past_and_what_comes_next() -> None:
    source = windows(20)
    assert [x.tolist() for x in (list(source.inputs[0])[1], list(source.target)[1])] == [
        [[1, 10], [2, 20], [3, 30]],
        [[40], [50]],
    ]
    (spec,) = source.specs
    assert (spec.name, spec.kind, spec.shape) == ("x", "series", (3, 2))
    assert (source.task, source.target_names, source.channels) == ("forecast", ("b",), (1,))
    assert [x.values.dtype for x in (*source.inputs, source.target)] == [np.float32, np.float64]


def test_columns_known_beforehand_are_an_input_over_the_horizon() -> None:
    source = windows(20, inputs=["b"], future=["a"])
    assert [next(iter(x)).tolist() for x in source.inputs] == [[[0], [10], [20]], [[3], [4]]]
    assert [(spec.name, spec.shape) for spec in source.specs] == [("x", (3, 1)), ("future", (2, 1))]
    assert source.channels == (0,)


def test_each_part_starts_with_a_full_window_that_reaches_back() -> None:
    source = windows(20)  # 10 steps for training, 5 for validation, 5 for test
    assert first_targets(source) == ([3, 4, 5, 6, 7, 8], [10, 11, 12, 13], [15, 16, 17, 18])
    account = source.rows
    assert (account.rows_in, account.dropped) == (20 - 5 + 1, {IN_TWO_PARTS: 2})
    assert account.notes == ("of 20 steps 10 for training, 5 for validation, 5 for test",)


def test_parts_are_sizes_in_steps_and_what_is_behind_them_is_left_out() -> None:
    source = windows(40, parts=[10, 4, 3])
    assert first_targets(source) == ([3, 4, 5, 6, 7, 8], [10, 11, 12], [14, 15])
    assert source.rows.notes == (
        "of 40 steps 10 for training, 4 for validation, 3 for test, 23 behind them are left out by data.parts",
    )


def test_a_stride_is_one_of_training_and_starts_anew_behind_a_gap() -> None:
    source = windows(24, parts_of=[(0, 9), (9, 24)], stride=3, parts=[18, 3, 3])
    # From 3 by 3 up to the gap, from 12 by 3 behind it; at 9 the past would lie over the gap.
    assert first_targets(source) == ([3, 6, 12, 15], [18, 19], [21, 22])
    assert source.rows.dropped == {OVER_GAP: 1, IN_TWO_PARTS: 1}
    assert source.rows.rows_in == len(source) + 2


def test_what_was_filled_is_no_target_and_no_past_ends_with_it() -> None:
    filled = {"a": np.zeros(20, bool), "b": np.zeros(20, bool)}
    filled["a"][5] = filled["b"][17] = True  # a is seen, b is seen and told
    source = windows(20, filled=filled)
    # At 6 the past ends with a filled step of a; 16 and 17 tell the one of b, and at 18 the past ends with it.
    assert first_targets(source) == ([3, 4, 5, 7, 8], [10, 11, 12, 13], [15])
    assert source.rows.dropped == {IN_TWO_PARTS: 2, OF_FILLED: 4}
    assert source.rows.rows_in == len(source) + 6
    with pytest.raises(
        ConfigError, match=r"no window of the test part of made\.csv is left whose target, and last step"
    ):
        windows(20, filled={**filled, "b": np.arange(20) > 14})


@given(filled=st.lists(st.booleans(), min_size=30, max_size=30), window=st.integers(1, 4), horizon=st.integers(1, 3))
def test_no_window_knows_of_a_value_that_it_is_to_tell(filled: list[bool], window: int, horizon: int) -> None:
    mask = np.array(filled)
    mask[[0, -1]] = False
    there = np.flatnonzero(~mask)
    following = there[np.searchsorted(there, np.arange(30))]  # the value of the file that a step depends on
    try:
        source = windows(30, inputs=["b"], window=window, horizon=horizon, filled={"b": mask})
    except ConfigError:
        return
    for first, start in zip(source.inputs[0].starts, target_of(source).starts, strict=True):
        assert following[first:start].max() < start
        assert not mask[start : start + horizon].any()


def test_a_season_is_shorter_than_the_training() -> None:
    assert len(windows(20, season=9)) == 14
    with pytest.raises(
        ConfigError, match=r"data\.season=10 needs more steps for training than 10, which made\.csv has"
    ):
        windows(20, season=10)
    with pytest.raises(ConfigError, match=r"data\.season=9 needs more steps for training than 9, which"):
        windows(24, parts_of=[(0, 9), (9, 24)], parts=[18, 3, 3], season=9)


def test_windows_that_follow_each_other_are_known_as_such() -> None:
    source = windows(24, parts_of=[(0, 9), (9, 24)], stride=3, parts=[18, 3, 3])
    assert source.inputs[0].part_of.tolist() == [0, 0, 1, 1, 1, 1, 1, 1]
    assert source.inputs[0].follows.tolist() == [False, True, False, True, True, False, False, False]


def test_a_column_keeps_its_digits_where_32_bits_would_lose_them() -> None:
    steps = np.arange(20) / 8
    np.testing.assert_array_equal(as_values({"a": 1e8 + steps, "b": steps}, ["b", "a"])[:, 1] - 1e8, steps)
    assert as_values({"b": steps}, ["b"]).dtype == np.float32


SIZES = st.integers(1, 12)


@given(
    stretches=st.lists(st.integers(1, 30), min_size=1, max_size=6),
    window=SIZES,
    horizon=SIZES,
    stride=st.integers(1, 5),
    cuts=st.tuples(st.floats(0.1, 0.4), st.floats(0.1, 0.4)),
)
def test_every_window_is_kept_in_one_part_or_counted(
    stretches: list[int], window: int, horizon: int, stride: int, cuts: tuple[float, float]
) -> None:
    total = sum(stretches)
    ends = np.cumsum(stretches).tolist()
    parts_of = list(zip([0, *ends[:-1]], ends, strict=True))
    val, test = (round(total * cut) for cut in cuts)
    part = np.repeat([0, 1, 2], [total - val - test, val, test])
    stretch = np.repeat(range(len(stretches)), stretches)
    expected, dropped = [], {OVER_GAP: 0, IN_TWO_PARTS: 0}
    for start in range(window, total - horizon + 1):
        anchor = parts_of[stretch[start]][0] + window
        if part[start] == 0 and (start - anchor) % stride:
            continue
        target, whole = slice(start, start + horizon), slice(start - window, start + horizon)
        if len(set(stretch[whole])) > 1:
            dropped[OVER_GAP] += 1
        elif len(set(part[target])) > 1:
            dropped[IN_TWO_PARTS] += 1
        else:
            expected.append((start, int(part[start])))
    settings = {"window": window, "horizon": horizon, "stride": stride, "parts_of": parts_of}
    settings |= {"val_fraction": cuts[0], "test_fraction": cuts[1]}
    if {number for _, number in expected} != {0, 1, 2}:
        with pytest.raises(ConfigError, match=r"made\.csv"):
            windows(total, **settings)
        return
    source = windows(total, **settings)
    found = [(start, number) for number, starts in enumerate(first_targets(source)) for start in starts]
    assert found == expected
    account = source.rows
    assert account.dropped == {reason: count for reason, count in dropped.items() if count}
    assert account.rows_in == len(source) + sum(account.dropped.values())


@given(num_steps=st.integers(20, 60), window=SIZES, horizon=st.integers(1, 5), stride=st.integers(1, 4))
def test_nothing_is_fitted_on_a_step_behind_those_of_training(
    num_steps: int, window: int, horizon: int, stride: int
) -> None:
    num_train = num_steps - 2 * round(num_steps * 0.25)
    assume(window + horizon <= num_train)
    source = windows(num_steps, window=window, horizon=horizon, stride=stride, inputs=["a", "b"])
    scale = fit_steps(source.inputs[0], rows_of(source)[0], "minmax", target_of(source))
    assert scale is not None
    last = scale.shift[0] + scale.size[0]  # the largest step's number that was looked at
    assert last < num_train
    if stride == 1:
        assert last == num_train - 1


@pytest.mark.parametrize(
    ("num_steps", "changes", "message"),
    [
        (4, {}, r"data\.window=3 and data\.horizon=2 need 5 steps, but made\.csv has 4"),
        (20, {"parts": [10, 6, 5]}, r"data\.parts=\[10,6,5\] are 21 steps, but made\.csv has 20"),
        (20, {"val_fraction": 0.6, "test_fraction": 0.4}, r"0\.6 and data\.test_fraction=0\.4 leave no step .* of 20"),
        (20, {"parts": [4, 8, 8]}, r"need 5 steps, but the training part of made\.csv has 4$"),
        (20, {"parts": [10, 1, 9]}, r"data\.horizon=2 is longer than the validation part of made\.csv, which has 1"),
        (20, {"parts": [10, 9, 1]}, r"data\.horizon=2 is longer than the test part of made\.csv, which has 1"),
        (
            20,
            {"parts_of": [(0, 10), (10, 14), (14, 20)], "parts": [10, 5, 5]},
            r"need 5 steps, but the validation part of made\.csv has 4 without a gap$",
        ),
        (20, {"targets": ["b", "c"]}, r"data\.inputs lacks the target c, whose past the forecast needs"),
    ],
    ids=["series", "parts", "fractions", "training", "validation", "test", "gaps", "target"],
)
def test_too_few_steps_are_told(num_steps: int, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        windows(num_steps, **changes)


@pytest.mark.data
def test_the_last_value_of_etth1_has_the_published_error() -> None:
    """Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?, table 2, "Repeat": 1.295 and 0.713.

    Their loader drops the last batch of 32 that is not full.
    """
    path = Path(os.environ.get("NNKIT_DATA", "/nowhere")) / "ett" / "ETTh1.csv"
    if not path.exists():
        pytest.skip("needs ett/ETTh1.csv behind NNKIT_DATA")
    names = path.read_text().splitlines()[0].split(",")[1:]
    table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(1, 8))
    source = windows_source(
        "ETTh1",
        dict(zip(names, table.T, strict=True)),
        inputs=names,
        targets=names,
        future=[],
        times=None,
        parts_of=None,
        window=336,
        horizon=96,
        stride=1,
        parts=[8640, 2880, 2880],
        val_fraction=0.1,
        test_fraction=0.1,
    )
    train, val, test = rows_of(source)
    assert (len(train), len(val), len(test)) == (8209, 2785, 2785)
    scale = fit_steps(source.inputs[0], train, "standard", target_of(source))
    assert scale is not None
    np.testing.assert_allclose([scale.shift, scale.size], [table[:8640].mean(0), table[:8640].std(0)], rtol=1e-6)
    past, target = source.inputs[0][test], source.target[test]
    errors = np.stack([y - x[-1] for x, y in zip(past, target, strict=True)]) / scale.size
    full = errors[: len(errors) // 32 * 32]
    assert [round(float(e), 3) for e in ((full**2).mean(), np.abs(full).mean())] == [1.295, 0.713]
    assert round(float((errors**2).mean()), 3) == 1.294
