"""Schema of the readers of sequences in the group `data`: time series, texts, and small sets that are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Limit, Live, Name, Positive, Share

Scaling = Literal["standard", "minmax", "robust", "none"]
TargetScaling = Literal["auto", "standard", "none"]
ClassNames = list[str | int] | None
Names = Annotated[list[Name], Field(min_length=1)]
PartSizes = Annotated[list[Count], Field(min_length=3, max_length=3)]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class SeriesConfig:
    """A table with a time column: the past of a series, its window, is to say the next steps, its horizon."""

    kind: Fixed[Literal["series"]]
    path: Live[Name]
    time: Fixed[Name]
    target: Fixed[Name | Names]
    inputs: Fixed[Names | None] = None
    future: Fixed[list[Name]] = field(default_factory=list)
    window: Fixed[Count]
    horizon: Fixed[Count]
    stride: Fixed[Count] = 1
    strategy: Fixed[Literal["direct", "recursive"]] = "direct"
    window_norm: Fixed[Literal["none", "last", "standard"]] = "none"
    season: Fixed[Count] = 1
    parts: Fixed[PartSizes | None] = None
    gaps: Fixed[Literal["error", "split", "interpolate"]] = "error"
    duplicates: Fixed[Literal["error", "first", "last", "mean"]] = "error"
    delimiter: Fixed[Name] = "auto"
    encoding: Fixed[Name] = "utf-8"
    scaling: Fixed[Scaling] = "standard"
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]

    @property
    def targets(self) -> list[str]:
        """The names of the columns that are forecast."""
        return [self.target] if isinstance(self.target, str) else list(self.target)


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TsConfig:
    """Series in the text format `.ts` of sktime and aeon, of one length or of many."""

    kind: Fixed[Literal["ts"]]
    path: Live[Name]
    val_path: Live[Name | None] = None
    test_path: Live[Name | None] = None
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TextConfig:
    """Texts with labels, or one long text whose next word or character is to be told."""

    kind: Fixed[Literal["text"]]
    path: Live[Name]
    val_path: Live[Name | None] = None
    test_path: Live[Name | None] = None
    task: Fixed[Literal["classification", "language"]] = "classification"
    layout: Fixed[Literal["auto", "lines", "table", "folders", "files"]] = "auto"
    text: Fixed[Name] = "text"
    target: Fixed[Name] = "label"
    delimiter: Fixed[Name] = "auto"
    encoding: Fixed[Name] = "utf-8"
    deduplicate: Fixed[bool] = False
    tokens: Fixed[Literal["char", "word"]] = "word"
    lower: Fixed[bool] = False
    min_frequency: Fixed[Count] = 1
    max_vocabulary: Fixed[Annotated[int, Field(ge=2)] | None] = None
    max_length: Fixed[Count | None] = None
    segment: Fixed[Count] = 128
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class Mnist1dConfig:
    """MNIST-1D, made by the package mnist1d without a network; its test set is the published one."""

    kind: Fixed[Literal["mnist1d"]]
    scaling: Fixed[Scaling] = "none"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class AddingConfig:
    """The adding problem: two of the numbers in a sequence are marked, and their sum is to be told."""

    kind: Fixed[Literal["adding"]]
    samples: Fixed[Count] = 2000
    length: Fixed[Annotated[int, Field(ge=2)]] = 20
    min_length: Fixed[Annotated[int, Field(ge=2)] | None] = None
    scaling: Fixed[Scaling] = "none"
    target_scaling: Fixed[TargetScaling] = "none"
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ParityConfig:
    """Bits, and at each step whether an odd number of them has been 1 so far: a label a step."""

    kind: Fixed[Literal["parity"]]
    samples: Fixed[Count] = 2000
    length: Fixed[Count] = 12
    min_length: Fixed[Count | None] = None
    scaling: Fixed[Scaling] = "none"
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class SineConfig:
    """The mean of two sine waves, with noise, to be forecast."""

    kind: Fixed[Literal["sine"]]
    steps: Fixed[Annotated[int, Field(ge=50)]] = 2000
    noise: Fixed[Annotated[float, Field(ge=0)]] = 0.1
    period: Fixed[Positive] = 25.0
    window: Fixed[Count] = 50
    horizon: Fixed[Count] = 10
    stride: Fixed[Count] = 1
    strategy: Fixed[Literal["direct", "recursive"]] = "direct"
    window_norm: Fixed[Literal["none", "last", "standard"]] = "none"
    season: Fixed[Count] = 25
    scaling: Fixed[Scaling] = "standard"
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]


SequenceConfig = SeriesConfig | TsConfig | TextConfig | Mnist1dConfig | AddingConfig | ParityConfig | SineConfig
ForecastConfig = SeriesConfig | SineConfig
