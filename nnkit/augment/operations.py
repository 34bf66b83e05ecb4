"""The operations of AutoAugment and RandAugment: torchvision's public functions, and how strong each can be."""

# B batch, C channels (1 or 3), H height, W width

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor

SIGNED = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate"),
    *("Brightness", "Color", "Contrast", "Sharpness"),
)
_MOST = {
    "ShearX": 0.3,
    "ShearY": 0.3,
    "Rotate": 30.0,
    "Brightness": 0.9,
    "Color": 0.9,
    "Contrast": 0.9,
    "Sharpness": 0.9,
}
_FARTHEST = 150 / 331  # of a side, for TranslateX and TranslateY: in the papers 150 of 331 pixels
_WHITE = 255.0


def strength_of(name: str, place: int, places: int, size: tuple[int, int]) -> float:
    """Return how strong an operation is at a place of its scale, without a sign; 0 where it has no scale.

    Args:
        name: of the operation.
        place: from 0.
        places: of the scale.
        size: height and width in pixels.

    Source: Cubuk et al. 2019, table 6, in torchvision's numbers.
    """
    height, width = size
    most = {**_MOST, "TranslateX": _FARTHEST * width, "TranslateY": _FARTHEST * height}
    if name in most:
        return float(torch.linspace(0.0, most[name], places)[place])
    if name == "Posterize":
        return float((8 - torch.arange(places) / ((places - 1) / 4)).round()[place])
    return float(torch.linspace(1.0, 0.0, places)[place]) if name == "Solarize" else 0.0


def operated(x: Tensor, name: str, strength: float) -> Tensor:
    """Return pictures (B, C, H, W) uint8 after one operation."""
    return _operations()[name](x, strength)


@cache
def _operations() -> Mapping[str, Callable[[Tensor, float], Tensor]]:
    from torchvision.transforms.v2 import functional as tv  # an import of seconds

    def sheared(x: Tensor, right: float, down: float) -> Tensor:
        degrees = [math.degrees(math.atan(each)) for each in (right, down)]
        done: Tensor = tv.affine(x, angle=0.0, translate=[0, 0], scale=1.0, shear=degrees, center=[0, 0])
        return done

    def moved(x: Tensor, right: float, down: float) -> Tensor:
        done: Tensor = tv.affine(x, angle=0.0, translate=[int(right), int(down)], scale=1.0, shear=[0.0, 0.0])
        return done

    return {
        "Identity": lambda x, _: x,
        "ShearX": lambda x, strength: sheared(x, strength, 0.0),
        "ShearY": lambda x, strength: sheared(x, 0.0, strength),
        "TranslateX": lambda x, strength: moved(x, strength, 0.0),
        "TranslateY": lambda x, strength: moved(x, 0.0, strength),
        "Rotate": tv.rotate,
        "Brightness": lambda x, strength: tv.adjust_brightness(x, 1 + strength),
        "Color": lambda x, strength: tv.adjust_saturation(x, 1 + strength),
        "Contrast": lambda x, strength: tv.adjust_contrast(x, 1 + strength),
        "Sharpness": lambda x, strength: tv.adjust_sharpness(x, 1 + strength),
        "Posterize": lambda x, strength: tv.posterize(x, int(strength)),
        "Solarize": lambda x, strength: tv.solarize(x, _WHITE * strength),
        "AutoContrast": lambda x, _: tv.autocontrast(x),
        "Equalize": lambda x, _: tv.equalize(x),
        "Invert": lambda x, _: tv.invert(x),
    }
