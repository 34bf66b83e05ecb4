"""Schema of the group `data`: one dataclass a reader; each has the settings that its reader and the splits read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Live, Name, Share

Scaling = Literal["standard", "minmax", "robust", "none"]
PixelScaling = Literal["standard", "minmax", "none"]
TargetScaling = Literal["auto", "standard", "none"]
ClassNames = list[str | int] | None


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class EmbeddedClassesConfig:
    """A classification set out of scikit-learn's wheel."""

    kind: Fixed[Literal["digits", "iris", "wine", "breast_cancer"]]
    scaling: Fixed[Scaling] = "standard"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class EmbeddedValuesConfig:
    """A regression set out of scikit-learn's wheel."""

    kind: Fixed[Literal["diabetes"]]
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class VisionConfig:
    """A set that torchvision reads; its test set is the published one, so only validation is split off."""

    kind: Fixed[Literal["mnist", "fashion_mnist", "cifar10"]]
    root: Live[Name | None] = None
    download: Live[bool] = False
    scaling: Fixed[PixelScaling] = "standard"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class ArrayConfig:
    """Arrays `x` and `y` of an .npz file; x is (N, F), (N, T, C) or (N, C, H, W)."""

    kind: Fixed[Literal["array"]]
    path: Live[Name]
    task: Fixed[Literal["auto", "classification", "regression"]] = "auto"
    input: Fixed[Literal["auto", "features", "series", "image"]] = "auto"
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TableConfig:
    """A CSV file with a header: one target column, all others numeric."""

    kind: Fixed[Literal["table"]]
    path: Live[Name]
    target: Fixed[Name]
    task: Fixed[Literal["auto", "classification", "regression"]] = "auto"
    scaling: Fixed[Scaling] = "standard"
    target_scaling: Fixed[TargetScaling] = "auto"
    classes: Fixed[ClassNames] = None
    limit: Fixed[Count | None] = None
    val_fraction: Fixed[Share]
    test_fraction: Fixed[Share]
    split_seed: Fixed[int] = 0


DataConfig = Annotated[
    EmbeddedClassesConfig | EmbeddedValuesConfig | VisionConfig | ArrayConfig | TableConfig,
    Field(discriminator="kind"),
]
