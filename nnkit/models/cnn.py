"""Convolutional network on images (2-D) and on series (1-D)."""

# B batch, C channels, H height, W width, T time

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Literal, final

from torch import Tensor, nn

from nnkit.config.sections.model import NormKind
from nnkit.geometry import map_sizes, padding_of
from nnkit.models.activations import ActivationFactory
from nnkit.models.mlp import dense_blocks

Pooling = Literal["max", "avg", "none"]


@final
class ConvBlock(nn.Module):
    """Convolution, norm, activation, pooling; with `residual`, the block's input is added before the activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dimensions: int,
        *,
        kernel_size: int,
        stride: int,
        padding: int | Literal["same"],
        pooling: Pooling,
        pool_size: int,
        norm: NormKind,
        residual: bool,
        activation: ActivationFactory,
    ) -> None:
        """Take the channels and 1 or 2 spatial dimensions, then the choices."""
        super().__init__()
        conv = nn.Conv1d if dimensions == 1 else nn.Conv2d
        zeros = padding_of(padding, kernel_size)
        self.conv = conv(in_channels, out_channels, kernel_size, stride, zeros, bias=norm != "batch")
        self.norm = _norm(norm, out_channels, dimensions)
        self.activation = activation()
        self.pool = _pool(pooling, pool_size, dimensions)
        keeps_shape = in_channels == out_channels and stride == 1 and 2 * zeros == kernel_size - 1
        self.residual = residual
        self.skip = conv(in_channels, out_channels, 1, stride, bias=False) if residual and not keeps_shape else None

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', …) from (B, C, …), smaller by stride and pooling."""
        y = self.norm(self.conv(x))
        if self.residual:
            y = y + _fitted(x if self.skip is None else self.skip(x), y)
        return self.pool(self.activation(y))  # type: ignore[no-any-return]


def _fitted(skip: Tensor, y: Tensor) -> Tensor:
    """Cut the skip connection to the size of `y`, or fill it with zeros, alike on both edges."""
    missing = [y.shape[d] - skip.shape[d] for d in range(y.dim() - 1, 1, -1)]
    return nn.functional.pad(skip, [n for m in missing for n in (m // 2, m - m // 2)]) if any(missing) else skip


def _pool(kind: Pooling, size: int, dimensions: int) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    if dimensions == 1:
        return nn.MaxPool1d(size) if kind == "max" else nn.AvgPool1d(size)
    return nn.MaxPool2d(size) if kind == "max" else nn.AvgPool2d(size)


def _norm(kind: NormKind, channels: int, dimensions: int) -> nn.Module:
    if kind == "batch":
        return nn.BatchNorm1d(channels) if dimensions == 1 else nn.BatchNorm2d(channels)
    return nn.GroupNorm(1, channels) if kind == "layer" else nn.Identity()


@final
class CNN(nn.Module):
    """Convolution blocks, then a dense head on the flattened or globally pooled maps."""

    def __init__(
        self,
        in_channels: int,
        sizes: Sequence[int],
        out_features: int,
        *,
        channels: Sequence[int],
        kernel_size: int,
        stride: int,
        padding: int | Literal["same"],
        pooling: Pooling,
        pool_size: int,
        norm: NormKind,
        residual: bool,
        global_pooling: Literal["none", "avg", "max"],
        dense: Sequence[int],
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the input's channels, its sizes ((T,) or (H, W)) and the number of outputs, then the choices."""
        super().__init__()
        self.is_series = len(sizes) == 1
        widths = [in_channels, *channels]
        self.blocks = nn.Sequential(
            *(
                ConvBlock(
                    a,
                    b,
                    len(sizes),
                    kernel_size=kernel_size,
                    stride=stride,
                    padding=padding,
                    pooling=pooling,
                    pool_size=pool_size,
                    norm=norm,
                    residual=residual,
                    activation=activation,
                )
                for a, b in itertools.pairwise(widths)
            )
        )
        self.global_pooling = global_pooling
        pool = pool_size if pooling != "none" else None
        geometry = {"blocks": len(channels), "kernel_size": kernel_size, "stride": stride}
        left = [map_sizes(s, **geometry, padding=padding, pool_size=pool)[-1] for s in sizes]
        flat = channels[-1] * (math.prod(left) if global_pooling == "none" else 1)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.dense = dense_blocks(flat, dense, norm="none", residual=False, activation=activation, dropout=dropout)
        self.output = nn.Linear([flat, *dense][-1], out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or values (B, out_features) from images (B, C, H, W) or series (B, T, C)."""
        h = self.blocks(x.transpose(1, 2) if self.is_series else x)  # (B, C', …)
        if self.global_pooling == "avg":
            h = h.flatten(2).mean(2)
        elif self.global_pooling == "max":
            h = h.flatten(2).amax(2)
        return self.output(self.dense(self.dropout(h.flatten(1))))  # type: ignore[no-any-return]
