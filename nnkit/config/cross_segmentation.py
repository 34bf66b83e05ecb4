"""Checks of masks, and of networks that answer for each pixel."""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.config.schema import Config
from nnkit.config.sections.data import DataConfig, MasksConfig
from nnkit.config.sections.loss import DiceConfig
from nnkit.config.sections.model import UNetConfig
from nnkit.errors import Problem
from nnkit.spec import DataSpec

OF_MASKS = ("mean_iou", "mean_dice", "foreground_iou", "picture_iou", "pixel_accuracy")
ONE_ANSWER = frozenset({"linear", "mlp", "cnn", "rnn", "lstm", "gru", "naive"})  # a picture, not a pixel
OF_FILES = ("masks", "mask_suffix")
OF_ARRAYS = ("image_array", "mask_array", "name_array")
DEEPEST = 10  # levels, each half as large as the one before: beyond 1,024 pixels there is nothing to halve


def mask_problems(config: Config) -> Iterator[Problem]:
    """Yield the settings of masks, and of the network for them, that fight each other."""
    data, model, loss = config.data, config.model, config.loss
    if isinstance(model, UNetConfig):
        if model.kernel_size % 2 == 0:
            text = f"model.kernel_size must be odd for model=unet, whose maps keep their size, got {model.kernel_size}"
            yield Problem(text, f"model.kernel_size={model.kernel_size + 1}")
        if len(model.channels) > DEEPEST:
            text = f"model.channels has {len(model.channels)} levels, each half as large as the one before"
            yield Problem(f"{text}: at most {DEEPEST}", "model.channels=[16,32,64,128]")
    if isinstance(loss, DiceConfig) and model.kind in ONE_ANSWER:
        yield Problem(f"loss=dice is for masks, but model={model.kind} gives one answer a sample", "model=unet")
    if not isinstance(data, MasksConfig):
        return
    if not data.is_arrays and data.masks is None:
        text = f"data=masks needs the folder of the masks of data.images={data.images}, but data.masks is null"
        yield Problem(text, "data.masks=FOLDER, or data.images=FILE.npz")
    if isinstance(data.values, list):
        yield from _value_problems(data, data.values)
    elif data.values == "any" and data.names is not None and len(data.names) != 2:
        yield Problem(f"data.values=any makes two classes, but data.names has {len(data.names)}", "data.names=[no,yes]")
    if data.values == "any" and data.ignore == 0:
        yield Problem("data.values=any takes 0 for the background, but data.ignore is 0", "data.ignore=null")
    double = next((name for name in data.names or [] if (data.names or []).count(name) > 1), None)
    if double is not None:
        yield Problem(f"data.names has {double} twice", "one name a class")


def _value_problems(data: MasksConfig, values: list[int]) -> Iterator[Problem]:
    double = next((value for value in values if values.count(value) > 1), None)
    if double is not None:
        yield Problem(f"data.values has {double} twice", "one value a class")
    if max(values) > 0xFFFF or len(values) > 0xFF:
        yield Problem("data.values must be at most 255 values up to 65535", "data.values=auto")
    if data.ignore in values:
        yield Problem(f"{data.ignore} is in data.values and is data.ignore", "data.ignore=null")
    if data.names is not None and len(data.names) != len(values):
        text = f"data.names must have a name for each of {len(values)} data.values, got {len(data.names)}"
        yield Problem(text, "data.names=null")


def unread_of_masks(data: DataConfig) -> dict[str, str]:
    """Return the settings of masks that nobody reads, and why."""
    if not isinstance(data, MasksConfig):
        return {}
    if data.is_arrays:
        return dict.fromkeys((f"data.{name}" for name in OF_FILES), "an .npz file")
    return dict.fromkeys((f"data.{name}" for name in OF_ARRAYS), "a folder of pictures")


def segmentation_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    """Yield what in the words does not fit masks, or data that has none."""
    model, loss, data = config.model, config.loss, config.data.kind
    if not spec.is_per_pixel:
        if isinstance(model, UNetConfig):
            text = f"model=unet gives a class for each pixel, but data={data} is for {spec.task}"
            other = "cnn" if spec.inputs[0].kind == "image" else "mlp"
            yield Problem(text, f"model={other}")
        if loss.kind == "dice":
            right = "auto" if not isinstance(model, UNetConfig) else "cross_entropy"
            yield Problem(f"loss=dice is for masks, but data={data} is for {spec.task}", f"loss={right}")
        return
    if model.kind in ONE_ANSWER:
        text = f"model={model.kind} gives one answer a picture, but data={data} has a class for each pixel"
        yield Problem(text, "model=unet")
    if loss.kind == "bce" and spec.num_classes == 2:  # of more classes it is told elsewhere
        yield Problem(f"loss=bce is for one output a sample, but data={data} has a class for each pixel", "loss=dice")
