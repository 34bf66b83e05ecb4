"""The objective: totals, weights and penalties that add up."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from nnkit.config.sections.loss import CrossEntropyConfig, PlainLossConfig
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.objective import Objective

WEIGHTS = (torch.tensor([[1.0, -2.0], [3.0, 0.0]]), torch.tensor([[[2.0]], [[-1.0]]]))  # sum |w| 9, sum w^2 19


def objective(regularization: RegularizationConfig, *weights: Tensor) -> Objective:
    learning = [weight.requires_grad_() for weight in weights]
    return Objective(PlainLossConfig(kind="mse"), regularization, weights=learning, class_weights=None)


@pytest.mark.parametrize("classes", [None, torch.tensor([1.0, 4.0, 0.5])])
def test_samples_that_all_weigh_one_need_no_weights(classes: torch.Tensor | None) -> None:
    y, t, ones = torch.randn(6, 3), torch.arange(6) % 3, torch.ones(6)
    settings = (CrossEntropyConfig(kind="cross_entropy"), RegularizationConfig())
    plain, uniform = (Objective(*settings, weights=[], class_weights=classes, uniform=u) for u in (False, True))
    torch.testing.assert_close(uniform.total(y, t, ones), plain.total(y, t, ones))
    torch.testing.assert_close(uniform.weight(t, ones), plain.weight(t, ones))
    assert uniform.weight(t[:4], ones[:4]) != uniform.weight(t, ones)


@pytest.mark.parametrize("part", [1, 3, 7, 20])
def test_totals_and_weights_of_parts_add_up_to_the_loss_of_the_whole(part: int) -> None:
    y, t = torch.randn(20, 3), torch.arange(20) % 3
    classes, weight = torch.tensor([1.0, 4.0, 0.5]), torch.ones(20)
    whole = Objective(
        CrossEntropyConfig(kind="cross_entropy"), RegularizationConfig(), weights=[], class_weights=classes
    )
    parts = list(zip(y.split(part), t.split(part), weight.split(part), strict=True))
    total = sum(whole.total(*p) for p in parts)
    divisor = sum(whole.weight(target, sample) for _, target, sample in parts)
    torch.testing.assert_close(total / divisor, F.cross_entropy(y, t, weight=classes))


@pytest.mark.parametrize(
    ("l1", "l2", "expected"), [(0.5, 0.0, 4.5), (0.0, 0.2, 1.9), (0.5, 0.2, 6.4)], ids=["l1", "l2", "both"]
)
def test_the_penalty_is_l1_and_half_l2_on_all_weights(l1: float, l2: float, expected: float) -> None:
    penalty = objective(RegularizationConfig(l1=l1, l2=l2), *WEIGHTS).penalty()
    assert penalty is not None
    assert penalty.shape == ()
    assert penalty.item() == pytest.approx(expected)


def test_there_is_no_penalty_without_strength_or_without_weights() -> None:
    assert objective(RegularizationConfig(), *WEIGHTS).penalty() is None
    assert objective(RegularizationConfig(max_norm=1.0), *WEIGHTS).penalty() is None
    assert objective(RegularizationConfig(l1=0.1, l2=0.1)).penalty() is None


def test_the_data_loss_does_not_hold_the_penalty() -> None:
    penalised = objective(RegularizationConfig(l1=5.0, l2=5.0), *WEIGHTS)
    y, t = torch.randn(4, 2), torch.randn(4, 2)
    torch.testing.assert_close(penalised.total(y, t, torch.ones(4)) / 4, F.mse_loss(y, t))


def test_the_limit_is_applied_in_place_only_where_max_norm_is_set() -> None:
    free, held = torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 4.0]])
    objective(RegularizationConfig(), free).limit()
    objective(RegularizationConfig(max_norm=1.0), held).limit()
    assert free.tolist() == [[3.0, 4.0]]
    torch.testing.assert_close(held.detach(), torch.tensor([[0.6, 0.8]]))


def test_what_is_frozen_is_neither_penalised_nor_limited() -> None:
    frozen, learning = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, -2.0]])
    found = objective(RegularizationConfig(l1=1.0, max_norm=1.0), frozen, learning)
    frozen.requires_grad_(False)
    penalty = found.penalty()
    assert penalty is not None
    assert penalty.item() == 3
    found.limit()
    assert frozen.tolist() == [[3.0, 4.0]]
    assert learning.norm().item() == pytest.approx(1)
    learning.requires_grad_(False)
    assert found.penalty() is None
