"""Operations on the values of pixels, as torchvision's ColorJitter has them, with a factor for each picture.

`white` is the largest value that there can be, or None where it is not known: then nothing is cut off.
"""

# B batch, C channels (1 or 3), H height, W width

from __future__ import annotations

import torch
from torch import Tensor

GREY = (0.2989, 0.587, 0.114)  # ITU-R BT.601, in torchvision's digits


def brightened(x: Tensor, factor: Tensor, white: float | None) -> Tensor:
    """Return pictures (B, C, H, W) whose values are multiplied by a factor (B,) >= 0 each."""
    return _within(x * factor[:, None, None, None], white)


def contrasted(x: Tensor, factor: Tensor, white: float | None) -> Tensor:
    """Return pictures whose distance from their mean grey is multiplied by a factor (B,) >= 0 each."""
    return _blended(x, grey(x).mean((1, 2, 3), keepdim=True), factor, white)


def saturated(x: Tensor, factor: Tensor, white: float | None) -> Tensor:
    """Return pictures (B, 3, H, W) whose distance from grey is multiplied by a factor (B,) >= 0 each."""
    return _blended(x, grey(x), factor, white)


def grey(x: Tensor) -> Tensor:
    """Return the grey values (B, 1, H, W); of pictures that have no three channels the mean of theirs."""
    if x.shape[1] != len(GREY):
        return x.mean(1, keepdim=True)
    return (x * torch.tensor(GREY, device=x.device).view(1, -1, 1, 1)).sum(1, keepdim=True)


def hue_turned(x: Tensor, turns: Tensor) -> Tensor:
    """Return pictures (B, 3, H, W) of values >= 0 whose hue is turned by shares of the whole circle (B,)."""
    most, least = x.amax(1), x.amin(1)
    chroma = most - least
    safe = torch.where(chroma > 0, chroma, torch.ones_like(chroma))
    red, green, blue = x.unbind(1)
    sixth = torch.where(most == green, 2 + (blue - red) / safe, 4 + (red - green) / safe)
    sixth = torch.where(most == red, ((green - blue) / safe) % 6, sixth)
    sixth = torch.where(chroma > 0, sixth, torch.zeros_like(sixth)) + 6 * turns[:, None, None]
    # Smith 1978 in one formula: the share of the chroma that each channel lacks, by its distance on the circle.
    lacking = [(offset + sixth) % 6 for offset in (5.0, 3.0, 1.0)]
    return torch.stack([most - chroma * torch.minimum(k, 4 - k).clamp(0, 1) for k in lacking], 1)


def _blended(x: Tensor, other: Tensor, factor: Tensor, white: float | None) -> Tensor:
    return _within(other + (x - other) * factor[:, None, None, None], white)


def _within(x: Tensor, white: float | None) -> Tensor:
    return x if white is None else x.clamp_(0, white)
