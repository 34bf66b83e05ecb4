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
        # A shift that is large beside the size would take the digits of a float64 target along, if done in float32.
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        shift, size = (torch.tensor(v, dtype=dtype, device=x.device).view(shape) for v in (self.shift, self.size))
        return x.to(dtype).sub(shift).div_(size).to(torch.float32)


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
    rounding = len(x) * np.finfo(np.float64).eps * np.abs(shift)  # what the deviation of a constant column can come to
    size = np.where(size > rounding, size, 1.0)
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
        low, middle, high = np.stack([_byte_quantiles(h, np.array([0.25, 0.5, 0.75])) for h in histograms], axis=1)
        return middle, high - low
    values, count = np.arange(256), histograms.sum(axis=1)
    mean = histograms @ values / count
    return mean, np.sqrt(np.maximum(histograms @ values**2 / count - mean**2, 0))


def _byte_quantiles(histogram: Any, shares: Any) -> Any:
    """Return the quantiles of the bytes that a histogram counts, between two values by their distance."""
    up_to = histogram.cumsum()
    ranks = shares * (up_to[-1] - 1)
    below, above = (np.searchsorted(up_to, r, side="right") for r in (np.floor(ranks), np.ceil(ranks)))
    return below + (above - below) * (ranks % 1)
