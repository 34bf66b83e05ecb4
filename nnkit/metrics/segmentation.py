"""Overlap of predicted and true classes, pixel by pixel, from confusion matrices on the device."""

# B batch, C classes, H height, W width

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype


def confusions(target: Tensor, predicted: Tensor, weight: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Return the weight of each (true class, predicted class) in each picture, (B, C, C), from three (B, H, W)."""
    size, pictures = num_classes * num_classes, torch.arange(len(target), device=target.device)
    cells = (pictures[:, None, None] * size + target * num_classes + predicted).flatten()
    found = torch.zeros(len(target) * size, dtype=dtype, device=target.device)
    found.index_add_(0, cells, weight.flatten().to(dtype))
    return found.view(-1, num_classes, num_classes)


def overlaps(confusion: Tensor) -> Tensor:
    """Return the intersection over union of each class (…, C) of (…, C, C); nan where a class is nowhere."""
    right = confusion.diagonal(dim1=-2, dim2=-1)
    return right / (confusion.sum(-1) + confusion.sum(-2) - right)


@final
class SegmentationMetrics:
    """Means over classes, over the foreground, and over pictures; the first class is the background."""

    names = ("mean_iou", "mean_dice", "foreground_iou", "picture_iou", "pixel_accuracy")

    def __init__(self, num_classes: int, predict: Callable[[Tensor], Tensor]) -> None:
        """Take C and the function from logits (B, C, H, W) to class numbers (B, H, W)."""
        self._num_classes = num_classes
        self._predict = predict

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""
        size, dtype = self._num_classes, sums_dtype(device)
        shapes = {"confusion": (size, size), "pictures": (2,)}
        return {name: torch.zeros(shape, dtype=dtype, device=device) for name, shape in shapes.items()}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch of logits (B, C, H, W), classes (B, H, W) and weights (B, H, W) to the sums, in place."""
        confusion = sums["confusion"]
        of_each = confusions(target, self._predict(outputs), weight, self._num_classes, confusion.dtype)
        confusion += of_each.sum(0)
        of_pictures = overlaps(of_each)[:, 1:].nanmean(1)
        known = ~of_pictures.isnan()
        sums["pictures"] += torch.stack([of_pictures.nan_to_num(0).sum(), known.sum()])

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return the metrics by name, in [0, 1].

        A class that is nowhere, neither true nor predicted, is left out of a mean; where none is left, nothing was
        missed: 1. `foreground_iou` is the mean over all classes but the first, `picture_iou` the mean over pictures of
        the same, of those that show one of them or were said to.
        """
        confusion, (total, count) = sums["confusion"].cpu().double(), sums["pictures"].cpu().double()
        iou = overlaps(confusion)
        return {
            "mean_iou": _mean(iou),
            "mean_dice": _mean(2 * iou / (1 + iou)),
            "foreground_iou": _mean(iou[1:]),
            "picture_iou": float(total / count) if count else 1.0,
            "pixel_accuracy": float(confusion.diag().sum() / confusion.sum().clamp_min(1e-300)),
        }


def _mean(values: Tensor) -> float:
    mean = float(values.nanmean())
    return 1.0 if mean != mean else mean
