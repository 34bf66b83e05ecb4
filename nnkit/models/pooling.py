"""From steps of sequences to one vector a sequence; what lies behind a sequence's end never counts."""

# B batch, T time, D features

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Return which of T steps belong to their sequence, (B, T) bool, from lengths (B,)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def last_of(h: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the last step (B, D) of each sequence (B, T, D); lengths (B,) from 1, or None for all T."""
    if lengths is None:
        return h[:, -1]
    place = (lengths - 1).clamp_min(0)[:, None, None].expand(-1, 1, h.shape[2])
    return h.gather(1, place)[:, 0]


def masked_mean(h: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the mean step (B, D) of sequences (B, T, D)."""
    if lengths is None:
        return h.mean(1)
    inside = valid_steps(lengths, h.shape[1])[..., None]
    return h.masked_fill(~inside, 0).sum(1) / lengths.clamp_min(1)[:, None]


def masked_max(h: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the largest value of each feature (B, D) over the steps (B, T, D)."""
    if lengths is not None:
        h = h.masked_fill(~valid_steps(lengths, h.shape[1])[..., None], -torch.inf)
    return h.amax(1)


@final
class AttentionPooling(nn.Module):
    """A weighted mean of the steps, whose weights are learned: softmax of v . tanh(W h) (Bahdanau et al. 2015)."""

    def __init__(self, width: int) -> None:
        """Take D."""
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, h: Tensor, lengths: Tensor | None) -> Tensor:
        """Return (B, D) from steps (B, T, D)."""
        scores = self.score(torch.tanh(self.hidden(h)))  # (B, T, 1)
        if lengths is not None:
            scores = scores.masked_fill(~valid_steps(lengths, h.shape[1])[..., None], -torch.inf)
        weights: Tensor = scores.softmax(1)
        return (weights * h).sum(1)
