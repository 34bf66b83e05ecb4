"""Schema of the group `data`: one dataclass a reader; each has the settings that its reader and the splits read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Limit, Live, Name, Positive, Share, WholeNumber
from nnkit.config.sections.sequences import (
    AddingConfig,
    ClassNames,
    Mnist1dConfig,
    Names,
    ParityConfig,
    Scaling,
    SeriesConfig,
    SineConfig,
    TargetScaling,
    TextConfig,
    TsConfig,
)
from nnkit.config.sent import OWN_CACHE

PixelScaling = Literal["auto", "standard", "minmax", "none", "weights"]
TaskName = Literal["auto", "classification", "multilabel", "regression"]
StepTaskName = Literal["auto", "classification", "multilabel", "regression", "tagging", "segmentation"]
Size = Annotated[list[Count], Field(min_length=2, max_length=2)]
Channels = Literal[1, 3]
Resizing = Literal["squash", "crop", "pad"]
OnBad = Literal["error", "skip"]
# Settings that name files and folders; they are kept absolute.
PATHS = ("path", "target_path", "val_path", "test_path", "test_target_path", "root", "images", "masks")
# What a cell may hold where there is no value: what pandas takes for one, and the question mark of the UCI sets.
MISSING_VALUES = ("", "?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>")


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class EmbeddedClassesConfig:
    """A classification set out of scikit-learn's wheel."""

    kind: Fixed[Literal["digits", "iris", "wine", "breast_cancer"]]
    scaling: Fixed[Scaling] = "standard"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class EmbeddedValuesConfig:
    """A regression set out of scikit-learn's wheel."""

    kind: Fixed[Literal["diabetes"]]
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class VisionConfig:
    """A set that torchvision reads; its test set is the published one, so only validation is split off."""

    kind: Fixed[Literal["mnist", "fashion_mnist", "cifar10"]]
    root: Live[Name | None] = None
    download: Live[bool] = False
    scaling: Fixed[PixelScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ArrayConfig:
    """Arrays `x` and `y` of an .npz file, or an .npy file each; x is (N, F), (N, T, C) or (N, C, H, W)."""

    kind: Fixed[Literal["array"]]
    path: Live[Name]
    target_path: Live[Name | None] = None
    task: Fixed[StepTaskName] = "auto"
    input: Fixed[Literal["auto", "features", "series", "image"]] = "auto"
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class IdxConfig:
    """A file of images and a file of labels in the IDX format of MNIST, perhaps with a test pair."""

    kind: Fixed[Literal["idx"]]
    path: Live[Name]
    target_path: Live[Name]
    test_path: Live[Name | None] = None
    test_target_path: Live[Name | None] = None
    scaling: Fixed[PixelScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TorchvisionConfig:
    """Any classification set of torchvision by its name there."""

    kind: Fixed[Literal["torchvision"]]
    dataset: Fixed[Name]
    root: Live[Name | None] = None
    download: Live[bool] = False
    size: Fixed[Literal["auto"] | Size] = "auto"
    channels: Fixed[Literal["auto"] | Channels] = "auto"
    resize: Fixed[Resizing] = "squash"
    scaling: Fixed[PixelScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ImagesConfig:
    """Picture files: a folder for each class, or a table of paths and labels."""

    kind: Fixed[Literal["images"]]
    path: Live[Name]
    root: Live[Name | None] = None
    path_column: Fixed[Name] = "path"
    target: Fixed[Name] = "label"
    split_column: Fixed[Name | None] = None
    size: Fixed[Literal["auto"] | Size] = "auto"
    channels: Fixed[Literal["auto"] | Channels] = "auto"
    resize: Fixed[Resizing] = "squash"
    on_bad: Fixed[OnBad] = "error"
    cache: Live[Name | None] = OWN_CACHE
    in_memory: Live[Literal["auto"] | bool] = "auto"
    workers: Live[Literal["auto"] | WholeNumber] = "auto"
    worker_timeout_s: Live[Positive] = 300.0
    scaling: Fixed[PixelScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class MasksConfig:
    """Pictures with a mask each, whose values are the classes of their pixels."""

    kind: Fixed[Literal["masks"]]
    images: Live[Name]
    masks: Live[Name | None] = None
    mask_suffix: Fixed[str] = ""
    image_array: Fixed[Name] = "x"
    mask_array: Fixed[Name] = "y"
    name_array: Fixed[Name | None] = None
    values: Fixed[Literal["auto", "any"] | Annotated[list[WholeNumber], Field(min_length=2)]] = "auto"
    names: Fixed[Annotated[list[Name], Field(min_length=2)] | None] = None
    ignore: Fixed[WholeNumber | None] = None
    size: Fixed[Literal["auto"] | Size] = "auto"
    channels: Fixed[Literal["auto"] | Channels] = "auto"
    resize: Fixed[Resizing] = "squash"
    scaling: Fixed[PixelScaling] = "auto"
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0

    @property
    def is_arrays(self) -> bool:
        """Whether pictures and masks are arrays of one file."""
        return self.images.lower().endswith(".npz")


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TableConfig:
    """CSV, TSV or Parquet files with columns of any kind."""

    kind: Fixed[Literal["table"]]
    path: Live[Name | Names]
    val_path: Live[Name | Names | None] = None
    test_path: Live[Name | Names | None] = None
    target: Fixed[Name | Names]
    target_separator: Fixed[Name | None] = None
    task: Fixed[TaskName] = "auto"
    numeric: Fixed[list[Name]] = field(default_factory=list)
    categorical: Fixed[list[Name]] = field(default_factory=list)
    drop: Fixed[list[Name]] = field(default_factory=list)
    id: Fixed[Name | Names | None] = None
    sample_weight: Fixed[Name | None] = None
    group: Fixed[Name | None] = None
    split_column: Fixed[Name | None] = None
    delimiter: Fixed[Name] = "auto"
    header: Fixed[Literal["auto"] | bool] = "auto"
    names: Fixed[Names | None] = None
    missing_values: Fixed[list[str]] = field(default_factory=lambda: list(MISSING_VALUES))
    strip: Fixed[str] = " "
    comment: Fixed[Name | None] = None
    encoding: Fixed[Name] = "utf-8"
    on_bad: Fixed[OnBad] = "error"
    missing_numeric: Fixed[Literal["mean", "median", "most_frequent", "constant", "indicator", "error"]] = "mean"
    missing_categorical: Fixed[Literal["indicator", "most_frequent", "constant", "error"]] = "indicator"
    fill_value: Fixed[float] = 0.0
    categories: Fixed[Literal["one_hot", "embedding"]] = "one_hot"
    max_categories: Fixed[Count] = 100
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0

    @property
    def targets(self) -> list[str]:
        """The names of the target columns."""
        return [self.target] if isinstance(self.target, str) else list(self.target)

    @property
    def ids(self) -> list[str]:
        """The columns that name the rows."""
        return [] if self.id is None else [self.id] if isinstance(self.id, str) else list(self.id)

    @property
    def roles(self) -> dict[str, list[str]]:
        """The columns that are named because they have a part to play, by that part."""
        single = {name: getattr(self, name) for name in ("sample_weight", "group", "split_column")}
        return {
            "target": self.targets,
            "id": self.ids,
            "drop": list(self.drop),
            **{name: [] if column is None else [column] for name, column in single.items()},
        }


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeDataConfig:
    """A function of the user's own that returns arrays: x, y and perhaps more."""

    kind: Fixed[Literal["code"]]
    code: Fixed[Name]
    kwargs: Fixed[dict[str, Any]] = field(default_factory=dict)
    task: Fixed[StepTaskName] = "auto"
    input: Fixed[Literal["auto", "features", "series", "image"]] = "auto"
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Limit] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share | None]
    split_seed: Fixed[int] = 0


DataConfig = Annotated[
    EmbeddedClassesConfig
    | EmbeddedValuesConfig
    | VisionConfig
    | TorchvisionConfig
    | ImagesConfig
    | MasksConfig
    | IdxConfig
    | ArrayConfig
    | TableConfig
    | CodeDataConfig
    | SeriesConfig
    | TsConfig
    | TextConfig
    | Mnist1dConfig
    | AddingConfig
    | ParityConfig
    | SineConfig,
    Field(discriminator="kind"),
]
