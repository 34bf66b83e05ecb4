"""Losses of answers a pixel."""

# B batch, C classes, H height, W width

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor


def picture_weights(weight: Tensor) -> Tensor:
    """Return how much each picture counts (B,), from the weights of its pixels (B, H, W): as its heaviest one."""
    return weight.flatten(1).amax(1)


def dice_losses(outputs: Tensor, target: Tensor, weight: Tensor, *, smooth: float, cross_entropy: float) -> Tensor:
    """Return one minus the soft Dice overlap of each picture, averaged over the classes, (B,) float32.

    Args:
        outputs: logits (B, C, H, W).
        target: class numbers (B, H, W).
        weight: (B, H, W), 0 where a pixel does not count.
        smooth: pixels that are added to both sides of each class's ratio, above 0.
        cross_entropy: how much of the mean cross-entropy of the picture's pixels is added, >= 0.

    Source: Milletari et al. 2016, with sums in place of squares, per picture and class.
    """
    logs = outputs.float().log_softmax(1)
    is_true = F.one_hot(target, outputs.shape[1]).movedim(-1, 1)  # (B, C, H, W)
    share = weight / picture_weights(weight).clamp_min(1e-30)[:, None, None]
    true, counted = is_true * share[:, None], logs.exp() * share[:, None]
    both = (counted * is_true).flatten(2).sum(2)  # (B, C)
    size = counted.flatten(2).sum(2) + true.flatten(2).sum(2)
    losses = 1 - ((2 * both + smooth) / (size + smooth)).mean(1)
    if cross_entropy:
        pixels = (logs * true).sum(1).flatten(1).sum(1) / share.flatten(1).sum(1).clamp_min(1e-30)
        losses = losses - cross_entropy * pixels
    return losses


def as_rows(outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (B, C, …) as rows (M, C), and target (B, …) as (M,)."""
    return outputs.movedim(1, -1).flatten(0, -2), target.flatten()


def focal_losses(outputs: Tensor, target: Tensor, *, gamma: float, weights: Tensor | None) -> Tensor:
    """Return the cross-entropy of logits (B, C, …), times (1 - p) ** gamma, like target (B, …).

    Source: Lin et al. 2017; the class weights are their alpha.
    """
    logs = outputs.log_softmax(1).gather(1, target[:, None])[:, 0]
    # The slope of a power below 1 has no end at 0, so what is all but certain counts as such.
    losses = -logs * (-torch.expm1(logs)).clamp_min(1e-7) ** gamma if gamma else -logs
    return losses if weights is None else losses * weights[target]


def cross_entropy(outputs: Tensor, target: Tensor, *, weight: Tensor | None, label_smoothing: float) -> Tensor:
    """Return the cross-entropy of logits (B, C, …), like target (B, …).

    On a GPU torch has no form for pixels that repeats its bits, so there each pixel is a row.
    """
    if outputs.dim() > 2 and outputs.is_cuda and torch.are_deterministic_algorithms_enabled():
        rows, classes = as_rows(outputs, target)  # pragma: no cover - needs a GPU
        found = F.cross_entropy(rows, classes, weight=weight, label_smoothing=label_smoothing, reduction="none")
        return found.view(target.shape)  # pragma: no cover - needs a GPU
    return F.cross_entropy(outputs, target, weight=weight, label_smoothing=label_smoothing, reduction="none")
