"""Forecasts that learn nothing, to be beaten."""

# B batch, T window, C channels, H horizon, K targets, S season

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn


@final
class Naive(nn.Module):
    """The last value again, or the last season again, for each step of the horizon."""

    def __init__(
        self, channels: Sequence[int], horizon: int, season: int, *, method: Literal["last", "seasonal"]
    ) -> None:
        """Take where the K targets stand among the channels, H, and S; a window holds at least a season."""
        super().__init__()
        period = season if method == "seasonal" else 1
        self.register_buffer("channels", torch.tensor(channels), persistent=False)
        self.register_buffer("back", torch.arange(horizon) % period - period, persistent=False)

    def forward(self, x: Tensor, *_: Tensor) -> Tensor:
        """Return values (B, H * K) from windows (B, T, C)."""
        assert isinstance(self.back, Tensor)
        assert isinstance(self.channels, Tensor)
        return x[:, self.back][:, :, self.channels].flatten(1)
