"""Errors of a forecast against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error
from torch import Tensor

from nnkit.metrics.forecast import ForecastMetrics

CPU = torch.device("cpu")
SIZES = [2.0, 50.0, 0.1]


def computed(outputs: Tensor, target: Tensor, weight: Tensor, part: int = 1000) -> dict[str, float]:
    metrics = ForecastMetrics(SIZES, lambda y: y)
    sums = metrics.zero(CPU)
    for chunk in zip(*(torch.split(x, part) for x in (outputs, target, weight)), strict=True):
        metrics.add(sums, *chunk)
    return metrics.compute(sums)


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs and targets (40, 4 * 3), and weights (40,)."""
    chance = torch.Generator().manual_seed(3)
    outputs, target = torch.randn(2, 40, 12, generator=chance)
    return outputs, target, torch.rand(40, generator=chance)


@pytest.mark.parametrize("part", [1, 7, 1000])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_values_are_means_over_rows_steps_and_channels(part: int, weighted: bool) -> None:
    outputs, target, weight = drawn()
    weight = weight if weighted else torch.ones(40)
    y, t = (x.double().view(40, 4, 3).numpy() for x in (outputs, target))
    w = weight.double().numpy()[:, None].repeat(4, 1).ravel()
    squared, absolute, rmse, mae = [], [], [], []
    for k, size in enumerate(SIZES):
        told, came = y[:, :, k].ravel(), t[:, :, k].ravel()
        squared.append(mean_squared_error(came, told, sample_weight=w))
        absolute.append(mean_absolute_error(came, told, sample_weight=w))
        rmse.append(np.sqrt(mean_squared_error(came * size + 7, told * size + 7, sample_weight=w)))
        mae.append(mean_absolute_error(came * size + 7, told * size + 7, sample_weight=w))
    expected = {"rmse": np.mean(rmse), "mae": np.mean(mae)}
    expected |= {"scaled_mse": np.mean(squared), "scaled_mae": np.mean(absolute)}
    assert computed(outputs, target, weight, part) == pytest.approx(expected, rel=1e-6)
    assert tuple(expected) == ForecastMetrics.names


def test_without_weights_scaled_errors_are_those_of_the_published_protocol() -> None:
    outputs, target, _ = drawn()
    found = computed(outputs, target, torch.ones(40))
    assert found["scaled_mse"] == pytest.approx(float((outputs - target).square().mean()), rel=1e-6)
    assert found["scaled_mae"] == pytest.approx(float((outputs - target).abs().mean()), rel=1e-6)


def test_one_step_alone_is_measured_too() -> None:
    outputs, target, _ = drawn()
    found = computed(outputs[:, :3], target[:, :3], torch.ones(40))
    assert found["scaled_mse"] == pytest.approx(float((outputs[:, :3] - target[:, :3]).square().mean()), rel=1e-6)


def test_a_sample_of_weight_zero_does_not_count() -> None:
    outputs, target, _ = drawn()
    kept = computed(outputs[:30], target[:30], torch.ones(30))
    assert computed(outputs, target, (torch.arange(40) < 30).float()) == pytest.approx(kept, rel=1e-9)


def test_values_are_made_from_the_outputs() -> None:
    metrics = ForecastMetrics([1.0], torch.exp)
    sums = metrics.zero(CPU)
    metrics.add(sums, torch.tensor([[0.0, 1.0]]), torch.tensor([[3.0, 1.0]]), torch.ones(1))
    assert metrics.compute(sums)["mae"] == pytest.approx((2 + np.e - 1) / 2)


def test_nothing_seen_is_no_division_by_zero() -> None:
    metrics = ForecastMetrics(SIZES, lambda y: y)
    assert set(metrics.compute(metrics.zero(CPU)).values()) == {0.0}
