"""Writes small pictures with a mask each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nnkit.config.sections.data import MasksConfig
from tests.data.pictures import write_picture


def square(row: int, *, side: int = 12, value: int = 200) -> Any:
    """Return a mask (side, side) uint8 with a square of a value on zeros, another place in each row."""
    mask, top = np.zeros((side, side), np.uint8), 1 + row % (side // 2)
    mask[top : top + 4, 2:7] = value
    return mask


def picture_of(mask: Any, seed: int) -> Any:
    """Return a noisy picture (H, W, 3) uint8 in which a mask can be seen."""
    noise = np.random.default_rng(seed).integers(0, 40, (*mask.shape, 3))
    return (noise + 150 * (mask[..., None] > 0)).astype(np.uint8)


def write_pairs(root: Path, count: int, *, suffix: str = "", side: int = 12) -> Path:
    """Write pictures and their masks into the folders images and masks; return the folder that holds both."""
    for row in range(count):
        mask = square(row, side=side)
        write_picture(root / "images" / f"p{row:02}.png", picture_of(mask, row))
        write_picture(root / "masks" / f"p{row:02}{suffix}.png", mask)
    return root


def section(root: Path, **changes: Any) -> MasksConfig:
    """Return the section that reads what `write_pairs` wrote."""
    where = {"images": str(root / "images"), "masks": str(root / "masks"), **changes}
    return MasksConfig(kind="masks", val_fraction=0.2, **{"test_fraction": 0.2, **where})
