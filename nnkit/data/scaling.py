"""Scaling of arrays: fitted on training rows, kept as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

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
        dtype = _dtype_for(x)
        shift, size = self._as_tensors(x, dtype)
        return x.to(dtype).sub(shift).div_(size).to(torch.float32)

    def undo(self, x: Tensor) -> Tensor:
        """Return the batch in its own units again, (B, …) float64."""
        shift, size = self._as_tensors(x, torch.float64)
        return x.to(torch.float64).mul(size).add_(shift)

    def _as_tensors(self, x: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shape = (-1, 1, 1) if self.kind == "image" else (-1,)
        shift, size = (torch.tensor(v, dtype=dtype, device=x.device).view(shape) for v in (self.shift, self.size))
        return shift, size


def scale_of(plain: Mapping[str, Any] | None) -> Scale | None:
    """Return the scale that `asdict` described; None of None. Raises: KeyError, TypeError where it is none."""
    return None if plain is None else Scale(plain["kind"], tuple(plain["shift"]), tuple(plain["size"]))


def _dtype_for(x: Tensor) -> torch.dtype:
    """A shift that is large beside the size would take the digits of a float64 target along, if done in float32."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def fit_scale(x: Any, kind: InputKind, scaling: str) -> Scale | None:
    """Return the scale of an array (N, …); None for scaling "none"."""
    if scaling == "none":
        return None
    if x.dtype == np.uint8:
        shift, size = _byte_statistics(x, scaling)
        size = _never_zero(size, shift, len(x))
    else:
        columns = x.reshape(-1, x.shape[-1]) if kind != "image" else np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
        shift, size = statistics(columns.astype(np.float64), scaling)
    return Scale(kind, tuple(shift.tolist()), tuple(size.tolist()))


def statistics(columns: Any, scaling: str) -> tuple[Any, Any]:
    """Return shift and size of each column of (N, F) float64; the size of a constant column is 1."""
    if scaling == "standard":
        shift, size = columns.mean(axis=0), columns.std(axis=0)
    elif scaling == "minmax":
        shift = columns.min(axis=0)
        size = columns.max(axis=0) - shift
    else:
        low, shift, high = np.quantile(columns, [0.25, 0.5, 0.75], axis=0)
        size = high - low
    return shift, _never_zero(size, shift, len(columns))


def _never_zero(size: Any, shift: Any, rows: int) -> Any:
    rounding = rows * np.finfo(np.float64).eps * np.abs(shift)  # what the deviation of a constant column can come to
    return np.where(size > rounding, size, 1.0)


def _byte_statistics(images: Any, scaling: str) -> tuple[Any, Any]:
    """Return shift and size of each channel of (N, C, H, W) uint8, from histograms: exact, and no float copy."""
    channels = images.shape[1]
    if scaling == "minmax":
        return np.zeros(channels), np.full(channels, 255.0)
    histograms = np.stack([np.bincount(images[:, c].ravel(), minlength=256) for c in range(channels)])
    if scaling == "robust":
        low, middle, high = np.stack([_byte_quantiles(h, np.array([0.25, 0.5, 0.75])) for h in histograms], axis=1)
        return middle, high - low
    values = np.arange(256)
    return _mean_and_deviation(histograms @ values, histograms @ values**2, histograms.sum(axis=1))


def _mean_and_deviation(sums: Any, squares: Any, count: Any) -> tuple[Any, Any]:
    """Return both of whole numbers, from their sums (C,) and sums of squares (C,) int64."""
    mean = sums / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def scale_of_sums(sums: Any, squares: Any, num: int, pixels: int, scaling: str) -> Scale | None:
    """Return the scale of images that are known by sums alone: what `fit_scale` returns of their bytes.

    Args:
        sums: (C,) int64, of the values of each channel.
        squares: (C,) int64, of their squares.
        num: how many images.
        pixels: of each.
        scaling: standard, minmax or none.
    """
    if scaling == "none":
        return None
    shift, size = np.zeros(len(sums)), np.full(len(sums), 255.0)
    if scaling == "standard":
        shift, size = _mean_and_deviation(sums, squares, num * pixels)
        size = _never_zero(size, shift, num)
    return Scale("image", tuple(shift.tolist()), tuple(size.tolist()))


def _byte_quantiles(histogram: Any, shares: Any) -> Any:
    """Return the quantiles of the bytes that a histogram counts, between two values by their distance."""
    up_to = histogram.cumsum()
    ranks = shares * (up_to[-1] - 1)
    below, above = (np.searchsorted(up_to, r, side="right") for r in (np.floor(ranks), np.ceil(ranks)))
    return below + (above - below) * (ranks % 1)
