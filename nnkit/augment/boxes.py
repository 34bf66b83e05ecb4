"""Rectangles in pictures: what is erased, and what comes from another picture."""

# B batch, H height, W width

from __future__ import annotations

import math

import torch
from torch import Tensor

from nnkit.augment.draws import Draws

AREAS, ASPECTS = (0.02, 1 / 3), (0.3, 3.3)  # of what is erased: share of the picture, height by width


def erased(draws: Draws, chance: float, size: tuple[int, int]) -> Tensor:
    """Return which pixels (B, H, W) bool are erased: of so many pictures those of one rectangle.

    Source: Zhong et al. 2020 (random erasing).
    """
    height, width = size
    area = draws.between("area", *AREAS) * height * width
    aspect = draws.between("aspect", math.log(ASPECTS[0]), math.log(ASPECTS[1])).exp()
    rows = (area * aspect).sqrt().round().clamp(1, height)
    columns = (area / aspect).sqrt().round().clamp(1, width)
    top = (draws["box_down"] * (height - rows + 1)).floor()
    left = (draws["box_right"] * (width - columns + 1)).floor()
    inside = boxes(top, left, top + rows, left + columns, size)
    return inside & (draws["erasing"] < chance)[:, None, None]


def cut(shares: Tensor, down: Tensor, right: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which pixels (B, H, W) bool come from another picture, in a rectangle of the picture's own shape.

    Args:
        shares: (B,) of the picture that stay, in [0, 1].
        down: (B,) in [0, 1), where the middle of the rectangle is; what lies outside of the picture is cut off.
        right: (B,) likewise.
        size: height and width in pixels.

    Source: Yun et al. 2019 (CutMix).
    """
    height, width = size
    side = (1 - shares).clamp(0, 1).sqrt()
    top, left = ((p * n - side * n / 2).round().clamp(0, n) for p, n in ((down, height), (right, width)))
    bottom, end = ((p * n + side * n / 2).round().clamp(0, n) for p, n in ((down, height), (right, width)))
    return boxes(top, left, bottom, end, size)


def boxes(top: Tensor, left: Tensor, bottom: Tensor, right: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which pixels (B, H, W) bool lie from top and left up to bottom and right, (B,) each."""
    rows, columns = (torch.arange(n, device=top.device) for n in size)
    down = (rows >= top[:, None]) & (rows < bottom[:, None])
    across = (columns >= left[:, None]) & (columns < right[:, None])
    return down[:, :, None] & across[:, None, :]
