"""Checks of augmentation: of the words alone, and of the words against the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from nnkit.config.schema import Config
from nnkit.config.sections.augmentation import (
    MIXING,
    OF_BYTES,
    OF_COLOURS,
    OF_IMAGES,
    OF_SERIES,
    AugmentationConfig,
)
from nnkit.config.sections.data import (
    IdxConfig,
    ImagesConfig,
    MasksConfig,
    TableConfig,
    TorchvisionConfig,
    VisionConfig,
)
from nnkit.config.sections.model import NaiveConfig
from nnkit.config.sections.sequences import ForecastConfig, SequenceConfig, TextConfig
from nnkit.errors import Problem
from nnkit.spec import DataSpec

OFF = "augmentation=none"
PICTURES = (VisionConfig, TorchvisionConfig, ImagesConfig, IdxConfig, MasksConfig)
OF_POLICY = (1, 3)  # channels that torchvision's operations on colours take
GREY = ("digits", "mnist", "fashion_mnist", "idx")
ALL = tuple(field.name for field in fields(AugmentationConfig))


def augmentation_problems(config: Config) -> Iterator[Problem]:
    """Yield what cannot be augmented, whatever the data."""
    batching = config.batching
    for name in MIXING:
        if not getattr(config.augmentation, name):
            continue
        key = f"augmentation.{name}"
        if batching.stateful:
            text = f"{key} mixes samples, but batching.stateful=true carries the state of each to the next one"
            yield Problem(text, f"{key}=0")
        if batching.batch_size == 1 and batching.accumulate == 1:
            text = f"{key} mixes the samples of a step, but batching.batch_size=1 has one only"
            yield Problem(text, "batching.batch_size=64")


def unread_of_augmentation(config: Config) -> dict[str, str]:
    """Return the switches that mean nothing for the data, as far as words can tell, and why."""
    kind, section = _kind(config), config.augmentation
    if isinstance(config.model, NaiveConfig):
        return _keys(ALL, section, "model=naive")
    if kind == "image":
        unread = _keys(OF_SERIES, section, f"data={config.data.kind}, which has pictures,")
        is_grey = config.data.kind in GREY or getattr(config.data, "channels", "auto") == 1
        return unread | (_keys(OF_COLOURS, section, f"data={config.data.kind}, which is grey,") if is_grey else {})
    if kind == "series":
        return _keys(OF_IMAGES, section, f"data={config.data.kind}, which has series,")
    if kind == "tokens":
        return _keys(ALL, section, f"data={config.data.kind}")
    if kind == "features":
        return _keys([name for name in ALL if name != "mixup"], section, f"data={config.data.kind}, which has a table,")
    return {}


def _kind(config: Config) -> str:
    """Return what the samples are, as far as words can tell; empty for arrays, which may be anything."""
    data = config.data
    if isinstance(data, PICTURES) or data.kind == "digits":
        return "image"
    if isinstance(data, TextConfig):
        return "tokens"
    if isinstance(data, SequenceConfig):
        return "series"
    is_table = isinstance(data, TableConfig) or data.kind in ("iris", "wine", "breast_cancer", "diabetes")
    return "features" if is_table else ""


def _keys(names: tuple[str, ...] | list[str], section: AugmentationConfig, by: str) -> dict[str, str]:
    """Return what nobody reads: of a section of which nothing is left, the choice of it, too."""
    keys = {f"augmentation.{name}": by for name in names}
    is_empty = section.switched_on and not section.switched_on.keys() - set(names)
    return {"augmentation": by} if is_empty else keys


def augmentation_data_problems(config: Config, spec: DataSpec, *, is_bytes: bool) -> Iterator[Problem]:
    """Yield the switches that do not fit the data.

    Args:
        config: checked alone.
        spec: of the data.
        is_bytes: whether the values of pictures are 0 to 255.
    """
    on, given, data = config.augmentation.switched_on, spec.inputs[0], f"data={config.data.kind}"
    if not on or isinstance(config.model, NaiveConfig):
        return
    wanted = {"image": {*OF_IMAGES, "mixup"}, "series": {*OF_SERIES, "mixup"}, "features": {"mixup"}}
    fitting = wanted.get(given.kind, set())
    if given.kind == "image" and given.shape[0] != 3:
        fitting = fitting - set(OF_COLOURS)
    if not on.keys() & fitting:
        shape = "x".join(str(n) for n in given.shape)
        names = ", ".join(on)
        yield Problem(f"augmentation ({names}) changes nothing of data={config.data.kind}: {given.kind} {shape}", OFF)
    for name in on.keys() & fitting & set(OF_BYTES):
        if not is_bytes:
            text = f"augmentation.{name} is for pictures of values 0 to 255 (uint8), but those of {data} are others"
            yield Problem(text, f"augmentation.{name}={'none' if name == 'policy' else 0}")
    if "policy" in on and given.kind == "image":
        yield from _policy_problems(spec, data)
    if given.kind == "image" and config.augmentation.crop >= min(given.shape[1:]):
        least = min(given.shape[1:])
        text = f"augmentation.crop={config.augmentation.crop} must be less than the {least} pixels of a side of {data}"
        yield Problem(text, f"augmentation.crop={least // 8}")
    if on.keys() & fitting & set(MIXING):
        yield from _mixing_problems(config, spec)
    if given.kind == "series":
        yield from _series_problems(config, spec)


def _policy_problems(spec: DataSpec, data: str) -> Iterator[Problem]:
    """Yield why torchvision's operations cannot be done."""
    channels, hint = spec.inputs[0].shape[0], "augmentation.policy=none, with rotation, translate, zoom and the like"
    if spec.is_per_pixel:
        yield Problem(f"augmentation.policy moves the pixels of {data}, but cannot move their masks", hint)
    if channels not in OF_POLICY:
        text = f"augmentation.policy is for grey or coloured pictures (1 or 3 channels), but those of {data} have"
        yield Problem(f"{text} {channels}", hint)


def _mixing_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    """Yield why samples cannot be mixed: an answer for half of each has to make sense."""
    data, kinds = f"data={config.data.kind}", {given.kind for given in spec.inputs}
    for name in MIXING:
        if not getattr(config.augmentation, name):
            continue
        key, why = f"augmentation.{name}", ""
        if spec.is_per_step:
            why = f"{data} has an answer for each step"
        elif spec.task not in ("classification", "multilabel", "regression"):
            why = f"{data} is a task of {spec.task}"
        elif "categories" in kinds:
            why = f"{data} has categories that are embedded, of which there is no half"
        elif "lengths" in kinds:
            why = f"the sequences of {data} vary in length"
        if why:
            yield Problem(f"{key} mixes two samples and their answers, but {why}", f"{key}=0")


def _series_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    """Yield the switches after which a target would be another one."""
    section, data = config.augmentation, f"data={config.data.kind}"
    if section.window_crop and (spec.is_per_step or spec.task == "forecast"):
        what = "an answer for each step" if spec.is_per_step else "a forecast"
        text = f"augmentation.window_crop moves the steps, but {data} asks for {what}"
        yield Problem(text, "augmentation.window_crop=0")
    if section.scaling and isinstance(config.data, ForecastConfig):
        text = f"augmentation.scaling changes what goes in, but {data} asks for what follows in its own units"
        yield Problem(text, "augmentation.scaling=0")
