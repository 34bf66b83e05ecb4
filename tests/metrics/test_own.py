"""A metric of the user's own beside the task's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_absolute_error, top_k_accuracy_score
from torch import Tensor

import nnkit
from nnkit.assemble import prepare
from nnkit.errors import ConfigError
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.own import WithOwn
from tests.own_code import HERE
from tests.trained import config_of, trained

CPU = torch.device("cpu")


def with_own(name: str, **kwargs: Any) -> WithOwn:
    task = ClassificationMetrics(5, lambda outputs: outputs.argmax(1))
    return WithOwn(task, f"{HERE}:{name}", kwargs, "mine")


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(3)
    return torch.randn(60, 5, generator=chance), torch.arange(60) % 5, torch.rand(60, generator=chance)


@pytest.mark.parametrize("part", [7, 60])
def test_a_users_metric_is_the_weighted_mean_over_all_batches(part: int) -> None:
    outputs, target, weight = drawn()
    metrics = with_own("AmongTheFirst", k=3)
    sums = metrics.zero(CPU)
    for chunk in zip(outputs.split(part), target.split(part), weight.split(part), strict=True):
        metrics.add(sums, *chunk)
    expected = top_k_accuracy_score(target, outputs, k=3, sample_weight=weight)
    found = metrics.compute(sums)
    assert found["mine"] == pytest.approx(expected, rel=1e-6)
    assert list(found) == ["accuracy", "macro_f1", "mine"]


def test_the_tasks_own_metrics_stay_as_they_are() -> None:
    outputs, target, weight = drawn()
    alone, both = ClassificationMetrics(5, lambda outputs: outputs.argmax(1)), with_own("AmongTheFirst")
    sums, more = alone.zero(CPU), both.zero(CPU)
    alone.add(sums, outputs, target, weight)
    both.add(more, outputs, target, weight)
    assert {k: v for k, v in both.compute(more).items() if k != "mine"} == alone.compute(sums)


def test_nothing_seen_is_zero() -> None:
    metrics = with_own("AmongTheFirst")
    assert metrics.compute(metrics.zero(CPU))["mine"] == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("one_number", r"metric\.code=tests\.own_code:one_number must return \(total, weight\), got Tensor"),
        ("one_a_sample", r"metric\.code=tests\.own_code:one_a_sample must return two numbers, \(total, weight\): "),
        ("two_texts", r"metric\.code=tests\.own_code:two_texts must return two numbers, \(total, weight\): "),
    ],
)
def test_a_metric_that_gives_no_pair_of_numbers_is_named(
    name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{HERE}.two_texts", lambda: lambda *_: ("a", "b"), raising=False)
    metrics = with_own(name)
    with pytest.raises(ConfigError, match=message):
        metrics.add(metrics.zero(CPU), *drawn())


@pytest.mark.parametrize(("name", "reason"), [("broken", "KeyError: 'oh no'"), ("AmongTheFirst", "TypeError")])
def test_a_metric_that_cannot_be_made_is_named(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=f"metric.code={HERE}:{name} failed: {reason}"):
        with_own(name, nosuch=1)


@pytest.mark.parametrize("words", [("data.target_scaling=standard",), ("data.target_scaling=none",), ("loss=poisson",)])
def test_values_come_to_a_users_metric_in_the_targets_own_units(words: tuple[str, ...]) -> None:
    words = ("data=diabetes", *words, "metric=code", f"metric.code={HERE}:AbsoluteError", "metric.name=distance")
    result = trained(*words)
    x, y = load_diabetes(return_X_y=True, scaled=False)
    rows = prepare(config_of(*words)).splits.test
    predicted = nnkit.load(result.folder, trust=True).predict(x[rows].astype("float32"))
    assert result.metrics["test/distance"] == pytest.approx(mean_absolute_error(y[rows], predicted), rel=1e-5)
    assert result.metrics["test/distance"] > 10
