"""Perplexity and bits a token against torch's cross entropy and scikit-learn."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor

from nnkit.metrics.language import LanguageMetrics

CPU = torch.device("cpu")


def computed(outputs: Tensor, target: Tensor, weight: Tensor, part: int = 1000) -> dict[str, float]:
    metrics = LanguageMetrics()
    sums = metrics.zero(CPU)
    for chunk in zip(*(torch.split(x, part) for x in (outputs, target, weight)), strict=True):
        metrics.add(sums, *chunk)
    return metrics.compute(sums)


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    chance = torch.Generator().manual_seed(3)
    outputs = 2 * torch.randn(60, 7, generator=chance)
    target = torch.randint(7, (60,), generator=chance)
    return outputs, target, torch.rand(60, generator=chance)


@pytest.mark.parametrize("part", [1, 7, 1000])
def test_the_values_are_those_of_cross_entropy(part: int) -> None:
    outputs, target, _ = drawn()
    nats = float(F.cross_entropy(outputs.double(), target))
    expected = {
        "accuracy": float((outputs.argmax(1) == target).double().mean()),
        "perplexity": math.exp(nats),
        "bits_per_token": nats / math.log(2),
    }
    assert computed(outputs, target, torch.ones(60), part) == pytest.approx(expected, rel=1e-6)
    assert tuple(expected) == LanguageMetrics.names


def test_tokens_count_by_their_weight() -> None:
    outputs, target, weight = drawn()
    found = computed(outputs, target, weight)
    shares, w = outputs.double().softmax(1).numpy(), weight.numpy()
    nats = log_loss(target.numpy(), shares, sample_weight=w, labels=range(7))
    right = accuracy_score(target.numpy(), shares.argmax(1), sample_weight=w)
    assert found == pytest.approx(
        {"accuracy": right, "perplexity": math.exp(nats), "bits_per_token": nats / math.log(2)}, rel=1e-5
    )


def test_a_token_of_weight_zero_does_not_count() -> None:
    outputs, target, _ = drawn()
    weight = (torch.arange(60) < 40).float()
    kept = computed(outputs[:40], target[:40], torch.ones(40))
    assert computed(outputs, target, weight) == pytest.approx(kept, rel=1e-9)


def test_knowing_nothing_has_the_perplexity_of_the_vocabulary() -> None:
    found = computed(torch.zeros(10, 7), torch.arange(10) % 7, torch.ones(10))
    assert found["perplexity"] == pytest.approx(7)
    assert found["bits_per_token"] == pytest.approx(math.log2(7))


def test_a_hopeless_prediction_has_a_perplexity_that_is_still_a_number() -> None:
    outputs = torch.tensor([[0.0, 5000.0]])
    found = computed(outputs, torch.tensor([0]), torch.ones(1))
    assert found["bits_per_token"] == pytest.approx(5000 / math.log(2))
    assert found["perplexity"] == pytest.approx(math.exp(700))
    assert math.isfinite(found["perplexity"])


def test_nothing_seen_is_no_division_by_zero() -> None:
    metrics = LanguageMetrics()
    assert metrics.compute(metrics.zero(CPU)) == {"accuracy": 0.0, "perplexity": 1.0, "bits_per_token": 0.0}
