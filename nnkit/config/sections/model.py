"""Schema of the group `model`. `reads` names the shared settings that a model kind takes from other sections."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Name, WholeNumber

NormKind = Literal["none", "batch", "layer"]
Summary = Literal["last", "mean", "max", "attention", "all"]
SideBySide = Annotated[list[Count], Field(min_length=2)]  # several widths of kernels in one block
RECURRENT_READS = frozenset({"init", "activation", "regularization.dropout"})
NO_WEIGHTS, DEFAULT_WEIGHTS = "none", "DEFAULT"


@dataclass(kw_only=True, slots=True, frozen=True)
class TrainableConfig:
    """What all networks share that learn: where their first values come from, and what is frozen."""

    reads: ClassVar[frozenset[str]]

    kind: Fixed[str]
    weights: Fixed[Name] = NO_WEIGHTS
    from_run: Fixed[Name | None] = None
    freeze: Fixed[Literal["none", "backbone"] | Count | Name] = "none"
    unfreeze_after: Fixed[Count | None] = None
    unfreeze_layers: Fixed[Literal["all"] | Count] = "all"

    @property
    def is_given_weights(self) -> bool:
        """Whether a training starts from weights that are no function of the seed."""
        return self.from_run is not None or self.weights != NO_WEIGHTS


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class LinearConfig(TrainableConfig):
    """Linear or logistic regression on the flattened input."""

    reads: ClassVar[frozenset[str]] = frozenset({"init"})

    kind: Fixed[Literal["linear"]]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class MLPConfig(TrainableConfig):
    """Fully connected layers on the flattened input."""

    reads: ClassVar[frozenset[str]] = frozenset({"init", "activation", "regularization.dropout"})

    kind: Fixed[Literal["mlp"]]
    hidden: Fixed[list[Count]]
    norm: Fixed[NormKind] = "none"
    residual: Fixed[bool] = False
    embedding_size: Fixed[Literal["auto"] | Count | list[Count]] = "auto"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CNNConfig(TrainableConfig):
    """Convolutions, 2-D on images and 1-D on series, then a dense head."""

    reads: ClassVar[frozenset[str]] = frozenset({"init", "activation", "regularization.dropout"})

    kind: Fixed[Literal["cnn"]]
    channels: Fixed[Annotated[list[Count], Field(min_length=1)]]
    kernel_size: Fixed[Count | Annotated[list[Count | SideBySide], Field(min_length=1)]] = 3
    stride: Fixed[Count] = 1
    padding: Fixed[WholeNumber | Literal["same"]] = "same"
    pooling: Fixed[Literal["max", "avg", "none"]] = "none"
    pool_size: Fixed[Annotated[int, Field(ge=2)]] = 2
    norm: Fixed[NormKind] = "none"
    residual: Fixed[bool] = False
    global_pooling: Fixed[Literal["none", "avg", "max"]] = "none"
    dense: Fixed[list[Count]]
    embedding_size: Fixed[Count] = 64


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class UNetConfig(TrainableConfig):
    """A class for each pixel: convolutions down to small maps and up again (Ronneberger et al. 2015)."""

    reads: ClassVar[frozenset[str]] = frozenset({"init", "activation", "regularization.dropout"})

    kind: Fixed[Literal["unet"]]
    channels: Fixed[Annotated[list[Count], Field(min_length=1)]]
    convolutions: Fixed[Count] = 2
    kernel_size: Fixed[Count] = 3
    norm: Fixed[NormKind] = "none"
    residual: Fixed[bool] = False


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class RNNConfig(TrainableConfig):
    """Plain recurrence (Elman 1990): h = tanh(W x + U h + b)."""

    reads: ClassVar[frozenset[str]] = RECURRENT_READS

    kind: Fixed[Literal["rnn"]]
    hidden_size: Fixed[Count]
    num_layers: Fixed[Count] = 1
    bidirectional: Fixed[bool] = False
    nonlinearity: Fixed[Literal["tanh", "relu"]] = "tanh"
    norm: Fixed[Literal["none", "layer"]] = "none"
    summary: Fixed[Summary] = "last"
    embedding_size: Fixed[Count] = 64
    recurrent_init: Fixed[Literal["orthogonal", "identity", "default"]] = "orthogonal"
    dense: Fixed[list[Count]] = field(default_factory=list)


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class LSTMConfig(TrainableConfig):
    """Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

    reads: ClassVar[frozenset[str]] = RECURRENT_READS

    kind: Fixed[Literal["lstm"]]
    hidden_size: Fixed[Count]
    num_layers: Fixed[Count] = 1
    bidirectional: Fixed[bool] = False
    forget_bias: Fixed[float] = 1.0
    norm: Fixed[Literal["none", "layer"]] = "none"
    summary: Fixed[Summary] = "last"
    embedding_size: Fixed[Count] = 64
    recurrent_init: Fixed[Literal["orthogonal", "identity", "default"]] = "orthogonal"
    dense: Fixed[list[Count]] = field(default_factory=list)


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class GRUConfig(TrainableConfig):
    """Gated recurrent unit (Cho et al. 2014, with the reset gate of torch.nn.GRU)."""

    reads: ClassVar[frozenset[str]] = RECURRENT_READS

    kind: Fixed[Literal["gru"]]
    hidden_size: Fixed[Count]
    num_layers: Fixed[Count] = 1
    bidirectional: Fixed[bool] = False
    norm: Fixed[Literal["none", "layer"]] = "none"
    summary: Fixed[Summary] = "last"
    embedding_size: Fixed[Count] = 64
    recurrent_init: Fixed[Literal["orthogonal", "identity", "default"]] = "orthogonal"
    dense: Fixed[list[Count]] = field(default_factory=list)


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class NaiveConfig:
    """A forecast that learns nothing: the last value again, or the last season again."""

    reads: ClassVar[frozenset[str]] = frozenset()

    kind: Fixed[Literal["naive"]]
    method: Fixed[Literal["auto", "last", "seasonal"]] = "auto"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeModelConfig(TrainableConfig):
    """A network of the user's own: Name(spec, **kwargs) -> nn.Module, with its first values."""

    reads: ClassVar[frozenset[str]] = frozenset()

    kind: Fixed[Literal["code"]]
    code: Fixed[Name]
    kwargs: Fixed[dict[str, Any]] = field(default_factory=dict)


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class PretrainedConfig(TrainableConfig):
    """A network of torchvision, by its name there, with the weights that it is published with."""

    reads: ClassVar[frozenset[str]] = frozenset()

    kind: Fixed[Literal["pretrained"]]
    arch: Fixed[Name]
    weights: Fixed[Name] = DEFAULT_WEIGHTS
    input_size: Fixed[Literal["auto", "none"] | Count] = "auto"

    @property
    def takes_published(self) -> bool:
        """Whether a training starts from the weights that torchvision publishes."""
        return self.weights == DEFAULT_WEIGHTS and self.from_run is None


RecurrentConfig = RNNConfig | LSTMConfig | GRUConfig
ModelConfig = Annotated[
    CodeModelConfig
    | LinearConfig
    | MLPConfig
    | CNNConfig
    | UNetConfig
    | RNNConfig
    | LSTMConfig
    | GRUConfig
    | PretrainedConfig
    | NaiveConfig,
    Field(discriminator="kind"),
]


def network_of(section: ModelConfig) -> str:
    """Return what a network is called in titles and folders: its kind, or torchvision's name."""
    return section.arch if isinstance(section, PretrainedConfig) else section.kind
