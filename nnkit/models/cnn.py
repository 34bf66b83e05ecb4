"""Convolutional network on images (2-D) and on series (1-D)."""

# B batch, C channels, H height, W width, T time

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import partial
from typing import Literal, final

import torch
from torch import Tensor, nn

from nnkit.config.sections.model import NormKind
from nnkit.geometry import KernelSize, each_block, map_sizes, padding_of
from nnkit.models.activations import ActivationFactory
from nnkit.models.embeddings import TokenEmbedding
from nnkit.models.layout import SequenceLayout
from nnkit.models.mlp import dense_blocks
from nnkit.models.pooling import masked_max, masked_mean, valid_steps

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
        kernels: Sequence[int],
        stride: int,
        padding: int | Literal["same"],
        pooling: Pooling,
        pool_size: int,
        norm: NormKind,
        residual: bool,
        activation: ActivationFactory,
    ) -> None:
        """Take the channels and 1 or 2 spatial dimensions, then the choices.

        Several kernel sizes lie side by side, with about as many of the channels each: odd ones, and "same" padding.
        """
        super().__init__()
        conv = nn.Conv1d if dimensions == 1 else nn.Conv2d
        kernel_size = kernels[0]
        zeros = padding_of(padding, kernel_size)
        self._zeros, self._kernel_size, self._stride = zeros, kernel_size, stride
        self._shift = (2 * zeros - kernel_size + 1) // (2 * stride)
        self._pool_size = 1 if pooling == "none" else pool_size
        make = partial(conv, in_channels, stride=stride, bias=norm != "batch")
        if len(kernels) == 1:
            self.conv: nn.Module = make(out_channels, kernel_size, padding=zeros)
        else:
            shares = _shares(out_channels, len(kernels))
            self.conv = SideBySide(make(c, k, padding=k // 2) for c, k in zip(shares, kernels, strict=True))
        self.norm = _norm(norm, out_channels, dimensions)
        self.activation = activation()
        self.pool = _pool(pooling, pool_size, dimensions)
        keeps_shape = in_channels == out_channels and stride == 1 and 2 * zeros == kernel_size - 1
        self.residual = residual
        self.skip = conv(in_channels, out_channels, 1, stride, bias=False) if residual and not keeps_shape else None

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Return (B, C', …) from (B, C, …), smaller by stride and pooling.

        Where sequences vary, lengths (B,) go along; all behind them is zero, before and after, so that a sequence's
        result does not depend on what it is padded with.
        """
        y = self.conv(x)
        if lengths is None:
            y = self.norm(y)
        else:
            lengths = ((lengths + 2 * self._zeros - self._kernel_size) // self._stride + 1).clamp_min(1)
            y = self._normed(y, lengths)
        if self.residual:
            y = y + _fitted(x if self.skip is None else self.skip(x), y, None if lengths is None else self._shift)
        y = self.activation(y)
        if lengths is None:
            return self.pool(y), None
        lengths, y = (lengths // self._pool_size).clamp_min(1), self.pool(_zero_behind(y, lengths))
        return _zero_behind(y, lengths), lengths

    def _normed(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return (B, C, T) normalised by what is inside of the sequences alone."""
        if not self.training or isinstance(self.norm, nn.Identity):
            return self.norm(y)  # type: ignore[no-any-return]  # each step for itself; what is behind becomes zero
        inside = valid_steps(lengths, y.shape[2])
        steps = y.transpose(1, 2)  # (B, T, C)
        found = torch.zeros_like(steps)
        found[inside] = self.norm(steps[inside])
        return found.transpose(1, 2)


@final
class SideBySide(nn.ModuleList):
    """Convolutions with kernels of several sizes on the same input (Kim 2014)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', …) from (B, C, …): the maps of all of them, one after the other."""
        return torch.cat([conv(x) for conv in self], 1)


def _shares(channels: int, parts: int) -> list[int]:
    return [channels // parts + (part < channels % parts) for part in range(parts)]


def _zero_behind(y: Tensor, lengths: Tensor) -> Tensor:
    return y.masked_fill(~valid_steps(lengths, y.shape[2])[:, None], 0)


def _fitted(skip: Tensor, y: Tensor, shift: int | None) -> Tensor:
    """Cut the skip connection to the size of `y`, or fill it with zeros, alike on both edges.

    Where sequences vary, the first edge gets `shift` zeros: half of what is missing depends on the longest of a batch.
    """
    missing = [y.shape[d] - skip.shape[d] for d in range(y.dim() - 1, 1, -1)]
    firsts = [m // 2 if shift is None else shift for m in missing]
    edges = [n for m, first in zip(missing, firsts, strict=True) for n in (first, m - first)]
    return nn.functional.pad(skip, edges) if any(edges) else skip


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
        layout: SequenceLayout | None,
        *,
        channels: Sequence[int],
        kernel_size: KernelSize,
        stride: int,
        padding: int | Literal["same"],
        pooling: Pooling,
        pool_size: int,
        norm: NormKind,
        residual: bool,
        global_pooling: Literal["none", "avg", "max"],
        dense: Sequence[int],
        embedding_size: int,
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the input's channels, its sizes ((T,) or (H, W)), the number of outputs and the layout of a series.

        Then the choices. Tokens have no channels of their own, but `embedding_size`.
        """
        super().__init__()
        self.is_series, self.layout = len(sizes) == 1, layout or SequenceLayout(in_channels)
        vocabulary = self.layout.vocabulary
        self.embedding = TokenEmbedding(vocabulary, embedding_size) if vocabulary else None
        widths = [embedding_size if vocabulary else in_channels, *channels]
        self.blocks = nn.ModuleList(
            ConvBlock(
                a,
                b,
                len(sizes),
                kernels=kernels,
                stride=stride,
                padding=padding,
                pooling=pooling,
                pool_size=pool_size,
                norm=norm,
                residual=residual,
                activation=activation,
            )
            for (a, b), kernels in zip(itertools.pairwise(widths), each_block(kernel_size, len(channels)), strict=True)
        )
        self.global_pooling = global_pooling
        shrink = partial(
            map_sizes,
            blocks=len(channels),
            kernel_size=kernel_size,
            stride=stride,
            padding=padding,
            pool_size=pool_size if pooling != "none" else None,
        )
        left = math.prod(shrink(size)[-1] for size in sizes) if global_pooling == "none" else 1
        self._least_steps = next(steps for steps in itertools.count(1) if min(shrink(steps)) >= 1)
        flat = channels[-1] * left + self.layout.future
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.dense = dense_blocks(flat, dense, norm="none", residual=False, activation=activation, dropout=dropout)
        self.output = nn.Linear([flat, *dense][-1], out_features)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits or values (B, out_features) from images (B, C, H, W), series (B, T, C) or tokens (B, T).

        Lengths (B,) follow where sequences vary, or what is known of the future (B, H, F).
        """
        x, lengths, future = self.layout.named(inputs) if self.is_series else (inputs[0], None, None)
        if self.embedding is not None:
            x = self.dropout(self.embedding(x))
        h = x.transpose(1, 2) if self.is_series else x  # (B, C, …)
        if lengths is not None:
            h = _zero_behind(nn.functional.pad(h, (0, max(0, self._least_steps - h.shape[2]))), lengths)
        for block in self.blocks:
            h, lengths = block(h, lengths)
        h = self.dropout(self._pooled(h, lengths))
        return self.output(self.dense(h if future is None else torch.cat([h, future], 1)))  # type: ignore[no-any-return]

    def _pooled(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (B, F) of maps (B, C, …)."""
        if self.global_pooling == "avg":
            return h.flatten(2).mean(2) if lengths is None else masked_mean(h.transpose(1, 2), lengths)
        if self.global_pooling == "max":
            return h.flatten(2).amax(2) if lengths is None else masked_max(h.transpose(1, 2), lengths)
        return h.flatten(1)
