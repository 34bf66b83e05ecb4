"""Each schedule against torch.optim.lr_scheduler, factor by factor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim import lr_scheduler

from nnkit.config.sections.scheduler import (
    CosineScheduleConfig,
    ExponentialScheduleConfig,
    NoScheduleConfig,
    OneCycleScheduleConfig,
    PlateauScheduleConfig,
    SchedulerConfig,
    StepScheduleConfig,
)
from nnkit.optim.schedules import PlateauState, after_validation, schedule_factor

TOTAL, STEPS_PER_EPOCH = 40, 4


def schedules(warmup: int = 0) -> dict[str, Any]:
    return {
        "none": NoScheduleConfig(kind="none", warmup_steps=warmup),
        "step": StepScheduleConfig(kind="step", every_epochs=3, gamma=0.5, warmup_steps=warmup),
        "exponential": ExponentialScheduleConfig(kind="exponential", gamma=0.9, warmup_steps=warmup),
        "cosine": CosineScheduleConfig(kind="cosine", min_factor=0.1, warmup_steps=warmup),
        "one_cycle": OneCycleScheduleConfig(
            kind="one_cycle", rise_fraction=0.25, div_factor=10.0, final_div_factor=100.0, warmup_steps=warmup
        ),
        "plateau": PlateauScheduleConfig(kind="plateau", factor=0.5, patience=1, warmup_steps=warmup),
    }


def factor(config: SchedulerConfig, step: int, total: int = TOTAL) -> float:
    return schedule_factor(config, step, total=total, steps_per_epoch=STEPS_PER_EPOCH)


def rates_of_torch(make: Callable[[torch.optim.Optimizer], Any], *, every: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for step in range(TOTAL):
        rates.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        if (step + 1) % every == 0 and step + 1 < TOTAL:
            scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("name", "make", "every"),
    [
        ("step", lambda o: lr_scheduler.StepLR(o, 3, gamma=0.5), STEPS_PER_EPOCH),
        ("exponential", lambda o: lr_scheduler.ExponentialLR(o, 0.9), STEPS_PER_EPOCH),
        ("cosine", lambda o: lr_scheduler.CosineAnnealingLR(o, TOTAL, eta_min=0.1), 1),
        (
            "one_cycle",
            lambda o: lr_scheduler.OneCycleLR(
                o, 1.0, TOTAL, pct_start=0.25, div_factor=10.0, final_div_factor=100.0, cycle_momentum=False
            ),
            1,
        ),
        ("none", lambda o: lr_scheduler.ConstantLR(o, factor=1.0), 1),
    ],
)
def test_schedule_equals_torch(name: str, make: Callable[[torch.optim.Optimizer], Any], every: int) -> None:
    found = [factor(schedules()[name], step) for step in range(TOTAL)]
    assert found == pytest.approx(rates_of_torch(make, every=every), abs=1e-12)


@pytest.mark.parametrize("name", schedules())
def test_warmup_rises_linearly_to_the_first_value_and_the_rest_follows(name: str) -> None:
    warmed, plain = schedules(warmup=5)[name], schedules()[name]
    first = 0.1 if name == "one_cycle" else 1.0
    assert [factor(warmed, k) for k in range(5)] == pytest.approx([first * (k + 1) / 6 for k in range(5)])
    rest = [factor(warmed, k) for k in range(5, TOTAL)]
    assert rest == [factor(plain, k, total=TOTAL - 5) for k in range(TOTAL - 5)]


@given(
    name=st.sampled_from(sorted(schedules())),
    warmup=st.integers(0, 60),
    total=st.integers(0, 50),
    step=st.integers(0, 200),
)
def test_factor_is_a_share_and_stays_behind_the_total(name: str, warmup: int, total: int, step: int) -> None:
    config = schedules(warmup)[name]
    value = factor(config, step, total)
    assert 0 <= value <= 1
    assert value == factor(config, min(step, max(total - 1, 0)), total)


def test_factor_depends_on_nothing_but_its_arguments() -> None:
    for config in schedules(warmup=3).values():
        forwards = [factor(config, step) for step in range(TOTAL)]
        backwards = [factor(config, step) for step in reversed(range(TOTAL))]
        assert forwards == backwards[::-1]


def test_one_cycle_of_a_few_steps_falls_from_its_peak() -> None:
    config = schedules()["one_cycle"]  # its last value is 1 / 10 / 100
    a_third_down = 0.001 + 0.999 * (1 + math.cos(math.pi / 3)) / 2
    assert [factor(config, step, total=2) for step in range(2)] == pytest.approx([a_third_down, 0.001])
    assert factor(config, 0, total=4) == 1.0


scores = st.lists(
    st.one_of(st.integers(-4, 4).map(lambda k: k / 2), st.sampled_from([math.nan, math.inf])), max_size=30
)


@given(
    scores=scores,
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 3),
    min_delta=st.sampled_from([0.0, 0.5]),
    min_factor=st.sampled_from([0.0, 0.2]),
    mode=st.sampled_from(["min", "max"]),
)
def test_plateau_equals_torch_with_an_absolute_threshold(
    scores: list[float], patience: int, cooldown: int, min_delta: float, min_factor: float, mode: str
) -> None:
    config = PlateauScheduleConfig(
        kind="plateau", factor=0.5, patience=patience, cooldown=cooldown, min_delta=min_delta, min_factor=min_factor
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(
        optimizer,
        mode=mode,  # type: ignore[arg-type]
        factor=0.5,
        patience=patience,
        cooldown=cooldown,
        threshold=min_delta,
        threshold_mode="abs",
        min_lr=min_factor,
        eps=0,
    )
    state = PlateauState()
    for score in scores:
        score = -score if mode == "max" and math.isinf(score) else score
        after_validation(config, state, -score if mode == "max" else score)
        theirs.step(score)
        assert state.factor == pytest.approx(float(optimizer.param_groups[0]["lr"]), abs=1e-15)


def test_other_schedules_do_not_mind_a_validation() -> None:
    state = PlateauState()
    after_validation(schedules()["cosine"], state, 1.0)
    assert state == PlateauState()
