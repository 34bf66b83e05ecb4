"""Accuracy and macro-F1 from a confusion matrix on the device."""

# B batch, C classes

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype


@final
class ClassificationMetrics:
    """Counts of (true class, predicted class), each sample by its weight."""

    names = ("accuracy", "macro_f1")

    def __init__(self, num_classes: int, predict: Callable[[Tensor], Tensor]) -> None:
        """Take C and the function from outputs (B, …) to class numbers (B,)."""
        self._num_classes = num_classes
        self._predict = predict

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""
        size = self._num_classes
        return {"confusion": torch.zeros(size, size, dtype=sums_dtype(device), device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place."""
        cell = target * self._num_classes + self._predict(outputs)
        confusion = sums["confusion"]
        confusion.view(-1).index_add_(0, cell, weight.to(confusion.dtype))

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return accuracy and macro-F1 in [0, 1]; as in scikit-learn, a class that never occurs is left out."""
        confusion = sums["confusion"].cpu().double()
        right, true, predicted = confusion.diag(), confusion.sum(1), confusion.sum(0)
        occurs = (true + predicted) > 0
        f1 = 2 * right / (true + predicted).clamp_min(1e-300)
        return {
            "accuracy": float(right.sum() / confusion.sum().clamp_min(1e-300)),
            "macro_f1": float(f1[occurs].mean()) if bool(occurs.any()) else 0.0,
        }
