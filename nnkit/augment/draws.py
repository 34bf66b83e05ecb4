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

    def of_view(self, number: int) -> Draws:
        """Return the same, but for mirroring: the first views, from 1, are mirrored as often as the chance says.

        By chance alone the few views that there are would all be one picture, or none of them another than itself.
        """
        table = self.table.clone()
        for name, base in (("flip", 2), ("flip_vertical", 3)):
            table[:, _PLACE[name]] = spread(number - 1, base)
        return Draws(table)

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


def spread(number: int, base: int) -> float:
    """Return a number in [0, 1) that lies as far as it can from those of all smaller `number` >= 0.

    Source: van der Corput 1935: the digits of the number to a base, behind the point, in reverse.
    """
    found, share = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        share /= base
        found += digit * share
    return found
