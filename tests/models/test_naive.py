"""Forecasts that learn nothing, against numpy."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch

from nnkit.models.naive import Naive
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.models.built import built


def told(x: torch.Tensor, channels: list[int], horizon: int, season: int, method: Literal["last", "seasonal"]) -> list:  # type: ignore[type-arg]
    return Naive(channels, horizon, season, method=method)(x).unflatten(1, (horizon, -1)).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("channels", [[0], [2, 0], [0, 1, 2]])
@pytest.mark.parametrize("horizon", [1, 4])
def test_the_last_value_comes_again(channels: list[int], horizon: int) -> None:
    x = torch.randn(5, 6, 3)
    expected = np.repeat(x.numpy()[:, -1:, channels], horizon, axis=1)
    assert told(x, channels, horizon, 7, "last") == expected.tolist()


@pytest.mark.parametrize(("horizon", "season"), [(2, 3), (3, 3), (7, 3), (2, 6), (4, 1)])
def test_the_last_season_comes_again_and_again(horizon: int, season: int) -> None:
    x = torch.randn(5, 6, 3)
    expected = np.tile(x.numpy()[:, -season:], (1, 9, 1))[:, :horizon][:, :, [1, 0]]
    assert told(x, [1, 0], horizon, season, "seasonal") == expected.tolist()


def test_it_is_built_from_the_season_and_has_nothing_to_learn_or_to_save() -> None:
    spec = DataSpec("forecast", (InputSpec("x", "series", (6, 2)),), TargetSpec(("y",), horizon=4, channels=(1,)))
    words = ("model=naive", "model.method=seasonal", "data=sine", "data.season=3", "data.window=6", "data.horizon=4")
    model = built(spec, *words)
    x = torch.randn(5, 6, 2)
    assert torch.equal(model(x, torch.randn(5, 4, 1)), x[:, [3, 4, 5, 3], 1])
    assert model.state_dict() == {}
    assert list(model.parameters()) == []
