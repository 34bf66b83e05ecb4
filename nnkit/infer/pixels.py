"""Answers for each pixel, batch by batch."""

# N pictures, B of a batch, C classes, H height, W width

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.infer.finished import Finished
from nnkit.infer.terms import Array
from nnkit.objective.predictions import predicted_classes, probabilities


def masks_to(run: Finished, inputs: Sequence[Any]) -> Array:
    """Return the class of each pixel (N, H, W) uint8, of pictures as they were read; of an ensemble by its mean."""
    return np.concatenate([predicted_classes(logits).byte().cpu().numpy() for logits in _logits(run, inputs)])


def probabilities_to(run: Finished, inputs: Sequence[Any]) -> Array:
    """Return the probability of each class at each pixel, (N, C, H, W) float32, as `masks_to` has it."""
    return np.concatenate([probabilities(logits).cpu().numpy() for logits in _logits(run, inputs)])


def _logits(run: Finished, inputs: Sequence[Any]) -> Iterator[Tensor]:
    """Yield logits (B, C, H, W), batch by batch: those of all pictures together may not fit in memory."""
    for batches in zip(*(look.batches(inputs) for look in run.looks), strict=True):
        yield mean_logits([one.outputs([given]) for one, given in zip(run.looks, batches, strict=True)])


def mean_logits(outputs: Sequence[Tensor]) -> Tensor:
    """Return logits whose probabilities are the mean of those of several networks, or views; of one its own."""
    if len(outputs) == 1:
        return outputs[0]
    return torch.stack([each.softmax(1) for each in outputs]).mean(0).clamp_min(1e-30).log()
