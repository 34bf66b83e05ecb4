"""Linear and logistic regression."""

# B batch

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn


@final
class Linear(nn.Module):
    """One linear map of the flattened input: y = W x + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        """Take the number of values a sample and the number of outputs."""
        super().__init__()
        self.output = nn.Linear(in_features, out_features)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits or values (B, out_features) from samples (B, …), of one input or several side by side."""
        return self.output(flattened(inputs))  # type: ignore[no-any-return]


def flattened(inputs: tuple[Tensor, ...]) -> Tensor:
    """Return all values of a sample side by side, (B, F), from inputs (B, …)."""
    return inputs[0].flatten(1) if len(inputs) == 1 else torch.cat([x.flatten(1) for x in inputs], 1)
