"""Activations against their formulas, gains against closed forms and sampling."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from nnkit.config.fields import sections
from nnkit.config.sections.activation import (
    ActivationConfig,
    ELUConfig,
    GELUConfig,
    LeakyReLUConfig,
    PlainActivationConfig,
    PReLUConfig,
    SoftplusConfig,
    SwishConfig,
)
from nnkit.models.activations import activation_factory, gain

X = torch.linspace(-4, 4, 41, dtype=torch.float64)
PLAIN = ("identity", "sigmoid", "tanh", "relu", "selu", "softmax")


def plain(kind: str) -> ActivationConfig:
    return PlainActivationConfig(kind=kind)  # type: ignore[arg-type]


def where_negative(x: Tensor, negative: Tensor) -> Tensor:
    return torch.where(x > 0, x, negative)


def normal_cdf(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / math.sqrt(2))) / 2


FORMULAS: list[tuple[ActivationConfig, Callable[[Tensor], Tensor]]] = [
    (plain("identity"), lambda x: x),
    (plain("sigmoid"), lambda x: 1 / (1 + (-x).exp())),
    (plain("tanh"), lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    (plain("relu"), lambda x: where_negative(x, 0 * x)),
    (plain("selu"), lambda x: 1.0507009873554805 * where_negative(x, 1.6732632423543772 * (x.exp() - 1))),
    (LeakyReLUConfig(kind="leaky_relu", negative_slope=0.2), lambda x: where_negative(x, 0.2 * x)),
    (ELUConfig(kind="elu", alpha=0.7), lambda x: where_negative(x, 0.7 * (x.exp() - 1))),
    (GELUConfig(kind="gelu"), lambda x: x * normal_cdf(x)),
    (
        GELUConfig(kind="gelu", approximate="tanh"),
        lambda x: x / 2 * (1 + (math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)).tanh()),
    ),
    (SwishConfig(kind="swish"), lambda x: x / (1 + (-x).exp())),
    (SwishConfig(kind="swish", beta=2.5), lambda x: x / (1 + (-2.5 * x).exp())),
    (SoftplusConfig(kind="softplus", beta=1.5), lambda x: (1 + (1.5 * x).exp()).log() / 1.5),
    (PReLUConfig(kind="prelu", init_slope=0.125), lambda x: where_negative(x, 0.125 * x)),
]


@pytest.mark.parametrize(("config", "formula"), FORMULAS, ids=lambda p: getattr(p, "kind", ""))
def test_an_activation_is_its_formula(config: ActivationConfig, formula: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(activation_factory(config)().double()(X), formula(X), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 5), (2, 5, 4), (2, 5, 4, 3)])
def test_softmax_runs_over_the_features_or_channels(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    expected = x.exp() / x.exp().sum(1, keepdim=True)
    torch.testing.assert_close(activation_factory(plain("softmax"))()(x), expected)


def test_every_kind_of_the_schema_can_be_made_and_has_a_positive_gain() -> None:
    for kind, section in sections()["activation"].items():
        own = {"code": "torch.nn:Hardswish"} if kind == "code" else {}
        config = section(kind=kind, **own)
        assert isinstance(activation_factory(config)(), nn.Module)
        assert 0 < gain(config) < math.inf


def test_each_call_makes_a_new_prelu_with_a_slope_of_its_own() -> None:
    make = activation_factory(PReLUConfig(kind="prelu"))
    first, second = make(), make()
    with torch.no_grad():
        next(first.parameters()).fill_(0.9)
    assert first(torch.tensor([-1.0])).item() == pytest.approx(-0.9)
    assert second(torch.tensor([-1.0])).item() == -0.25


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (plain("identity"), 1.0),
        (plain("sigmoid"), nn.init.calculate_gain("sigmoid")),
        (plain("tanh"), nn.init.calculate_gain("tanh")),
        (plain("relu"), nn.init.calculate_gain("relu")),
        (plain("selu"), 1.0),
        (plain("softmax"), 1.0),
        (LeakyReLUConfig(kind="leaky_relu", negative_slope=0.3), nn.init.calculate_gain("leaky_relu", 0.3)),
        (PReLUConfig(kind="prelu", init_slope=0.5), math.sqrt(2 / 1.25)),
    ],
    ids=lambda p: getattr(p, "kind", ""),
)
def test_the_gain_has_its_customary_closed_form(config: ActivationConfig, expected: float) -> None:
    assert gain(config) == pytest.approx(expected, rel=1e-6)


def test_the_gain_of_elu_is_its_gaussian_integral() -> None:
    # E[f^2] = 1/2 + alpha^2 * (e^2 Phi(-2) - 2 e^(1/2) Phi(-1) + 1/2)
    alpha = 1.3
    below = math.e**2 * math.erfc(math.sqrt(2)) / 2 - 2 * math.sqrt(math.e) * math.erfc(math.sqrt(0.5)) / 2 + 0.5
    assert gain(ELUConfig(kind="elu", alpha=alpha)) == pytest.approx((0.5 + alpha**2 * below) ** -0.5, rel=1e-6)


@pytest.mark.parametrize(
    ("config", "formula"),
    [(c, f) for c, f in FORMULAS if c.kind not in PLAIN],
    ids=lambda p: getattr(p, "kind", ""),
)
def test_the_gain_keeps_the_mean_square_of_normal_samples(
    config: ActivationConfig, formula: Callable[[Tensor], Tensor]
) -> None:
    z = torch.randn(1_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert gain(config) * formula(z).square().mean().sqrt().item() == pytest.approx(1, rel=5e-3)
