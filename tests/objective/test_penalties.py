"""Penalties and norm limits against closed forms, numeric gradients and torch.renorm."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from nnkit.objective.penalties import l1_penalty, l2_penalty, limit_norms

SHAPES = [(3, 4), (2, 3, 5), (2, 3, 2, 2)]
Penalty = Callable[[Iterable[Tensor], float], Tensor]


def weights(scale: float = 1.0) -> list[Tensor]:
    chance = torch.Generator().manual_seed(0)
    return [scale * torch.randn(shape, dtype=torch.float64, generator=chance) for shape in SHAPES]


def test_l1_is_strength_times_the_sum_of_absolute_values() -> None:
    assert l1_penalty([torch.tensor([[1.0, -2.0]]), torch.tensor([[-0.5]])], 0.1).item() == pytest.approx(0.35)


def test_l2_is_half_the_strength_times_the_sum_of_squares() -> None:
    assert l2_penalty([torch.tensor([[1.0, -2.0]]), torch.tensor([[3.0]])], 0.1).item() == pytest.approx(0.7)


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_the_penalty_has_the_dtype_of_the_weights_and_no_dimension(penalty: Penalty) -> None:
    assert penalty(weights(), 0.1).dtype is torch.float64
    assert penalty([torch.ones(2, 2)], 0.1).dtype is torch.float32
    assert penalty(weights(), 0.1).shape == ()


@pytest.mark.parametrize("penalty", [l1_penalty, l2_penalty])
def test_the_gradient_is_the_numeric_one(penalty: Penalty) -> None:
    given = [w.requires_grad_() for w in weights()]
    assert torch.autograd.gradcheck(lambda *w: penalty(w, 0.3), given)


def test_the_gradient_of_l2_is_strength_times_the_weight_and_of_l1_strength_times_its_sign() -> None:
    squares, sizes = weights()[0].requires_grad_(), weights()[0].requires_grad_()
    l2_penalty([squares], 0.3).backward()
    l1_penalty([sizes], 0.3).backward()
    torch.testing.assert_close(squares.grad, 0.3 * squares.detach())
    torch.testing.assert_close(sizes.grad, 0.3 * sizes.detach().sign())


def test_long_rows_are_scaled_to_the_limit_and_short_ones_kept() -> None:
    weight = torch.tensor([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0], [0.0, -2.0]])
    limit_norms([weight], 1.0)
    torch.testing.assert_close(weight, torch.tensor([[0.6, 0.8], [0.3, 0.4], [0.0, 0.0], [0.0, -1.0]]))
    assert weight[1].tolist() == torch.tensor([0.3, 0.4]).tolist()


@pytest.mark.parametrize("max_norm", [0.5, 1.5, 3.0])
def test_limits_are_those_of_torch_renorm_for_linear_and_convolution_weights(max_norm: float) -> None:
    given = weights(2.0)
    expected = [torch.renorm(w, 2, 0, max_norm) for w in given]
    limit_norms(given, max_norm)
    for weight, other in zip(given, expected, strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-6, atol=1e-7)


def test_a_limit_on_a_parameter_leaves_no_gradient_behind() -> None:
    parameter = nn.Parameter(torch.full((2, 8), 3.0))
    limit_norms([parameter], 2.0)
    assert parameter.is_leaf
    assert parameter.grad is None
    torch.testing.assert_close(parameter.detach().norm(dim=1), torch.full((2,), 2.0))
