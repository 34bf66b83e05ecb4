"""Perplexity and bits a token from the likelihood of the tokens that came."""

# N tokens, V vocabulary

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from nnkit.metrics.sums import sums_dtype

MOST_NATS = 700.0  # exp of more is infinite in float64


@final
class LanguageMetrics:
    """Sums over tokens: weight, right ones, and nats, whatever the loss is that was trained with."""

    names = ("accuracy", "perplexity", "bits_per_token")

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""
        return {"tokens": torch.zeros(3, dtype=sums_dtype(device), device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add logits (N, V), the tokens that came (N,) and their weights (N,) to the sums, in place."""
        total = sums["tokens"]
        nats = torch.nn.functional.cross_entropy(outputs, target, reduction="none").to(total.dtype)
        w, right = weight.to(total.dtype), (outputs.argmax(1) == target).to(total.dtype)
        total += torch.stack([w.sum(), (w * right).sum(), (w * nats).sum()])

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return the share of right tokens, perplexity exp(nats), and bits a token."""
        weight, right, nats = sums["tokens"].cpu().double().tolist()
        mean = nats / max(weight, 1e-300)
        accuracy = right / max(weight, 1e-300)
        return {
            "accuracy": accuracy,
            "perplexity": math.exp(min(mean, MOST_NATS)),
            "bits_per_token": mean / math.log(2),
        }
