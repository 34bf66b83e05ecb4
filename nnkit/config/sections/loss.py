"""Schema of the group `loss`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

from pydantic import Field

from nnkit.config.marks import Name, NonNegative, Override, Positive, Probability


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class AutoLossConfig:
    """Cross-entropy for classification, mean squared error for regression; the pick is written to config.yaml."""

    kind: Override[Literal["auto"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CrossEntropyConfig:
    """Cross-entropy over the classes' logits."""

    kind: Override[Literal["cross_entropy"]]
    class_weights: Override[Literal["none", "balanced"] | Annotated[list[Positive], Field(min_length=1)]] = "none"
    label_smoothing: Override[Probability] = 0.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class FocalConfig:
    """Cross-entropy that counts what is known already for less: times (1 - p) ** gamma (Lin et al. 2017)."""

    kind: Override[Literal["focal"]]
    gamma: Override[NonNegative] = 2.0
    class_weights: Override[Literal["none", "balanced"] | Annotated[list[Positive], Field(min_length=1)]] = "none"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class DiceConfig:
    """One minus the soft Dice overlap of each picture's classes (Milletari et al. 2016), for masks."""

    kind: Override[Literal["dice"]]
    smooth: Override[Positive] = 1.0
    cross_entropy: Override[NonNegative] = 0.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class BCEConfig:
    """Binary cross-entropy on one logit, for two classes."""

    kind: Override[Literal["bce"]]
    positive_weight: Override[Positive] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class PlainLossConfig:
    """Squared error, absolute error, or the Poisson likelihood of a count (the model predicts the log rate)."""

    kind: Override[Literal["mse", "mae", "poisson"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class HuberConfig:
    """Squared error for |error| < delta, linear beyond."""

    kind: Override[Literal["huber"]]
    delta: Override[Positive] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeLossConfig:
    """A loss of the user's own: Name(**kwargs)(outputs, target) -> one number a sample."""

    kind: Override[Literal["code"]]
    code: Override[Name]
    kwargs: Override[dict[str, Any]] = field(default_factory=dict)


LossConfig = Annotated[
    CodeLossConfig
    | AutoLossConfig
    | CrossEntropyConfig
    | FocalConfig
    | DiceConfig
    | BCEConfig
    | PlainLossConfig
    | HuberConfig,
    Field(discriminator="kind"),
]
