"""What stands around a network that forecasts: windows put on a common level, and forecasts fed back."""

# B batch, T window, C channels, H horizon, K targets

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn

LEAST_DEVIATION = 1e-5  # of a window in units of the series' own; a constant window is not divided by zero


@final
class WindowNorm(nn.Module):
    """Take a level (and a size) from each window, and give it back to its forecast.

    Source: `last` is NLinear (Zeng et al. 2023), `standard` is RevIN without its affine part (Kim et al. 2022).
    """

    def __init__(self, network: nn.Module, channels: Sequence[int], mode: Literal["last", "standard"]) -> None:
        """Take the network and where the K targets stand among the channels."""
        super().__init__()
        self.network, self.mode = network, mode
        self.register_buffer("channels", torch.tensor(channels), persistent=False)

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        """Return values (B, H * K) from windows (B, T, C)."""
        assert isinstance(self.channels, Tensor)
        if self.mode == "last":
            level = x[:, -1:]  # (B, 1, C)
            y = self.network(x - level, *others).unflatten(1, (-1, len(self.channels)))
            return (y + level[:, :, self.channels]).flatten(1)  # type: ignore[no-any-return]
        level = x.mean(1, keepdim=True)
        size = x.var(1, keepdim=True, correction=0).add(LEAST_DEVIATION).sqrt()
        y = self.network((x - level) / size, *others).unflatten(1, (-1, len(self.channels)))
        return (y * size[:, :, self.channels] + level[:, :, self.channels]).flatten(1)  # type: ignore[no-any-return]


@final
class Recursive(nn.Module):
    """A network that tells the next step; for a whole horizon, what it told is fed back. In training: one step."""

    def __init__(self, network: nn.Module, horizon: int, channels: Sequence[int]) -> None:
        """Take a network from windows (B, T, C) to their next step (B, C), in the order of the targets."""
        super().__init__()
        self.network, self.horizon = network, horizon
        self.register_buffer("places", torch.tensor(channels).argsort(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the next step (B, C) in training, else (B, H * C), from windows (B, T, C)."""
        if self.training:
            return self.network(x)  # type: ignore[no-any-return]
        assert isinstance(self.places, Tensor)
        told = []
        for _ in range(self.horizon):
            told.append(self.network(x))
            x = torch.cat([x[:, 1:], told[-1][:, None, self.places]], 1)
        return torch.cat(told, 1)
