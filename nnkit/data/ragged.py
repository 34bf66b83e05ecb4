"""Sequences as tensors: a batch of them is gathered, and padded to the longest one in it."""

# S steps in all, N sequences, B of them in a batch, T steps of the longest, C channels

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from nnkit.data.sequences import Sequences


@final
@dataclass(frozen=True, slots=True)
class Ragged:
    """N sequences of steps that lie on the device; where they start and end is known on the CPU.

    Attributes:
        values: (S, C) float32 or (S,) of whole numbers, on any device.
        starts: (N,) int64, on the CPU.
        lengths: (N,) int64, on the CPU.
    """

    values: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, given: Sequences, values: Tensor | None = None) -> Ragged:
        """Return sequences as tensors; `values` (S, …) stand in place of theirs."""
        found = torch.from_numpy(given.values) if values is None else values
        return cls(found, torch.from_numpy(given.starts), torch.from_numpy(given.lengths))

    def __len__(self) -> int:
        """N."""
        return len(self.starts)

    def __getitem__(self, rows: slice) -> Ragged:
        """Return some sequences, on the same steps."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def index_select(self, _: int, index: Tensor) -> Ragged:
        """Return the sequences of an index (B,) on the CPU, on the same steps."""
        return replace(self, starts=self.starts[index], lengths=self.lengths[index])

    def to(self, device: Any) -> Ragged:
        """Return the sequences with their steps on a device."""
        return replace(self, values=self.values.to(device))

    @property
    def is_even(self) -> bool:
        """Whether all have one length."""
        return bool((self.lengths == self.lengths[:1]).all())

    def padded(self) -> Tensor:
        """Return (B, T, …): each sequence from its first step on, and zeros behind it."""
        longest = int(self.lengths.max())
        steps = torch.arange(longest)
        places = (self.starts[:, None] + steps).clamp_max(len(self.values) - 1).to(self.values.device)
        found = self.values[places]
        if self.is_even:
            return found
        behind = (steps >= self.lengths[:, None]).to(found.device)
        return found.masked_fill_(behind.view(*behind.shape, *[1] * (found.dim() - 2)), 0)

    def flat(self) -> Tensor:
        """Return the steps of all sequences, one after the other, (sum of the lengths, …)."""
        firsts = self.lengths.cumsum(0) - self.lengths
        offsets = (self.starts - firsts).repeat_interleave(self.lengths)
        return self.values[(torch.arange(len(offsets)) + offsets).to(self.values.device)]

    def mask(self) -> Tensor:
        """Return which steps of `padded` are there, (B, T) float32, on the device."""
        steps = torch.arange(int(self.lengths.max()))
        return (steps < self.lengths[:, None]).float().to(self.values.device)
