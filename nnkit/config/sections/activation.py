"""Schema of the group `activation`: the function between hidden layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

from pydantic import Field

from nnkit.config.marks import Fixed, Name, NonNegative, Positive


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class PlainActivationConfig:
    """An activation without settings of its own."""

    kind: Fixed[Literal["identity", "sigmoid", "tanh", "relu", "selu", "softmax"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class LeakyReLUConfig:
    """max(x, slope * x)."""

    kind: Fixed[Literal["leaky_relu"]]
    negative_slope: Fixed[NonNegative] = 0.01


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ELUConfig:
    """x above zero, alpha * (exp(x) - 1) below."""

    kind: Fixed[Literal["elu"]]
    alpha: Fixed[Positive] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class GELUConfig:
    """x * Phi(x), exactly or by its tanh approximation."""

    kind: Fixed[Literal["gelu"]]
    approximate: Fixed[Literal["none", "tanh"]] = "none"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class SwishConfig:
    """x * sigmoid(beta * x)."""

    kind: Fixed[Literal["swish"]]
    beta: Fixed[Positive] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class SoftplusConfig:
    """log(1 + exp(beta * x)) / beta."""

    kind: Fixed[Literal["softplus"]]
    beta: Fixed[Positive] = 1.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class PReLUConfig:
    """max(x, slope * x) with one learned slope a layer."""

    kind: Fixed[Literal["prelu"]]
    init_slope: Fixed[NonNegative] = 0.25


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeActivationConfig:
    """A module of the user's own: Name(**kwargs) -> nn.Module."""

    kind: Fixed[Literal["code"]]
    code: Fixed[Name]
    kwargs: Fixed[dict[str, Any]] = field(default_factory=dict)


ActivationConfig = Annotated[
    CodeActivationConfig
    | PlainActivationConfig
    | LeakyReLUConfig
    | ELUConfig
    | GELUConfig
    | SwishConfig
    | SoftplusConfig
    | PReLUConfig,
    Field(discriminator="kind"),
]
