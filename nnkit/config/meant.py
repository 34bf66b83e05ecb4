"""What was meant by a value that a setting does not take, by what other programs call it: never what undoes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_origin

from nnkit.config.architectures import LISTED
from nnkit.config.fields import Leaf, least_length, plain_types, upper_end

_HALF = dict.fromkeys(("16", "float16", "half", "16-mixed", "16-true", "fp16-mixed"), "fp16")
_BRAIN = dict.fromkeys(("bfloat16", "bf16-mixed", "bf16-true", "true", "mixed"), "bf16")
_FULL = dict.fromkeys(("32", "float32", "single", "full", "32-true", "false"), "fp32")
_WEIGHTS = {"null": "none", "false": "none", "no": "none", "true": "DEFAULT", "yes": "DEFAULT"}
# What is usual of settings that are numbers; also for a number that is out of their range.
USUAL: Mapping[str, str] = {
    f"augmentation.{name}": usual
    for name, usual in {
        "flip": "0.5",
        "flip_vertical": "0.5",
        "crop": "4",
        "rotation": "10",
        "translate": "0.1",
        "zoom": "0.1",
        "brightness": "0.2",
        "contrast": "0.2",
        "saturation": "0.2",
        "hue": "0.05",
        "erasing": "0.25",
        "jitter": "0.03",
        "scaling": "0.1",
        "window_crop": "0.1",
        "mixup": "0.2",
        "cutmix": "1",
    }.items()
}
# A value by the setting and by the word that was typed. A switch that is turned on gets what is usual.
MEANT: Mapping[str, Mapping[str, str]] = {
    "trainer.device": {"gpu": "cuda", "cuda:0": "cuda", "metal": "mps"},
    "trainer.precision": {**_HALF, **_BRAIN, **_FULL},
    "model.weights": _WEIGHTS,
    "model.freeze": {"true": "backbone", "all": "backbone", "false": "none", "null": "none"},
    "augmentation.policy": {"true": "randaugment"},
    **{key: {"true": usual} for key, usual in USUAL.items()},
}
EXAMPLES: Mapping[str, str] = {"model.arch": f"such as model.arch=resnet34; {LISTED}"}  # of settings that are missing
LEAST_PERCENT = 5  # below it a number is rather a slip


def meant_value(key: str, value: Any, shown: str, leaf: Leaf) -> str | None:
    """Return what is to be typed for a value that a setting does not take; None where nobody can tell.

    Args:
        key: of the setting.
        value: that was given.
        shown: it, as it is written.
        leaf: the setting.
    """
    word = MEANT.get(key, {}).get(shown.lower())
    if word is not None:
        return f"{key}={word}"
    if _is_number(value) and (length := least_length(leaf.annotation)) > 1:
        return f"'{key}=[{','.join([shown] * length)}]'"
    if float not in plain_types(leaf.annotation):
        return None
    end = upper_end(leaf.annotation)
    if _is_number(value) and end == 1 and LEAST_PERCENT <= value < 100:
        return f"{key}={value / 100:g}"
    if _is_number(value) and key in USUAL:
        return f"{key}={USUAL[key]}"
    is_span = isinstance(value, list) and len(value) == 2 and all(_is_number(each) for each in value)
    takes_lists = any(get_origin(each) is list for each in plain_types(leaf.annotation))
    if is_span and not takes_lists and 0 < (most := max(abs(each) for each in value)) <= (end or most):
        return f"{key}={most:g}"  # by so much to either side
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
