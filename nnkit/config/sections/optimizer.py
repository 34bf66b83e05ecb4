"""Schema of the group `optimizer`. Weight decay is decoupled from the gradient in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Fixed, NonNegative, Override, Positive, Probability

Decay = Annotated[float, Field(gt=0, le=1)]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class SGDConfig:
    """Stochastic gradient descent, plain, with momentum, or with Nesterov's."""

    kind: Fixed[Literal["sgd"]]
    lr: Override[Positive]
    momentum: Fixed[Probability] = 0.0
    nesterov: Override[bool] = False
    weight_decay: Override[NonNegative] = 0.0
    backbone_lr_factor: Override[Positive] = 1.0
    layer_decay: Override[Decay] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class AdamConfig:
    """Adam; `adamw` is the same rule with another default of weight_decay."""

    kind: Fixed[Literal["adam", "adamw"]]
    lr: Override[Positive]
    beta1: Override[Probability] = 0.9
    beta2: Override[Probability] = 0.999
    eps: Override[Positive] = 1e-8
    weight_decay: Override[NonNegative] = 0.0
    backbone_lr_factor: Override[Positive] = 1.0
    layer_decay: Override[Decay] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class NAdamConfig:
    """Adam with Nesterov's momentum."""

    kind: Fixed[Literal["nadam"]]
    lr: Override[Positive]
    beta1: Override[Probability] = 0.9
    beta2: Override[Probability] = 0.999
    eps: Override[Positive] = 1e-8
    momentum_decay: Override[NonNegative] = 0.004
    weight_decay: Override[NonNegative] = 0.0
    backbone_lr_factor: Override[Positive] = 1.0
    layer_decay: Override[Decay] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class RMSpropConfig:
    """Gradients divided by the root of their mean square."""

    kind: Fixed[Literal["rmsprop"]]
    lr: Override[Positive]
    alpha: Override[Probability] = 0.99
    eps: Override[Positive] = 1e-8
    momentum: Fixed[Probability] = 0.0
    weight_decay: Override[NonNegative] = 0.0
    backbone_lr_factor: Override[Positive] = 1.0
    layer_decay: Override[Decay] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class AdagradConfig:
    """Gradients divided by the root of the sum of their squares."""

    kind: Fixed[Literal["adagrad"]]
    lr: Override[Positive]
    eps: Override[Positive] = 1e-10
    weight_decay: Override[NonNegative] = 0.0
    backbone_lr_factor: Override[Positive] = 1.0
    layer_decay: Override[Decay] = 1.0


OptimizerConfig = Annotated[
    SGDConfig | AdamConfig | NAdamConfig | RMSpropConfig | AdagradConfig, Field(discriminator="kind")
]
