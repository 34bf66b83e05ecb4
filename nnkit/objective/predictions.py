"""From a network's outputs to predictions: the output activation by loss and task."""

# B batch, C classes, L labels, K target columns

from __future__ import annotations

import math

import torch
from torch import Tensor


def predicted_classes(outputs: Tensor, *, threshold: float = 0.5) -> Tensor:
    """Return class numbers (B,) int64 from logits (B, C), or from one logit of the second class (B, 1).

    With two classes the second one is predicted where its probability is above `threshold`, in (0, 1).
    """
    if outputs.shape[1] > 2:
        return outputs.argmax(1)
    logit = outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
    return (logit > math.log(threshold / (1 - threshold))).long()


def predicted_labels(outputs: Tensor) -> Tensor:
    """Return which labels (B, L) int64 are there, from a logit each (B, L)."""
    return (outputs > 0).long()


def probabilities(outputs: Tensor) -> Tensor:
    """Return class probabilities (B, C): softmax of logits (B, C), or both sides of a sigmoid of one logit (B, 1)."""
    if outputs.shape[1] > 1:
        return outputs.softmax(1)
    positive = outputs.sigmoid()
    return torch.cat([1 - positive, positive], 1)


def label_probabilities(outputs: Tensor) -> Tensor:
    """Return the probability of each label (B, L), from a logit each."""
    return outputs.sigmoid()


def predicted_values(outputs: Tensor, *, log_rate: bool) -> Tensor:
    """Return values (B, K): the outputs themselves, or their exponential for a Poisson rate."""
    return outputs.exp() if log_rate else outputs
