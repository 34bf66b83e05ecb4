"""The numbers of a step: one row a sample, one column for each use of chance, whether it is switched on or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

COLUMNS = (
    *("flip", "flip_vertical", "crop_down", "crop_right", "rotation", "down", "right", "zoom"),
    *("brightness", "contrast", "saturation", "hue", "erasing", "area", "aspect", "box_down", "box_right"),
    *("window", "window_start"),
)
_PLACE = {name: column for column, name in enumerate(COLUMNS)}


@final
@dataclass(frozen=True, slots=True)
class Draws:
    """Numbers in [0, 1) for each sample, (B, K) float32 on the device."""

    table: Tensor

    @classmethod
    def of(cls, rng: np.random.Generator, size: int, rows: int, device: torch.device) -> Draws:
        """Draw `rows` rows for `size` samples: one for each of them, or a single one for all."""
        drawn = torch.from_numpy(rng.random((rows, len(COLUMNS)), dtype=np.float32))
        return cls(drawn.to(device).expand(size, -1))

    def __getitem__(self, name: str) -> Tensor:
        """Return the numbers (B,) of one use."""
        return self.table[:, _PLACE[name]]

    def between(self, name: str, low: float, high: float) -> Tensor:
        """Return numbers (B,) in [low, high)."""
        return low + (high - low) * self[name]

    def around(self, name: str, most: float) -> Tensor:
        """Return numbers (B,) in [-most, most)."""
        return self.between(name, -most, most)

    def factor(self, name: str, spread: float) -> Tensor:
        """Return factors (B,) in [1 - spread, 1 + spread), none below 0."""
        return self.between(name, max(0.0, 1 - spread), 1 + spread)
