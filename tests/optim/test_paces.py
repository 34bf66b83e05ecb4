"""Parameters that learn later, or slower: checked against torch.optim with parameter groups."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from nnkit.optim.flat import FlatParameters, Pace
from nnkit.optim.optimizers import Optimizer
from tests.optim.test_optimizers import FACTORS, RULES, assert_same

SLOW, LATE = Pace(factor=0.1), Pace(opens=2, factor=0.5)
PACES = {"0.weight": LATE, "0.bias": LATE, "1.weight": SLOW, "1.bias": SLOW}
STEPS_AN_EPOCH = 4


def net() -> nn.Module:
    torch.manual_seed(0)  # no batch norm: its layer's bias has a gradient of rounding errors alone
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)).double()


def batches() -> list[torch.Tensor]:
    return list(torch.randn(20, 16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))


def train_ours(model: nn.Module, optimizer: Optimizer, parameters: FlatParameters, paces: Mapping[str, Pace]) -> None:
    for k, x in enumerate(batches()):
        epoch = k // STEPS_AN_EPOCH
        for name, p in model.named_parameters():
            p.requires_grad_(epoch >= paces.get(name, Pace()).opens)
        parameters.grad.zero_()
        model(x).square().mean().backward()
        optimizer.step(FACTORS[k], epoch)


@pytest.mark.parametrize("rule", RULES)
def test_stretches_learn_as_torchs_groups_that_are_added_when_they_open(rule: str) -> None:
    config, make = RULES[rule]
    ours, theirs = net(), net()
    parameters = FlatParameters(ours, PACES)
    train_ours(ours, Optimizer(parameters, config), parameters, PACES)
    late, slow, fast = (list(theirs[i].parameters()) for i in (0, 1, 3))
    optimizer = make([{"params": fast}, {"params": slow, "lr": 0.1 * config.lr}])
    for k, x in enumerate(batches()):
        if k == LATE.opens * STEPS_AN_EPOCH:
            optimizer.add_param_group({"params": late, "lr": 0.5 * config.lr})
        optimizer.zero_grad()
        theirs(x).square().mean().backward()
        rates = [group["lr"] for group in optimizer.param_groups]
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr * FACTORS[k]
        optimizer.step()
        for group, lr in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = lr
    assert_same(ours, theirs)


def test_what_does_not_learn_yet_is_not_decayed() -> None:
    config, _ = RULES["adam"]
    values = {name: getattr(config, name) for name in config.__slots__}
    model = net()
    parameters = FlatParameters(model, PACES)
    before = model[0].weight.clone()
    Optimizer(parameters, type(config)(**{**values, "weight_decay": 0.3})).step(epoch=1)
    assert torch.equal(before, model[0].weight)


@pytest.mark.parametrize("rule", ["adam", "nadam"])
def test_a_state_with_counts_of_its_own_for_each_stretch_goes_on_in_another_optimizer(rule: str) -> None:
    config, _ = RULES[rule]
    model, other = net(), net()
    parameters, again = FlatParameters(model, PACES), FlatParameters(other, PACES)
    first, second = Optimizer(parameters, config), Optimizer(again, config)
    train_ours(model, first, parameters, PACES)
    saved = first.state_by_name()
    assert (saved["step"]["0.weight"].item(), saved["step"]["3.weight"].item()) == (12, 20)
    second.load(saved)
    assert {k: v.tolist() for k, v in second.state.items()} == {k: v.tolist() for k, v in first.state.items()}


def test_a_state_of_one_pace_goes_on_with_several_and_the_other_way_round() -> None:
    config, _ = RULES["adam"]
    one, several = Optimizer(FlatParameters(net()), config), Optimizer(FlatParameters(net(), PACES), config)
    for _ in range(3):
        one.step()
    several.load(one.state_by_name())
    assert several.state["step"].tolist() == [3, 3, 3]
    several.step()
    one.load(several.state_by_name())
    assert one.state["step"].item() == 4


def test_parameters_of_one_pace_lie_side_by_side_weights_first() -> None:
    parameters = FlatParameters(net(), PACES)
    assert [stretch.pace for stretch in parameters.stretches] == [LATE, SLOW, Pace()]
    assert [(s.start, s.decayed, s.stop) for s in parameters.stretches] == [(0, 32, 40), (40, 40, 56), (56, 80, 83)]
    assert parameters.names == [name for s in parameters.stretches for name in s.names]
