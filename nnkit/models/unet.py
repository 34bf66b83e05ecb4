"""U-Net: convolution blocks down to small maps, and up again beside what was seen at each size."""

# B batch, C channels, H height, W width, K classes

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from nnkit.config.sections.model import NormKind
from nnkit.models.activations import ActivationFactory
from nnkit.models.cnn import ConvBlock


@final
class Level(nn.Module):
    """Convolutions one after the other, which keep the size of the maps."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        convolutions: int,
        kernel_size: int,
        norm: NormKind,
        residual: bool,
        activation: ActivationFactory,
    ) -> None:
        """Take the channels, then the choices."""
        super().__init__()
        widths = [in_channels, *[out_channels] * convolutions]
        self.blocks = nn.ModuleList(
            ConvBlock(
                a,
                b,
                2,
                kernels=[kernel_size],
                stride=1,
                padding="same",
                pooling="none",
                pool_size=1,
                norm=norm,
                residual=residual,
                activation=activation,
            )
            for a, b in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', H, W) from (B, C, H, W)."""
        for block in self.blocks:
            x, _ = block(x)
        return x


@final
class UNet(nn.Module):
    """A class for each pixel (Ronneberger et al. 2015), with maps that keep their size."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: Sequence[int],
        convolutions: int,
        kernel_size: int,
        norm: NormKind,
        residual: bool,
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the channels of the images and the number of classes, then the choices.

        `channels` are those of each level, the largest maps first. Dropout is on the smallest ones.
        """
        super().__init__()
        level = partial(
            Level,
            convolutions=convolutions,
            kernel_size=kernel_size,
            norm=norm,
            residual=residual,
            activation=activation,
        )
        self.down = nn.ModuleList(level(a, b) for a, b in itertools.pairwise([in_channels, *channels]))
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        upwards = list(itertools.pairwise(reversed(channels)))
        self.narrow = nn.ModuleList(nn.Conv2d(below, here, 1) for below, here in upwards)
        self.up = nn.ModuleList(level(2 * here, here) for _, here in upwards)
        self.output = nn.Conv2d(channels[0], num_classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, K, H, W) from images (B, C, H, W) of any size."""
        height, width = image.shape[-2:]
        x, seen = padded(image, 2 ** (len(self.down) - 1)), []
        for number, level in enumerate(self.down):
            x = level(x if number == 0 else self.pool(x))
            seen.append(x)
        x = self.dropout(seen.pop())
        for narrow, level in zip(self.narrow, self.up, strict=True):
            x = level(torch.cat([seen.pop(), twice_as_large(narrow(x))], 1))
        return self.output(x)[..., :height, :width]  # type: ignore[no-any-return]


def padded(image: Tensor, multiple: int) -> Tensor:
    """Return images (B, C, H, W) with their last row and column repeated until both sides are multiples of a number."""
    missing = [-size % multiple for size in image.shape[-2:]]
    if not any(missing):
        return image
    return nn.functional.pad(image, (0, missing[1], 0, missing[0]), mode="replicate")


def twice_as_large(x: Tensor) -> Tensor:
    """Return maps (B, C, 2 H, 2 W) from (B, C, H, W), each value four times; on a GPU this repeats its bits."""
    batch, channels, height, width = x.shape
    repeated = x[:, :, :, None, :, None].expand(batch, channels, height, 2, width, 2)
    return repeated.reshape(batch, channels, 2 * height, 2 * width)
