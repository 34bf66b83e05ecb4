"""Configs and specs in a few words."""

from __future__ import annotations

from functools import cache

from torch import nn

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.schema import Config
from nnkit.models import build
from nnkit.spec import DataSpec, InputSpec, TargetSpec

THREE_CLASSES = TargetSpec(("class",), ("a", "b", "c"))


@cache
def config_of(*words: str) -> Config:
    return check(compose(words))


def features(size: int) -> DataSpec:
    return DataSpec("classification", (InputSpec("x", "features", (size,)),), THREE_CLASSES)


def series(steps: int, channels: int) -> DataSpec:
    return DataSpec("classification", (InputSpec("x", "series", (steps, channels)),), THREE_CLASSES)


def images(channels: int, height: int, width: int) -> DataSpec:
    return DataSpec("classification", (InputSpec("x", "image", (channels, height, width)),), THREE_CLASSES)


def built(spec: DataSpec, *words: str) -> nn.Module:
    return build(config_of(*words), spec, spec.num_targets)
