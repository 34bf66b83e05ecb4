"""RMSE, MAE and R² against scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import Tensor

from nnkit.metrics.regression import RegressionMetrics

CPU = torch.device("cpu")


def computed(
    outputs: Tensor, target: Tensor, weight: Tensor, sizes: Sequence[float] | None = None, part: int = 1000
) -> dict[str, float]:
    metrics = RegressionMetrics(sizes or [1.0] * target.shape[1], lambda y: y)
    sums = metrics.zero(CPU)
    for chunk in zip(outputs.split(part), target.split(part), weight.split(part), strict=True):
        metrics.add(sums, *chunk)
    return metrics.compute(sums)


def by_scikit_learn(outputs: Tensor, target: Tensor, weight: Tensor) -> dict[str, float]:
    measures = {"rmse": root_mean_squared_error, "mae": mean_absolute_error, "r2": r2_score}
    y, t, w = (a.double().numpy() for a in (outputs, target, weight))
    return {name: measure(t, y, sample_weight=w) for name, measure in measures.items()}


def drawn(columns: int, rows: int = 50) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs and targets (50, K) of different scales, and weights (50,)."""
    chance = torch.Generator().manual_seed(5)
    scale = 10.0 ** torch.arange(columns)
    target = scale * torch.randn(rows, columns, generator=chance) + 3
    outputs = target + 0.5 * scale * torch.randn(rows, columns, generator=chance)
    return outputs, target, torch.rand(rows, generator=chance) + 0.1


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, 3])
def test_the_values_are_those_of_scikit_learn(columns: int, weighted: bool) -> None:
    outputs, target, weight = drawn(columns)
    weight = weight if weighted else torch.ones(50)
    assert computed(outputs, target, weight) == pytest.approx(by_scikit_learn(outputs, target, weight), rel=1e-6)


def test_scaled_targets_are_measured_in_their_own_units() -> None:
    outputs, target, weight = (a.double() for a in drawn(3))
    mean, sizes = target.mean(0), target.std(0)
    scaled = computed((outputs - mean) / sizes, (target - mean) / sizes, weight, sizes.tolist())
    assert scaled == pytest.approx(by_scikit_learn(outputs, target, weight), rel=1e-9)


@pytest.mark.parametrize("part", [1, 7, 49])
def test_parts_add_up_to_the_whole(part: int) -> None:
    outputs, target, weight = drawn(3)
    parts = computed(outputs, target, weight, part=part)
    assert parts == pytest.approx(computed(outputs, target, weight), rel=1e-9)


def test_a_sample_of_weight_zero_does_not_count() -> None:
    outputs, target, _ = drawn(2)
    weight = (torch.arange(50) < 30).float()
    kept = by_scikit_learn(outputs[:30], target[:30], weight[:30])
    assert computed(outputs, target, weight) == pytest.approx(kept, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1234.567])
@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_a_constant_target_has_r2_one_where_it_is_met_and_zero_where_not(rows: int, value: float) -> None:
    target = torch.full((rows, 1), value)
    assert computed(target, target, torch.ones(rows))["r2"] == 1
    assert computed(target + 1, target, torch.ones(rows))["r2"] == 0
    assert computed(target + 1, target, torch.full((rows,), 0.3))["r2"] == 0


def test_predicting_the_mean_has_r2_zero() -> None:
    _, target, weight = drawn(2)
    mean = (weight[:, None] * target).sum(0) / weight.sum()
    assert computed(mean.expand(50, -1), target, weight)["r2"] == pytest.approx(0, abs=1e-6)


def test_the_prediction_is_made_from_the_outputs() -> None:
    outputs, target = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [1.0]])
    metrics = RegressionMetrics([1.0], torch.exp)
    sums = metrics.zero(CPU)
    metrics.add(sums, outputs, target, torch.ones(2))
    expected = by_scikit_learn(outputs.exp(), target, torch.ones(2))
    assert metrics.compute(sums) == pytest.approx(expected, rel=1e-6)
    assert tuple(expected) == RegressionMetrics.names
