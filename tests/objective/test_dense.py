"""Losses a pixel: against their formulas, and against torch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from nnkit.config.sections.loss import CrossEntropyConfig, DiceConfig, FocalConfig, LossConfig
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.objective import Objective
from nnkit.objective.aligned import aligned
from nnkit.objective.dense import as_rows, cross_entropy, dice_losses, focal_losses, picture_weights

OUTPUTS = torch.randn(4, 3, 5, 6, generator=torch.Generator().manual_seed(0)) * 3
TARGET = torch.randint(0, 3, (4, 5, 6), generator=torch.Generator().manual_seed(1))
WEIGHT = (torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(2)) > 0.3).float()


def dice_by_hand(row: int, smooth: float) -> float:
    probabilities = OUTPUTS[row].softmax(0)
    total = 0.0
    for k in range(3):
        p = q = both = 0.0
        for y in range(5):
            for x in range(6):
                if WEIGHT[row, y, x]:
                    here, true = float(probabilities[k, y, x]), float(TARGET[row, y, x] == k)
                    p, q, both = p + here, q + true, both + here * true
        total += (2 * both + smooth) / (p + q + smooth)
    return 1 - total / 3


@pytest.mark.parametrize("smooth", [1.0, 0.1])
def test_dice_is_that_of_the_formula_picture_by_picture(smooth: float) -> None:
    found = dice_losses(OUTPUTS, TARGET, WEIGHT, smooth=smooth, cross_entropy=0.0)
    assert found.tolist() == pytest.approx([dice_by_hand(row, smooth) for row in range(4)], abs=1e-6)


def test_dice_takes_the_cross_entropy_of_each_picture_along() -> None:
    plain = dice_losses(OUTPUTS, TARGET, WEIGHT, smooth=1.0, cross_entropy=0.0)
    found = dice_losses(OUTPUTS, TARGET, WEIGHT, smooth=1.0, cross_entropy=0.5)
    entropy = F.cross_entropy(OUTPUTS, TARGET, reduction="none") * WEIGHT
    wanted = plain + 0.5 * entropy.flatten(1).sum(1) / WEIGHT.flatten(1).sum(1)
    assert torch.allclose(found, wanted, atol=1e-6)


def test_dice_of_a_right_answer_is_0_and_knows_no_scale_of_weights() -> None:
    sure = F.one_hot(TARGET, 3).movedim(-1, 1) * 100.0
    assert dice_losses(sure, TARGET, WEIGHT, smooth=1.0, cross_entropy=1.0).tolist() == pytest.approx([0] * 4, abs=1e-6)
    half = dice_losses(OUTPUTS, TARGET, WEIGHT / 2, smooth=1.0, cross_entropy=0.3)
    assert torch.allclose(half, dice_losses(OUTPUTS, TARGET, WEIGHT, smooth=1.0, cross_entropy=0.3))
    assert picture_weights(WEIGHT / 2).tolist() == [0.5] * 4


def test_focal_is_cross_entropy_times_what_is_not_known() -> None:
    entropy = F.cross_entropy(OUTPUTS, TARGET, reduction="none")
    alpha = torch.tensor([1.0, 2.0, 0.5])
    found = focal_losses(OUTPUTS, TARGET, gamma=2.0, weights=alpha)
    assert torch.allclose(found, entropy * (1 - (-entropy).exp()) ** 2 * alpha[TARGET], atol=1e-6)
    assert torch.allclose(focal_losses(OUTPUTS, TARGET, gamma=0.0, weights=None), entropy, atol=1e-6)
    rows, classes = as_rows(OUTPUTS, TARGET)
    assert torch.allclose(focal_losses(rows, classes, gamma=2.0, weights=alpha).view(TARGET.shape), found)


def test_focal_has_a_slope_where_all_is_certain() -> None:
    sure = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal_losses(sure, torch.tensor([0]), gamma=0.5, weights=None).sum().backward()
    assert sure.grad is not None
    assert bool(sure.grad.isfinite().all())


def test_cross_entropy_of_pixels_is_that_of_rows() -> None:
    alpha = torch.tensor([1.0, 2.0, 0.5])
    rows, classes = as_rows(OUTPUTS, TARGET)
    wanted = F.cross_entropy(rows, classes, weight=alpha, label_smoothing=0.1, reduction="none")
    found = cross_entropy(OUTPUTS, TARGET, weight=alpha, label_smoothing=0.1)
    assert torch.allclose(found, wanted.view(TARGET.shape), atol=1e-6)


@pytest.mark.parametrize(
    "loss",
    [
        CrossEntropyConfig(kind="cross_entropy"),
        FocalConfig(kind="focal"),
        DiceConfig(kind="dice"),
        DiceConfig(kind="dice", cross_entropy=1.0),
    ],
)
@pytest.mark.parametrize("uniform", [True, False])
def test_parts_of_a_batch_add_up_to_the_whole(loss: LossConfig, *, uniform: bool) -> None:
    weight = torch.ones_like(WEIGHT) if uniform else WEIGHT
    objective = Objective(loss, RegularizationConfig(), weights=[], class_weights=None, uniform=uniform)
    assert aligned(OUTPUTS, TARGET, weight) == (OUTPUTS, TARGET, weight)
    whole = objective.total(OUTPUTS, TARGET, weight) / objective.weight(TARGET, weight)
    parts = [slice(0, 1), slice(1, 4)]
    total = sum(objective.total(OUTPUTS[p], TARGET[p], weight[p]) for p in parts)
    over = sum(objective.weight(TARGET[p], weight[p]) for p in parts)
    assert float(total / over) == pytest.approx(float(whole), abs=1e-6)
