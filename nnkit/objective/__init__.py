"""The objective: data loss and penalty, apart; totals and weights, so that parts add up and are divided once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

from nnkit.config.sections.loss import DiceConfig, LossConfig
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.objective.dense import dice_losses, picture_weights
from nnkit.objective.losses import criterion
from nnkit.objective.penalties import l1_penalty, l2_penalty, limit_norms

# What a batch weighs at least: one whose samples all weigh 0 has a loss of 0, and moves nothing.
LEAST_WEIGHT = 1e-30


@final
class Objective:
    """What the training makes small."""

    def __init__(
        self,
        loss: LossConfig,
        regularization: RegularizationConfig,
        *,
        weights: Sequence[Tensor],
        class_weights: Tensor | None,
        uniform: bool = False,
    ) -> None:
        """Take the resolved loss, the penalties, the weights they fall on, and (C,) class weights or None.

        `uniform` says that every sample weighs 1: no step multiplies by one, or counts its samples by adding ones.
        """
        self._uniform = uniform
        self._counts: dict[int, Tensor] = {}
        self._dice = loss if isinstance(loss, DiceConfig) else None
        self._criterion = None if isinstance(loss, DiceConfig) else criterion(loss, class_weights)
        self._class_weights = class_weights
        self._weights = list(weights)
        self._l1, self._l2, self._max_norm = regularization.l1, regularization.l2, regularization.max_norm

    def total(self, outputs: Tensor, target: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sum of the losses, () float32, from outputs, target and sample weights of a batch."""
        if self._dice is not None:
            smooth, entropy = self._dice.smooth, self._dice.cross_entropy
            losses = dice_losses(outputs, target, weight, smooth=smooth, cross_entropy=entropy)
            return losses.mul(picture_weights(weight)).sum()
        assert self._criterion is not None
        losses = self._criterion(outputs, target)
        return losses.sum() if self._uniform else losses.mul(weight).sum()

    def weight(self, target: Tensor, weight: Tensor) -> Tensor:
        """Return what `total` is to be divided by: sample weight times class weight, summed, ().

        Args:
            target: of the batch, (B, …); with classes (B,), or (B, T) where each step has one, (B, H, W) each pixel.
            weight: (B,), or (B, T) where each step has a class, (B, H, W) each pixel.
        """
        if self._dice is not None:
            return picture_weights(weight).sum().clamp_min(LEAST_WEIGHT)
        if self._uniform and self._class_weights is None:
            count = weight.numel()
            if count not in self._counts:
                self._counts[count] = torch.tensor(float(count), device=target.device)
            return self._counts[count]
        if self._class_weights is not None:
            weight = weight * self._class_weights[target]
        return weight.sum().clamp_min(LEAST_WEIGHT)

    def penalty(self) -> Tensor | None:
        """Return the penalties on the weights, (); None where there are none."""
        weights = self._learning() if self._l1 or self._l2 else []
        if not weights:
            return None
        l1 = l1_penalty(weights, self._l1) if self._l1 else 0
        return l1 + l2_penalty(weights, self._l2) if self._l2 else l1  # type: ignore[return-value]

    def limit(self) -> None:
        """Scale weights back to regularization.max_norm, after a step."""
        if self._max_norm is not None:
            limit_norms(self._learning(), self._max_norm)

    def _learning(self) -> list[Tensor]:
        """Return the weights that are not frozen now: no others are moved."""
        return [weight for weight in self._weights if weight.requires_grad]
