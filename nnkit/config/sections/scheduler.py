"""Schema of the group `scheduler`: the factor on the learning rate, step by step, after a linear warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, NonNegative, Override, Share, WholeNumber

Decay = Annotated[float, Field(gt=0, le=1)]
Floor = Annotated[float, Field(ge=0, le=1)]
Divisor = Annotated[float, Field(ge=1)]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class NoScheduleConfig:
    """A constant learning rate, after the warm-up."""

    kind: Fixed[Literal["none"]]
    warmup_steps: Override[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class StepScheduleConfig:
    """Multiply by gamma every few epochs."""

    kind: Fixed[Literal["step"]]
    every_epochs: Override[Count]
    gamma: Override[Decay]
    warmup_steps: Override[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ExponentialScheduleConfig:
    """Multiply by gamma every epoch."""

    kind: Fixed[Literal["exponential"]]
    gamma: Override[Decay]
    warmup_steps: Override[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CosineScheduleConfig:
    """Half a cosine from 1 down to min_factor over the whole training."""

    kind: Fixed[Literal["cosine"]]
    min_factor: Override[Floor] = 0.0
    warmup_steps: Override[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class OneCycleScheduleConfig:
    """Up from 1/div_factor to 1 in the first share of the training, then down to almost nothing, both by a cosine."""

    kind: Fixed[Literal["one_cycle"]]
    rise_fraction: Override[Share] = 0.3
    div_factor: Override[Divisor] = 25.0
    final_div_factor: Override[Divisor] = 1e4
    warmup_steps: Override[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class PlateauScheduleConfig:
    """Multiply by `factor` when the monitored value has not improved for `patience` validations."""

    kind: Fixed[Literal["plateau"]]
    factor: Override[Share]
    patience: Override[WholeNumber]
    cooldown: Override[WholeNumber] = 0
    min_delta: Override[NonNegative] = 0.0
    min_factor: Override[Floor] = 0.0
    warmup_steps: Override[WholeNumber] = 0


SchedulerConfig = Annotated[
    NoScheduleConfig
    | StepScheduleConfig
    | ExponentialScheduleConfig
    | CosineScheduleConfig
    | OneCycleScheduleConfig
    | PlateauScheduleConfig,
    Field(discriminator="kind"),
]
