"""Scaling, fitted on the training rows alone and kept as plain numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from nnkit.data.source import Array, Rows, Source
from nnkit.spec import InputKind


@final
@dataclass(frozen=True, slots=True)
class Scale:
    """x becomes (x - shift) / size, feature by feature or channel by channel.

    Attributes:
        kind: features and series are scaled along their last dimension, images along their first.
        shift: one number a feature or channel.
        size: as many; never 0.
    """

    kind: InputKind
    shift: tuple[float, ...]
    size: tuple[float, ...]

    def apply(self, x: Tensor) -> Tensor:
        """Return the scaled batch, (B, …) float32, from a batch of any numeric dtype."""
        shape = (-1, 1, 1) if self.kind == "image" else (-1,)
        shift, size = (torch.tensor(v, dtype=torch.float32, device=x.device).view(shape) for v in (self.shift, self.size))
        return x.to(torch.float32).sub(shift).div_(size)


@final
@dataclass(frozen=True, slots=True)
class Preprocess:
    """All that was fitted on the training rows.

    Attributes:
        inputs: one scale an input; None leaves it as it is.
        target: of a regression target, undone in every metric and prediction; None for classes.
        classes: names by number.
    """

    inputs: tuple[Scale | None, ...]
    target: Scale | None
    classes: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for preprocess.json."""
        return asdict(self)


def fit_preprocess(source: Source, train: Rows, *, scaling: str, target_scaling: str) -> Preprocess:
    """Fit the scales on the training rows.

    Args:
        source: the data.
        train: the training rows; no other row is looked at.
        scaling: standard (mean 0, deviation 1), minmax (to [0, 1]), robust (median 0, quartile range 1) or none.
        target_scaling: standard or none; for classes it has no meaning.
    """
    inputs = tuple(_fit(x[train], spec.kind, scaling) for x, spec in zip(source.inputs, source.specs, strict=True))
    target = None if source.classes else _fit(source.target[train], "features", target_scaling)
    return Preprocess(inputs, target, source.classes)


def _fit(x: Array, kind: InputKind, scaling: str) -> Scale | None:
    if scaling == "none":
        return None
    if x.dtype == np.uint8:
        shift, size = _byte_statistics(x, scaling)
    else:
        columns = x.reshape(-1, x.shape[-1]) if kind != "image" else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
        shift, size = _statistics(columns.astype(np.float64), scaling)
    size = np.where(size > 0, size, 1.0)
    return Scale(kind, tuple(shift.tolist()), tuple(size.tolist()))


def _statistics(columns: Any, scaling: str) -> tuple[Any, Any]:
    """Return shift and size of each column of (N, F) float64."""
    if scaling == "standard":
        return columns.mean(axis=0), columns.std(axis=0)
    if scaling == "minmax":
        low = columns.min(axis=0)
        return low, columns.max(axis=0) - low
    low, middle, high = np.quantile(columns, [0.25, 0.5, 0.75], axis=0)
    return middle, high - low


def _byte_statistics(images: Any, scaling: str) -> tuple[Any, Any]:
    """Return shift and size of each channel of (N, C, H, W) uint8, from histograms: exact, and no float copy."""
    channels = images.shape[1]
    if scaling == "minmax":
        return np.zeros(channels), np.full(channels, 255.0)
    histograms = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(channels)])
    if scaling == "robust":
        below = histograms.cumsum(axis=1) / histograms.sum(axis=1, keepdims=True)
        low, middle, high = ((below < q).sum(axis=1) for q in (0.25, 0.5, 0.75))
        return middle.astype(np.float64), (high - low).astype(np.float64)
    values, count = np.arange(256), histograms.sum(axis=1)
    mean = histograms @ values / count
    return mean, np.sqrt(np.maximum(histograms @ values**2 / count - mean**2, 0))
