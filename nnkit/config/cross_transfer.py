"""Checks of what a network starts from and what of it learns: of the words alone, and against the data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nnkit.config.architectures import (
    ARCHITECTURES,
    CLASSIFIERS,
    LISTED,
    SEGMENTERS,
    is_segmenter,
    nearest_architecture,
    side_multiple,
    smallest_side,
)
from nnkit.config.schema import Config
from nnkit.config.sections.model import DEFAULT_WEIGHTS, NO_WEIGHTS, LinearConfig, PretrainedConfig, TrainableConfig
from nnkit.errors import Problem
from nnkit.spec import DataSpec

LONGEST_PATTERN = 200
RATES = ("backbone_lr_factor", "layer_decay")


def transfer_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with first values and freezing, whatever the data."""
    model = config.model
    if not isinstance(model, TrainableConfig):
        return
    is_published = isinstance(model, PretrainedConfig)
    if not is_published and model.weights == DEFAULT_WEIGHTS:
        told = f"model.weights={DEFAULT_WEIGHTS} is for torchvision's networks, but model={model.kind} is nnkit's own"
        yield Problem(told, "model.weights=FILE, or model=resnet18")
    elif model.weights != DEFAULT_WEIGHTS and model.weights.lower() in ("default", "imagenet", "true", "yes"):
        yield Problem(f"model.weights must be DEFAULT, none or a file, got '{model.weights}'", "model.weights=DEFAULT")
    elif model.weights.lower() in ("null", "false", "no") or (model.weights != NO_WEIGHTS and model.weights == "None"):
        yield Problem(f"model.weights must be DEFAULT, none or a file, got '{model.weights}'", "model.weights=none")
    if model.from_run is None and model.weights not in (NO_WEIGHTS, DEFAULT_WEIGHTS):
        yield from _folder_problems(model.weights)
    if not is_published and getattr(config.data, "scaling", "") == "weights":
        told = f"data.scaling=weights is for networks with published weights, but model={model.kind} has none"
        yield Problem(told, "data.scaling=auto")
    if isinstance(model.freeze, str) and model.freeze not in ("none", "backbone"):
        yield from _pattern_problems(model.freeze)
    if isinstance(model, PretrainedConfig):
        yield from _arch_problems(model, SEGMENTERS if config.data.kind == "masks" else CLASSIFIERS)


def _folder_problems(weights: str) -> Iterator[Problem]:
    folder = Path(weights).expanduser()
    if folder.is_dir():
        is_run = (folder / "run.json").is_file()
        hint = f"model.from_run={weights}" if is_run else "a .safetensors or .pth file in it"
        yield Problem(f"model.weights={weights} is a folder, not a file of weights", hint)


def _pattern_problems(pattern: str) -> Iterator[Problem]:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        yield Problem(f"model.freeze={pattern} is no pattern (regex): {error}", "model.freeze=backbone")
        return
    if len(pattern) > LONGEST_PATTERN:
        yield Problem(f"model.freeze is a pattern of {len(pattern)} characters, more than {LONGEST_PATTERN}")


def _arch_problems(model: PretrainedConfig, fitting: Sequence[str]) -> Iterator[Problem]:
    arch, side = model.arch, model.input_size
    if arch not in ARCHITECTURES:
        near = nearest_architecture(arch, fitting)
        hint = f"model.arch={near}" if near else f"such as model.arch={fitting[0]}; {LISTED}"
        yield Problem(f"model.arch must be a network of torchvision, got '{arch}'", hint)
    elif isinstance(side, int):
        yield from _side_problems(arch, side, side, f"model.input_size={side}")


def _side_problems(arch: str, height: int, width: int, got: str) -> Iterator[Problem]:
    least, multiple = smallest_side(arch), side_multiple(arch)
    if min(height, width) < least:
        yield Problem(
            f"model.arch={arch} needs pictures of at least {least} pixels, got {got}", "model.input_size=auto"
        )
    elif multiple is not None and (height != width or height % multiple):
        told = f"model.arch={arch} needs square pictures whose side is a multiple of {multiple}, got {got}"
        yield Problem(told, "model.input_size=auto")


def is_side(arch: str, side: int) -> bool:
    """Tell whether a network takes pictures with sides of so many pixels."""
    return not any(_side_problems(arch, side, side, ""))


def unread_of_transfer(config: Config) -> dict[str, str]:
    """Return the settings of first values and freezing that nobody reads, and why."""
    model: Any = config.model
    unread: dict[str, str] = {}
    if not isinstance(model, TrainableConfig) or isinstance(model, LinearConfig):
        unread |= {f"optimizer.{name}": f"model={model.kind}" for name in RATES}
    if not isinstance(model, TrainableConfig):
        return unread
    if model.from_run is not None:
        unread["model.weights"] = "model.from_run"
    if model.freeze == "none":
        unread["model.unfreeze_after"] = "model.freeze=none"
    if model.unfreeze_after is None:
        unread["model.unfreeze_layers"] = "model.unfreeze_after=null"
        if model.freeze == "backbone":  # the head alone learns, at the whole rate
            unread |= {f"optimizer.{name}": "model.freeze=backbone" for name in RATES}
    return unread


def transfer_data_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    """Yield what in the words about torchvision's networks does not fit the data."""
    model, given = config.model, spec.inputs[0]
    if not isinstance(model, PretrainedConfig):
        return
    if len(spec.inputs) > 1 or given.kind != "image" or given.shape[0] not in (1, 3):
        what = f"{given.kind} of {_shown(given.shape)}"
        told = f"model.arch={model.arch} takes pictures of 1 or 3 channels, got {what} from data={config.data.kind}"
        yield Problem(told, "model=mlp, or model=cnn")
        return
    if is_segmenter(model.arch) != spec.is_per_pixel:
        answers = "each pixel" if is_segmenter(model.arch) else "a whole picture"
        hint = "model.arch=resnet18" if is_segmenter(model.arch) else "model.arch=fcn_resnet50, or model=unet"
        yield Problem(f"model.arch={model.arch} answers for {answers}, but the task is {spec.task}", hint)
    elif model.input_size == "none":
        height, width = given.shape[1:]
        yield from _side_problems(model.arch, height, width, f"{height}x{width} from data={config.data.kind}")


def _shown(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
