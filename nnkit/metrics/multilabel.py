"""Accuracy and macro-F1 of labels that are there or not, from counts on the device."""

# B batch, L labels

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype


@final
class MultilabelMetrics:
    """Counts by label, and of the samples whose labels are all right, each sample by its weight."""

    names = ("accuracy", "macro_f1")

    def __init__(self, num_labels: int, predict: Callable[[Tensor], Tensor]) -> None:
        """Take L and the function from outputs (B, L) to labels (B, L) of 0 and 1."""
        self._num_labels = num_labels
        self._predict = predict

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums: true positives, actual and predicted positives by label; right samples, all samples."""
        dtype = sums_dtype(device)
        return {
            "labels": torch.zeros(3, self._num_labels, dtype=dtype, device=device),
            "samples": torch.zeros(2, dtype=dtype, device=device),
        }

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place."""
        dtype = sums["labels"].dtype
        predicted, true, w = self._predict(outputs).to(dtype), target.to(dtype), weight.to(dtype)
        sums["labels"] += torch.stack([predicted * true, true, predicted]).mul(w[:, None]).sum(1)
        right = (predicted == true).all(1).to(dtype)
        sums["samples"] += torch.stack([(right * w).sum(), w.sum()])

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return subset accuracy and macro-F1 in [0, 1]; a label that never occurs counts as 0, as in scikit-learn."""
        both, true, predicted = sums["labels"].cpu().double()
        right, count = sums["samples"].cpu().double()
        f1 = 2 * both / (true + predicted).clamp_min(1e-300)
        return {"accuracy": float(right / count.clamp_min(1e-300)), "macro_f1": float(f1.mean())}
