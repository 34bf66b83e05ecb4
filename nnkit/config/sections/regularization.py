"""Schema of the group `regularization`: what holds a network back from learning its data by heart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from nnkit.config.marks import NonNegative, Override, Positive, Probability


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class RegularizationConfig:
    """Each setting has one reader: the model (dropout), the objective (l1, l2), the step (the others).

    Penalties and max_norm are for weights of two or more dimensions; biases and norm scales are exempt.
    """

    dropout: Override[Probability] = 0.0
    l1: Override[NonNegative] = 0.0
    l2: Override[NonNegative] = 0.0
    max_norm: Override[Positive | None] = None
    input_noise: Override[NonNegative] = 0.0
    token_dropout: Override[Probability] = 0.0
