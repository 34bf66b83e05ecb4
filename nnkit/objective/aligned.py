"""Outputs and targets side by side, row by row, whatever the task: losses and metrics know of no time."""

# B batch, T time, C classes, H horizon (of images height), W width, K targets

from __future__ import annotations

from torch import Tensor


def aligned(outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return outputs, target and weight with one row for each answer.

    Args:
        outputs: (B, …); (B, T, C) where each step has an answer; (B, h * K) for a forecast, which in training may be
            shorter than the horizon; (B, C, H, W) where each pixel has an answer.
        target: (B, …); (B, T) class numbers; (B, H, W) likewise; (B, H, K) for a forecast.
        weight: (B,), or (B, T) where each step has an answer, (B, H, W) each pixel.

    Returns:
        For an answer a step (B * T, C), (B * T,), (B * T,); for a forecast target (B, h * K); all else as it is.
    """
    if weight.dim() == 2:
        return outputs.flatten(0, 1), target.flatten(), weight.flatten()
    if weight.dim() == 3:  # losses and metrics take pixels as they are
        return outputs, target, weight
    if target.dim() == 3:
        target = target.flatten(1)[:, : outputs.shape[1]]
    return outputs, target, weight
