"""Accuracy and macro-F1 of labels against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score
from torch import Tensor

from nnkit.metrics.multilabel import MultilabelMetrics
from nnkit.objective.predictions import predicted_labels

CPU = torch.device("cpu")


def drawn(labels: int = 4, rows: int = 60) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(7)
    return torch.randn(rows, labels, generator=chance), (torch.rand(rows, labels, generator=chance) < 0.4).float()


def computed(outputs: Tensor, target: Tensor, weight: Tensor, part: int = 1000) -> dict[str, float]:
    metrics = MultilabelMetrics(outputs.shape[1], predicted_labels)
    sums = metrics.zero(CPU)
    for chunk in zip(outputs.split(part), target.split(part), weight.split(part), strict=True):
        metrics.add(sums, *chunk)
    return metrics.compute(sums)


@pytest.mark.parametrize("labels", [1, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(labels: int, weighted: bool) -> None:
    outputs, target = drawn(labels)
    outputs[:20] = target[:20] - 0.5  # some rows with all labels right
    weight = torch.rand(60, generator=torch.Generator().manual_seed(1)) + 0.1 if weighted else torch.ones(60)
    guess = (outputs > 0).int().numpy()
    settings = {"sample_weight": weight.numpy()}
    macro = {"average": "macro", "zero_division": 0.0} if labels > 1 else {"average": "binary"}
    expected = {
        "accuracy": accuracy_score(target.int(), guess, **settings),
        "macro_f1": f1_score(target.int(), guess, **settings, **macro),
    }
    assert computed(outputs, target, weight) == pytest.approx(expected, rel=1e-6)


def test_a_label_that_never_occurs_counts_as_zero_as_in_scikit_learn() -> None:
    outputs, target = drawn()
    outputs[:, 2], target[:, 2] = -1, 0
    expected = f1_score(target.int(), (outputs > 0).int(), average="macro", zero_division=0.0)
    assert computed(outputs, target, torch.ones(60))["macro_f1"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("part", [1, 7, 59])
def test_parts_add_up_to_the_whole(part: int) -> None:
    outputs, target = drawn()
    weight = torch.rand(60)
    assert computed(outputs, target, weight, part) == pytest.approx(computed(outputs, target, weight), rel=1e-12)


def test_a_sample_of_weight_zero_does_not_count() -> None:
    outputs, target = drawn()
    weight = (torch.arange(60) < 40).float()
    assert computed(outputs, target, weight) == computed(outputs[:40], target[:40], weight[:40])


def test_all_right_is_one_all_wrong_and_nothing_seen_are_zero() -> None:
    target = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert computed(target - 0.5, target, torch.ones(2)) == {"accuracy": 1, "macro_f1": 1}
    assert computed(0.5 - target, target, torch.ones(2)) == {"accuracy": 0, "macro_f1": 0}
    metrics = MultilabelMetrics(2, predicted_labels)
    assert metrics.compute(metrics.zero(CPU)) == {"accuracy": 0, "macro_f1": 0}
    assert tuple(metrics.compute(metrics.zero(CPU))) == MultilabelMetrics.names
