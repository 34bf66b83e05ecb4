"""RMSE, MAE and R² from weighted sums, in the target's own units."""

# B batch, K target columns

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype


@final
class RegressionMetrics:
    """Weighted sums of errors and targets, column by column."""

    names = ("rmse", "mae", "r2")

    def __init__(self, sizes: Sequence[float], predict: Callable[[Tensor], Tensor]) -> None:
        """Take the K units of the scaled target (1 where it is not scaled), and outputs (B, K) to values (B, K)."""
        self._sizes = list(sizes)
        self._predict = predict

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums: rows weight, error², |error|, target, target², each by column."""
        return {"sums": torch.zeros(5, len(self._sizes), dtype=sums_dtype(device), device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place."""
        total = sums["sums"]
        y, w = target.to(total.dtype), weight.to(total.dtype)[:, None]
        error = self._predict(outputs).to(total.dtype) - y
        total += torch.stack([w.expand_as(y), w * error.square(), w * error.abs(), w * y, w * y.square()]).sum(1)

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return RMSE and MAE in the target's units and R², averaged over the columns as scikit-learn does."""
        rounding = 64 * torch.finfo(sums["sums"].dtype).eps
        weight, squared, absolute, y, y2 = sums["sums"].cpu().double()
        unit = torch.tensor(self._sizes, dtype=torch.float64)
        weight = weight.clamp_min(1e-300)
        spread = y2 - y.square() / weight
        varies = spread > rounding * y2  # the spread of a constant target is seldom exactly 0
        r2 = torch.where(varies, 1 - squared / spread.clamp_min(1e-300), (squared == 0).double())
        return {
            "rmse": float(((squared / weight).sqrt() * unit).mean()),
            "mae": float((absolute / weight * unit).mean()),
            "r2": float(r2.mean()),
        }
