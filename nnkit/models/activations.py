"""Activations by name, and the gain that keeps a signal's size through them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit import usercode
from nnkit.config.sections.activation import (
    ActivationConfig,
    CodeActivationConfig,
    ELUConfig,
    GELUConfig,
    LeakyReLUConfig,
    PReLUConfig,
    SoftplusConfig,
    SwishConfig,
)
from nnkit.errors import ConfigError

ActivationFactory = Callable[[], nn.Module]


@final
class Swish(nn.Module):
    """x * sigmoid(beta * x), element by element (Ramachandran et al. 2017)."""

    def __init__(self, beta: float) -> None:
        """Take the slope `beta` > 0; 1 is SiLU."""
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the shape of `x`."""
        return x * torch.sigmoid(self.beta * x)


def activation_factory(config: ActivationConfig) -> ActivationFactory:
    """Return a function that makes a new activation module; two layers never share one.

    Softmax runs over dimension 1: the features of (B, F), the channels of (B, C, …).
    """
    match config:
        case CodeActivationConfig(code=code, kwargs=kwargs):
            return partial(_users_activation, code, kwargs)
        case LeakyReLUConfig():
            return partial(nn.LeakyReLU, config.negative_slope)
        case ELUConfig():
            return partial(nn.ELU, config.alpha)
        case GELUConfig():
            return partial(nn.GELU, config.approximate)
        case SwishConfig():
            return nn.SiLU if config.beta == 1 else partial(Swish, config.beta)
        case SoftplusConfig():
            return partial(nn.Softplus, config.beta)
        case PReLUConfig():
            return partial(nn.PReLU, 1, config.init_slope)
    plain: dict[str, ActivationFactory] = {
        "identity": nn.Identity,
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
        "relu": nn.ReLU,
        "selu": nn.SELU,
        "softmax": partial(nn.Softmax, 1),
    }
    return plain[config.kind]


def _users_activation(code: str, kwargs: Mapping[str, Any]) -> nn.Module:
    """Return a new activation of the user's own. Raises: ConfigError where it fails, or is no module."""
    made = usercode.made(code, kwargs, key="activation.code")
    if not isinstance(made, nn.Module):
        raise ConfigError(f"activation.code={code} must return an nn.Module, got {type(made).__name__}")
    return made


def gain(config: ActivationConfig) -> float:
    """Return the factor on the weights that keeps the signal's mean square through the activation.

    That is 1 / sqrt(E[f(z)^2]) for z ~ N(0, 1), by numerical integration: sqrt(2) for ReLU, as He et al. 2015 derive,
    sqrt(2 / (1 + slope^2)) for leaky ReLU. Some kinds differ. For tanh it is 5/3 and for sigmoid 1, torch's customary
    values (torch.nn.init.calculate_gain); for SELU, which normalises by itself, and for softmax, whose size depends on
    the layer's width, it is 1.
    """
    customary = {"identity": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "selu": 1.0, "softmax": 1.0}
    if config.kind in customary:
        return customary[config.kind]
    if isinstance(config, CodeActivationConfig):
        return _users_gain(config)
    return _integrated_gain(activation_factory(config)())


def _integrated_gain(activation: nn.Module) -> float:
    z = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    density = torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    with torch.no_grad():
        activated = activation.double()(z)
    return float(torch.trapezoid(activated**2 * density, z) ** -0.5)


def _users_gain(config: CodeActivationConfig) -> float:
    """Return the gain of a user's activation; 1 where it is no function of each element alone, or of nothing."""
    try:
        found = _integrated_gain(_users_activation(config.code, config.kwargs))
    except ConfigError:
        raise
    except Exception:  # noqa: BLE001 - the user's own code; what is wrong with it shows when the network is tried
        return 1.0
    return found if 0 < found < math.inf else 1.0
