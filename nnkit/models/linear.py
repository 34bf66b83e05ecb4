"""Linear and logistic regression."""

# B batch

from __future__ import annotations

from typing import final

from torch import Tensor, nn


@final
class Linear(nn.Module):
    """One linear map of the flattened input: y = W x + b."""

    def __init__(self, in_features: int, out_features: int) -> None:
        """Take the number of values a sample and the number of outputs."""
        super().__init__()
        self.output = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits or values (B, out_features) from samples (B, …)."""
        return self.output(x.flatten(1))  # type: ignore[no-any-return]
