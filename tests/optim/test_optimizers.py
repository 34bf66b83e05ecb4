"""Each rule against torch.optim, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnkit.config.sections.optimizer import (
    AdagradConfig,
    AdamConfig,
    NAdamConfig,
    OptimizerConfig,
    RMSpropConfig,
    SGDConfig,
)
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer

FACTORS = [min(1.0, 0.2 * (k + 1)) * 0.9**k for k in range(20)]
Make = Callable[[Iterable[Tensor]], torch.optim.Optimizer]

RULES: dict[str, tuple[OptimizerConfig, Make]] = {
    "sgd": (SGDConfig(kind="sgd", lr=0.1), lambda p: torch.optim.SGD(p, lr=0.1)),
    "momentum": (SGDConfig(kind="sgd", lr=0.1, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)),
    "nesterov": (
        SGDConfig(kind="sgd", lr=0.1, momentum=0.9, nesterov=True),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    ),
    "adam": (
        AdamConfig(kind="adam", lr=0.01, beta1=0.8, beta2=0.95, eps=1e-6),
        lambda p: torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6),
    ),
    "nadam": (
        NAdamConfig(kind="nadam", lr=0.01, beta1=0.8, beta2=0.95, eps=1e-6, momentum_decay=0.01),
        lambda p: torch.optim.NAdam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, momentum_decay=0.01),
    ),
    "rmsprop": (
        RMSpropConfig(kind="rmsprop", lr=0.01, alpha=0.9, eps=1e-6),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-6),
    ),
    "rmsprop momentum": (
        RMSpropConfig(kind="rmsprop", lr=0.01, alpha=0.9, momentum=0.7),
        lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, momentum=0.7),
    ),
    "adagrad": (
        AdagradConfig(kind="adagrad", lr=0.1, eps=1e-9),
        lambda p: torch.optim.Adagrad(p, lr=0.1, eps=1e-9),
    ),
}


def net() -> nn.Sequential:
    torch.default_generator.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)).double()


def take_steps(model: nn.Module, step: Callable[[float], Any], zero: Callable[[], Any], count: int = 20) -> None:
    x = torch.randn(20, 16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for k in range(count):
        zero()
        model(x[k]).square().mean().backward()
        step(FACTORS[k])


def steps_of_torch(model: nn.Module, optimizer: torch.optim.Optimizer, *, decay: float = 0.0) -> None:
    lrs = [group["lr"] for group in optimizer.param_groups]

    def step(factor: float) -> None:
        for group, lr in zip(optimizer.param_groups, lrs, strict=True):
            group["lr"] = lr * factor
        with torch.no_grad():
            for p in model.parameters():
                if decay and p.dim() >= 2:
                    p.mul_(1 - lrs[0] * factor * decay)
        optimizer.step()

    take_steps(model, step, optimizer.zero_grad)


def steps_of_ours(model: nn.Module, config: OptimizerConfig) -> Optimizer:
    parameters = FlatParameters(model)
    optimizer = Optimizer(parameters, config)
    take_steps(model, optimizer.step, parameters.grad.zero_)
    return optimizer


def assert_same(a: nn.Module, b: nn.Module) -> None:
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-13, msg=name)


@pytest.mark.parametrize("rule", RULES)
def test_rule_equals_torch_over_twenty_steps_of_changing_rates(rule: str) -> None:
    config, make = RULES[rule]
    ours, theirs = net(), net()
    steps_of_ours(ours, config)
    steps_of_torch(theirs, make(theirs.parameters()))
    assert_same(ours, theirs)


@pytest.mark.parametrize("rule", RULES)
def test_decay_shrinks_the_weights_alone_before_the_rule(rule: str) -> None:
    config, make = RULES[rule]
    values = {name: getattr(config, name) for name in config.__slots__}
    ours, theirs = net(), net()
    steps_of_ours(ours, type(config)(**{**values, "weight_decay": 0.3}))
    steps_of_torch(theirs, make(theirs.parameters()), decay=0.3)
    assert_same(ours, theirs)


def test_adamw_equals_torch_with_biases_and_norms_exempt() -> None:
    ours, theirs = net(), net()
    steps_of_ours(ours, AdamConfig(kind="adamw", lr=0.01, weight_decay=0.2))
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() >= 2], "weight_decay": 0.2},
        {"params": [p for p in theirs.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    steps_of_torch(theirs, torch.optim.AdamW(groups, lr=0.01))
    assert_same(ours, theirs)


@pytest.mark.parametrize("rule", RULES)
def test_state_by_name_continues_in_another_optimizer(rule: str) -> None:
    config, _ = RULES[rule]
    model = net()
    first = steps_of_ours(model, config)
    other = copy.deepcopy(model)
    parameters = FlatParameters(other)
    second = Optimizer(parameters, config)
    second.load(first.state_by_name())
    assert {k: v.tolist() for k, v in second.state.items()} == {k: v.tolist() for k, v in first.state.items()}
    first.step()
    parameters.grad.copy_(first.param_groups[0]["params"][0].grad)
    second.step()
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))


def test_saved_state_has_each_parameters_name_and_shape() -> None:
    optimizer = steps_of_ours(net(), RULES["adam"][0])
    saved = optimizer.state_by_name()
    assert saved["step"][""].item() == 20
    assert {name: tuple(t.shape) for name, t in saved["mean"].items()} == {
        name: tuple(p.shape) for name, p in net().named_parameters()
    }


def test_saved_state_is_a_copy() -> None:
    optimizer = steps_of_ours(net(), RULES["adam"][0])
    saved = optimizer.state_by_name()
    optimizer.step()
    assert saved["step"][""].item() == 20


def test_state_that_lacks_something_is_refused() -> None:
    optimizer = Optimizer(FlatParameters(net()), RULES["adam"][0])
    saved = optimizer.state_by_name()
    del saved["square"]
    with pytest.raises(KeyError, match="square"):
        optimizer.load(saved)


def test_without_momentum_there_is_no_velocity() -> None:
    assert Optimizer(FlatParameters(net()), RULES["sgd"][0]).state == {}
    assert list(Optimizer(FlatParameters(net()), RULES["rmsprop"][0]).state) == ["square"]


def test_gradient_scaler_finds_the_flat_gradient() -> None:
    parameters = FlatParameters(net().float())
    optimizer = Optimizer(parameters, RULES["sgd"][0])
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(parameters.values.sum())
    parameters.grad.fill_(4.0)
    scaler.unscale_(optimizer)  # type: ignore[arg-type]
    assert bool((parameters.grad == 0.5).all())


@pytest.mark.parametrize("name", RULES)
def test_a_rate_beyond_float32_makes_weights_that_a_training_sees(name: str) -> None:
    model = net().float()
    parameters = FlatParameters(model)
    parameters.grad.fill_(0.5)
    Optimizer(parameters, replace(RULES[name][0], lr=1e300)).step()
    assert float(parameters.values.abs().max()) > 1e37
