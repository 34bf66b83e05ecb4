"""Numbers that a text is drawn by, before there is a run."""

from __future__ import annotations

import math

import pytest

from nnkit.infer.sampling import sampling_problems


def told(length: int, temperature: float, top_k: int | None) -> list[str]:
    return [problem.text.split()[0] for problem in sampling_problems(length, temperature, top_k)]


@pytest.mark.parametrize("temperature", [0.0, 1e-300, 1.0, 1e300])
@pytest.mark.parametrize("top_k", [None, 1, 10**9])
def test_numbers_in_their_range_are_right(temperature: float, top_k: int | None) -> None:
    assert told(1, temperature, top_k) == []


@pytest.mark.parametrize("temperature", [-1e-300, math.inf, -math.inf, math.nan])
def test_all_that_is_wrong_is_told_together(temperature: float) -> None:
    assert told(0, temperature, 0) == ["length", "temperature", "top-k"]
    assert told(-5, 1.0, -1) == ["length", "top-k"]
