"""Answers for each pixel, as tensors."""

# N pictures, B of a batch, H height, W width, C classes

from __future__ import annotations

import torch
from torch import Tensor

from nnkit.data.source import IGNORED


def pixels_that_count(masks: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the class of each pixel (B, H, W) int64, and how much it counts (B, H, W) float32.

    Args:
        masks: (B, H, W) uint8, IGNORED where a pixel does not count; its class becomes 0, and its weight, too.
        weight: (B,) of the pictures.
    """
    counts = masks != IGNORED
    return masks.long() * counts, weight[:, None, None] * counts


def pixel_counts(masks: Tensor, weight: Tensor, num_classes: int) -> Tensor:
    """Return how many pixels each class has, (C,) float32, each by its picture's weight.

    Args:
        masks: (N, H, W) uint8.
        weight: (N,).
        num_classes: C.
    """
    total = torch.zeros(num_classes, dtype=torch.float64)  # not where the masks are: mps has no float64
    for mask, weighs in zip(masks, weight, strict=True):
        found = torch.bincount(mask.flatten(), minlength=IGNORED + 1)[:num_classes]
        total += found.cpu() * weighs.cpu()
    return total.float().to(masks.device)
