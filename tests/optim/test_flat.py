"""Parameters as views of one tensor."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnkit.optim.flat import FlatParameters


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def test_weights_come_first_and_vectors_behind() -> None:
    model = net()
    flat = FlatParameters(model)
    weights = [model[0].weight, model[3].weight]
    vectors = [model[0].bias, model[1].weight, model[1].bias, model[3].bias]
    expected = torch.cat([p.detach().flatten() for p in weights + vectors])
    assert torch.equal(flat.values, expected)
    assert flat.num_weights == 3 * 2 * 9 + 12 * 2
    assert [id(p) for p in flat.weights] == [id(p) for p in weights]


def test_parameters_follow_the_flat_tensor() -> None:
    model = net()
    flat = FlatParameters(model)
    flat.values.fill_(0.5)
    assert all(bool((p == 0.5).all()) for p in model.parameters())


def test_backward_fills_the_flat_gradient() -> None:
    model, x = net(), torch.randn(4, 2, 4, 4)
    parameters = dict(model.named_parameters())
    expected = dict(
        zip(parameters, torch.autograd.grad(model(x).square().sum(), list(parameters.values())), strict=True)
    )
    flat = FlatParameters(model)
    model(x).square().sum().backward()
    found = flat.by_name(flat.grad)
    for name, grad in expected.items():
        torch.testing.assert_close(found[name], grad)


def test_channels_last_strides_are_kept() -> None:
    model = net().to(memory_format=torch.channels_last)
    x = torch.randn(4, 2, 4, 4)
    before, strides = model(x), [p.stride() for p in model.parameters()]
    assert model[0].weight.stride() != net()[0].weight.stride()
    FlatParameters(model)
    assert [p.stride() for p in model.parameters()] == strides
    assert torch.equal(model(x), before)


def test_gradient_has_the_strides_of_its_parameter() -> None:
    model = net().to(memory_format=torch.channels_last)
    flat = FlatParameters(model)
    grads = [p.grad for p in model.parameters()]
    model(torch.randn(4, 2, 4, 4)).sum().backward()
    assert [id(p.grad) for p in model.parameters()] == [id(g) for g in grads]
    assert all(g is not None and g.stride() == p.stride() for g, p in zip(grads, model.parameters(), strict=True))
    assert bool(flat.grad.any())


def test_frozen_parameters_are_left_out() -> None:
    model = net()
    model[0].weight.requires_grad_(False)
    flat = FlatParameters(model)
    assert flat.num_weights == 24
    assert "0.weight" not in flat.by_name(flat.values)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_by_name_and_fill_are_inverse(memory_format: torch.memory_format) -> None:
    model = net().to(memory_format=memory_format)
    flat = FlatParameters(model)
    named = flat.by_name(flat.values)
    for name, parameter in model.named_parameters():
        assert named[name].is_contiguous()
        assert torch.equal(named[name], parameter.detach())
    other = torch.zeros_like(flat.values)
    flat.fill(other, named)
    assert torch.equal(other, flat.values.detach())


def test_by_name_copies() -> None:
    flat = FlatParameters(nn.Linear(2, 2))
    named = flat.by_name(flat.values)
    before = named["weight"].clone()
    flat.values.zero_()
    assert torch.equal(named["weight"], before)


def test_unknown_and_missing_names_are_refused() -> None:
    flat = FlatParameters(nn.Linear(2, 2))
    with pytest.raises(KeyError, match="nothing"):
        flat.view(flat.values, "nothing")
    with pytest.raises(KeyError, match="bias"):
        flat.fill(flat.values, {"weight": torch.ones(2, 2)})
