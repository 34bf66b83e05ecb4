"""Errors of a forecast over its whole horizon, in the channels' own units and in scaled ones."""

# B batch, h steps ahead, K channels

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype


@final
class ForecastMetrics:
    """Weighted sums of errors, channel by channel, all steps ahead together."""

    names = ("rmse", "mae", "scaled_mse", "scaled_mae")

    def __init__(self, sizes: Sequence[float], predict: Callable[[Tensor], Tensor]) -> None:
        """Take the K units of the scaled channels (1 where they are not scaled), and outputs to values."""
        self._sizes = list(sizes)
        self._predict = predict

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums: weight, error² and |error|, each by channel."""
        return {"sums": torch.zeros(3, len(self._sizes), dtype=sums_dtype(device), device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add outputs and target (B, h * K) to the sums, in place."""
        total = sums["sums"]
        error = (self._predict(outputs).to(total.dtype) - target.to(total.dtype)).view(
            len(target), -1, len(self._sizes)
        )
        w = weight.to(total.dtype)[:, None, None].expand_as(error)
        total += torch.stack([w, w * error.square(), w * error.abs()]).sum((1, 2))

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return the mean over the channels of RMSE and MAE in their own units; of MSE and MAE in scaled ones."""
        weight, squared, absolute = sums["sums"].cpu().double()
        unit = torch.tensor(self._sizes, dtype=torch.float64)
        weight = weight.clamp_min(1e-300)
        return {
            "rmse": float(((squared / weight).sqrt() * unit).mean()),
            "mae": float((absolute / weight * unit).mean()),
            "scaled_mse": float((squared / weight).mean()),
            "scaled_mae": float((absolute / weight).mean()),
        }
