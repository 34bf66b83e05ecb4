"""Operations that move pixels: mirrored, shifted by whole pixels, or rotated, zoomed and moved in one go."""

# B batch, C channels, H height, W width

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor


def mirrored(x: Tensor, chosen: Tensor, dim: int) -> Tensor:
    """Return pictures (B, C, H, W), the chosen ones (B,) bool mirrored along a dimension."""
    return torch.where(chosen[:, None, None, None], x.flip(dim), x)


def shifted(x: Tensor, down: Tensor, right: Tensor, most: int) -> Tensor:
    """Return pictures (B, C, H, W) moved by whole pixels, with zeros where nothing was.

    Args:
        x: the pictures.
        down: (B,) int64, by how many pixels, in [-most, most].
        right: (B,) int64, likewise.
        most: the padding of "crop with padding" (He et al. 2016, section 4.2).
    """
    height, width = x.shape[2:]
    padded = F.pad(x, (most, most, most, most))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: (B, C, 2 most + 1, 2 most + 1, H, W)
    return windows[torch.arange(len(x), device=x.device), :, most - down, most - right]


def affine_maps(degrees: Tensor, factor: Tensor, down: Tensor, right: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps (B, 2, 3) from places of the result to places of the picture, as `warped` takes them.

    Args:
        degrees: (B,) by how much the picture is turned about its middle, clockwise.
        factor: (B,) of its size, above 0.
        down: (B,) by what share of the height it is moved afterwards.
        right: (B,) likewise, of the width.
        size: height and width in pixels; of a picture that is not square they matter for its rotation.
    """
    height, width = size
    angle = torch.deg2rad(degrees)
    cos, sin = angle.cos() / factor, angle.sin() / factor
    across, along = height / width, width / height
    x, y = 2 * right, 2 * down  # the picture is 2 wide and 2 high
    top = torch.stack([cos, sin * across, -cos * x - sin * across * y], 1)
    bottom = torch.stack([-sin * along, cos, sin * along * x - cos * y], 1)
    return torch.stack([top, bottom], 1)


def warped(x: Tensor, maps: Tensor, mode: str) -> Tensor:
    """Return pictures (B, C, H, W) with zeros outside; `mode` is bilinear, or nearest for class numbers."""
    grid = F.affine_grid(maps, [len(x), 1, *x.shape[2:]], align_corners=False)
    return F.grid_sample(x, grid, mode=mode, padding_mode="zeros", align_corners=False)
