"""The step of a series: that of the training, to which a later file is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from nnkit.data.series import History, read_history, read_series
from nnkit.data.times import Step
from nnkit.errors import DataError
from tests.data.test_series import FILE, hour, lines, section, written


def stepping(rows: Sequence[str], step: Step, **changes: Any) -> History:
    written(rows)
    channels = ["square", "load"]
    return read_history(FILE, section(**changes), channels=channels, future=[], window=2, horizon=3, step=step)


def days(*numbers: int) -> list[str]:
    """Return lines of days, from Monday, the 1st of January 2024, on."""
    return [f"{np.datetime64('2024-01-01') + k},{k},1" for k in numbers]


WEEKDAY = Step("weekday", 1)


def test_the_step_of_the_training_is_kept_with_what_was_read() -> None:
    written(days(*(k for k in range(40) if k % 7 < 5)))
    assert read_series(section()).step == WEEKDAY


@pytest.mark.parametrize("numbers", [(3, 4), (0, 1, 2, 3, 4), (2, 3, 4, 7, 8, 9, 10, 11)], ids=str)
def test_business_days_go_on_behind_the_weekend_however_short_the_file(numbers: tuple[int, ...]) -> None:
    expected = {4: ["2024-01-08", "2024-01-09", "2024-01-10"], 11: ["2024-01-15", "2024-01-16", "2024-01-17"]}
    assert stepping(days(*numbers), WEEKDAY).future_stamps(3) == expected[numbers[-1]]


def test_a_file_that_is_too_short_to_tell_its_step_has_that_of_the_training() -> None:
    found = stepping(lines(2, lambda k: hour(6 * k)), Step("nanosecond", 6 * 3600 * 10**9))
    assert found.future_stamps(2) == [hour(12), hour(18)]
    with pytest.raises(DataError, match=r"the usual step is 1 hour: 5 steps are missing"):
        stepping(lines(2, lambda k: hour(6 * k)), Step("nanosecond", 3600 * 10**9))
    with pytest.raises(DataError, match=r"has 1 steps, fewer than the window of 2"):
        stepping(lines(1), Step("nanosecond", 3600 * 10**9))


@pytest.mark.parametrize(
    ("rows", "step", "message"),
    [
        (lines(9), Step("nanosecond", 24 * 3600 * 10**9), r"a step of 1 hour, but the run was trained on .* of 1 day$"),
        (
            days(*range(9)),
            WEEKDAY,
            r"a step of 1 day, but the run was trained on a step of 1 day from Monday to Friday",
        ),
        (days(4, 5), WEEKDAY, r"load\.csv has a step of 1 day, but the run was trained on a step of 1 day from Monday"),
        (lines(9), Step("number", 1), r"has a step of 1 hour, but the run was trained on a step of 1$"),
        (lines(1, str), Step("month", 1), r"has the time 0, but the run was trained on a step of 1 month$"),
        (days(0, 31, 60), Step("month_end", 1), r"a step of 1 month, but .* on a step of 1 month$"),
        (days(30, 31, 32), Step("month", 1), r"a step of 1 day, but .* on a step of 1 month$"),
        (lines(9, lambda k: str(2 * k)), Step("number", 1), r"a step of 2, but the run was trained on a step of 1$"),
    ],
)
def test_another_step_than_that_of_the_training_is_told_with_both(rows: list[str], step: Step, message: str) -> None:
    with pytest.raises(DataError, match=message):
        stepping(rows, step, gaps="split")
