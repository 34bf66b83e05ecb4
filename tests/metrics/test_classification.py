"""Accuracy and macro-F1 against scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from torch import Tensor

from nnkit.metrics.classification import ClassificationMetrics

CPU = torch.device("cpu")


def metrics(classes: int = 5) -> ClassificationMetrics:
    return ClassificationMetrics(classes, lambda outputs: outputs.argmax(1))


def drawn(true: int, predicted: int, rows: int = 60) -> tuple[Tensor, Tensor]:
    """Return outputs (60, 5) and targets (60,) in which only the first classes occur."""
    chance = torch.Generator().manual_seed(7)
    outputs = torch.randn(rows, 5, generator=chance)
    outputs[:, predicted:] = -100
    return outputs, torch.randint(true, (rows,), generator=chance)


def computed(outputs: Tensor, target: Tensor, weight: Tensor, part: int = 1000) -> dict[str, float]:
    sums = metrics().zero(CPU)
    for chunk in zip(outputs.split(part), target.split(part), weight.split(part), strict=True):
        metrics().add(sums, *chunk)
    return metrics().compute(sums)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("true", "predicted"), [(5, 5), (3, 5), (5, 3), (2, 2), (1, 1)])
def test_accuracy_and_macro_f1_are_those_of_scikit_learn(true: int, predicted: int, weighted: bool) -> None:
    outputs, target = drawn(true, predicted)
    weight = torch.rand(60) + 0.1 if weighted else torch.ones(60)
    guess, sample_weight = outputs.argmax(1).numpy(), weight.numpy()
    expected = {
        "accuracy": accuracy_score(target, guess, sample_weight=sample_weight),
        "macro_f1": f1_score(target, guess, average="macro", sample_weight=sample_weight),
    }
    assert computed(outputs, target, weight) == pytest.approx(expected, rel=1e-6)


def test_sums_are_scikit_learns_confusion_matrix() -> None:
    outputs, target = drawn(5, 4)
    sums = metrics().zero(CPU)
    metrics().add(sums, outputs, target, torch.ones(60))
    expected = confusion_matrix(target, outputs.argmax(1), labels=range(5))
    assert sums["confusion"].tolist() == expected.tolist()


@pytest.mark.parametrize("part", [1, 7, 59])
def test_parts_add_up_to_the_whole(part: int) -> None:
    outputs, target = drawn(5, 5)
    weight = torch.rand(60)
    assert computed(outputs, target, weight, part) == pytest.approx(computed(outputs, target, weight), rel=1e-12)


def test_a_sample_of_weight_zero_does_not_count() -> None:
    outputs, target = drawn(5, 5)
    weight = (torch.arange(60) < 40).float()
    assert computed(outputs, target, weight) == computed(outputs[:40], target[:40], weight[:40])


def test_all_right_is_one_all_wrong_and_nothing_seen_are_zero() -> None:
    outputs, ones = torch.eye(5), torch.ones(5)
    assert computed(outputs, torch.arange(5), ones) == {"accuracy": 1, "macro_f1": 1}
    assert computed(outputs, (torch.arange(5) + 1) % 5, ones) == {"accuracy": 0, "macro_f1": 0}
    assert metrics().compute(metrics().zero(CPU)) == {"accuracy": 0, "macro_f1": 0}


def test_the_values_have_the_announced_names() -> None:
    assert tuple(metrics().compute(metrics().zero(CPU))) == ClassificationMetrics.names
