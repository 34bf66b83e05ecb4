"""Schema of the group `init`: the first values of weights and biases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Fixed, Positive


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class DefaultInitConfig:
    """What each torch module draws for itself."""

    kind: Fixed[Literal["default"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ScaledInitConfig:
    """Random weights whose scale follows from the layer's size; `gain: auto` fits it to the activation."""

    kind: Fixed[
        Literal[
            "xavier_uniform", "xavier_normal", "he_uniform", "he_normal", "orthogonal", "lecun_uniform", "lecun_normal"
        ]
    ]
    gain: Fixed[Literal["auto"] | Positive] = "auto"
    bias: Fixed[float] = 0.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ConstantInitConfig:
    """The same value for all weights: the textbook mistake, to be seen."""

    kind: Fixed[Literal["constant"]]
    value: Fixed[float] = 0.0
    bias: Fixed[float] = 0.0


InitConfig = Annotated[DefaultInitConfig | ScaledInitConfig | ConstantInitConfig, Field(discriminator="kind")]
