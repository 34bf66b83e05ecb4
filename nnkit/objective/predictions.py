"""From a network's outputs to predictions: the output activation by loss and task."""

# B batch, C classes, K target columns

from __future__ import annotations

import torch
from torch import Tensor


def predicted_classes(outputs: Tensor) -> Tensor:
    """Return class numbers (B,) int64 from logits (B, C), or from one logit of the second class (B, 1)."""
    return (outputs[:, 0] > 0).long() if outputs.shape[1] == 1 else outputs.argmax(1)


def probabilities(outputs: Tensor) -> Tensor:
    """Return class probabilities (B, C): softmax of logits (B, C), or both sides of a sigmoid of one logit (B, 1)."""
    if outputs.shape[1] > 1:
        return outputs.softmax(1)
    positive = outputs.sigmoid()
    return torch.cat([1 - positive, positive], 1)


def predicted_values(outputs: Tensor, *, log_rate: bool) -> Tensor:
    """Return values (B, K): the outputs themselves, or their exponential for a Poisson rate."""
    return outputs.exp() if log_rate else outputs
