"""Pictures of forecasts: PNG files, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.plots_sequences import MOST_WINDOWS, forecasts, horizon, spread

PNG = b"\x89PNG"


@pytest.mark.parametrize("steps", [1, 6, 400])
def test_errors_are_drawn_step_by_step(steps: int) -> None:
    errors = [None if step == 3 else 1.0 + step for step in range(steps)]
    assert horizon({"the network": errors, "the last value again": [2.0] * steps}, "t").startswith(PNG)


@pytest.mark.parametrize(("num", "channels", "steps"), [(1, 1, 1), (4, 2, 6), (3, 7, 30)])
def test_windows_are_drawn_with_their_past(num: int, channels: int, steps: int) -> None:
    rng = np.random.default_rng(0)
    past = [rng.normal(size=(50, channels)) for _ in range(num)]
    target, predicted = rng.normal(size=(2, num, steps, channels))
    names = [f"a_$channel {k}" for k in range(channels)]
    assert forecasts(past, target, predicted, names, "t").startswith(PNG)


def test_windows_are_spread_from_the_first_to_the_last() -> None:
    assert spread(1).tolist() == [0]
    assert spread(3).tolist() == [0, 1, 2]
    found = spread(1000).tolist()
    assert (found[0], found[-1], len(found)) == (0, 999, MOST_WINDOWS)
