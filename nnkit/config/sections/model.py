"""Schema of the group `model`. `reads` names the shared settings that a model kind takes from other sections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Name, WholeNumber

NormKind = Literal["none", "batch", "layer"]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class LinearConfig:
    """Linear or logistic regression on the flattened input."""

    reads: ClassVar[frozenset[str]] = frozenset({"init"})

    kind: Fixed[Literal["linear"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class MLPConfig:
    """Fully connected layers on the flattened input."""

    reads: ClassVar[frozenset[str]] = frozenset({"init", "activation", "regularization.dropout"})

    kind: Fixed[Literal["mlp"]]
    hidden: Fixed[list[Count]]
    norm: Fixed[NormKind] = "none"
    residual: Fixed[bool] = False
    embedding_size: Fixed[Literal["auto"] | Count | list[Count]] = "auto"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CNNConfig:
    """Convolutions, 2-D on images and 1-D on series, then a dense head."""

    reads: ClassVar[frozenset[str]] = frozenset({"init", "activation", "regularization.dropout"})

    kind: Fixed[Literal["cnn"]]
    channels: Fixed[Annotated[list[Count], Field(min_length=1)]]
    kernel_size: Fixed[Count] = 3
    stride: Fixed[Count] = 1
    padding: Fixed[WholeNumber | Literal["same"]] = "same"
    pooling: Fixed[Literal["max", "avg", "none"]] = "none"
    pool_size: Fixed[Annotated[int, Field(ge=2)]] = 2
    norm: Fixed[NormKind] = "none"
    residual: Fixed[bool] = False
    global_pooling: Fixed[Literal["none", "avg", "max"]] = "none"
    dense: Fixed[list[Count]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeModelConfig:
    """A network of the user's own: Name(spec, **kwargs) -> nn.Module, with its first values."""

    reads: ClassVar[frozenset[str]] = frozenset()

    kind: Fixed[Literal["code"]]
    code: Fixed[Name]
    kwargs: Fixed[dict[str, Any]] = field(default_factory=dict)


ModelConfig = Annotated[CodeModelConfig | LinearConfig | MLPConfig | CNNConfig, Field(discriminator="kind")]
