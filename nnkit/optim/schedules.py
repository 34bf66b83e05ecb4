"""Factors on the learning rate: pure functions of the step; only `plateau` remembers anything."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from nnkit.config.sections.scheduler import (
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    OneCycleScheduleConfig,
    PlateauScheduleConfig,
    SchedulerConfig,
    StepScheduleConfig,
)


def schedule_factor(config: SchedulerConfig, step: int, *, total: int, steps_per_epoch: int) -> float:
    """Return the factor on the learning rate at a step.

    Args:
        config: the schedule; `plateau` is 1 here, its cuts are in `PlateauState`.
        step: from 0. During the warm-up the factor rises linearly to the schedule's first value; the schedule runs over
            the steps after it. Behind `total` the last value stays.
        total: steps of the whole training, fixed when it started.
        steps_per_epoch: for the schedules that go by epochs.

    Returns:
        A number in [0, 1].

    Raises: nothing.
    Source: Goyal et al. 2017 (warm-up), Loshchilov & Hutter 2017 (cosine), Smith & Topin 2018 (one cycle).
    """
    warmup, step = config.warmup_steps, min(step, max(total - 1, 0))
    if step < warmup:
        return (step + 1) / (warmup + 1) * schedule_factor_at(config, 0, max(1, total - warmup), steps_per_epoch)
    return schedule_factor_at(config, step - warmup, max(1, total - warmup), steps_per_epoch)


def schedule_factor_at(config: SchedulerConfig, step: int, total: int, steps_per_epoch: int) -> float:
    """Return the factor without a warm-up, at a step in [0, total)."""
    match config:
        case StepScheduleConfig():
            return config.gamma ** (step // steps_per_epoch // config.every_epochs)
        case ExponentialScheduleConfig():
            return float(config.gamma ** (step // steps_per_epoch))
        case CosineScheduleConfig():
            return _cosine(1.0, config.min_factor, step / total)
        case OneCycleScheduleConfig():
            return _one_cycle(config, step, total)
        case _:
            return 1.0


def _one_cycle(config: OneCycleScheduleConfig, step: int, total: int) -> float:
    """The same curve as torch's OneCycleLR, as a share of its max_lr."""
    first = 1 / config.div_factor
    peak = config.rise_fraction * total - 1
    if step <= peak:
        return _cosine(first, 1.0, step / peak if peak > 0 else 1.0)
    return _cosine(1.0, first / config.final_div_factor, min(1.0, (step - peak) / max(total - 1 - peak, 1e-9)))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


@final
@dataclass(slots=True)
class PlateauState:
    """What `plateau` remembers.

    Attributes:
        factor: the product of all cuts so far.
        best: the best score so far, lower is better; infinite before the first.
        waited: validations without improvement since the best, or since the last cut.
        cooling: validations still to wait before counting starts again.
    """

    factor: float = 1.0
    best: float = math.inf
    waited: int = 0
    cooling: int = 0


def after_validation(config: SchedulerConfig, state: PlateauState, score: float) -> None:
    """Note a validation's score (lower is better); a plateau cuts the factor. Other schedules do nothing.

    Source: torch's ReduceLROnPlateau with an absolute threshold.
    """
    if not isinstance(config, PlateauScheduleConfig):
        return
    if score < state.best - config.min_delta:
        state.best, state.waited = score, 0
    else:
        state.waited += 1
    if state.cooling > 0:
        state.cooling, state.waited = state.cooling - 1, 0
    if state.waited > config.patience:
        state.factor = max(state.factor * config.factor, config.min_factor)
        state.cooling, state.waited = config.cooldown, 0
