"""AutoAugment and RandAugment: each picture has operations of its own; those with the same one go together."""

# B batch, C channels (1 or 3), H height, W width

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnkit.augment.operations import SIGNED, operated, strength_of

Policy = Literal["autoaugment", "randaugment"]
Step = tuple[str, float, int]  # an operation, how likely it is done, and the place on its scale of ten
SMALL = 64  # pixels a side from which on pictures are like ImageNet's; smaller ones are like CIFAR-10's
PLACES, OF_RANDOM, RANDOM_PLACE = 10, 31, 9  # of AutoAugment's scales; of RandAugment's, and its place on them
RANDOM = (
    *("Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast"),
    *("Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize"),
)
OF_IMAGENET: tuple[tuple[Step, Step], ...] = (
    (("Posterize", 0.4, 8), ("Rotate", 0.6, 9)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
    (("Posterize", 0.6, 7), ("Posterize", 0.6, 6)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Equalize", 0.4, 0), ("Rotate", 0.8, 8)),
    (("Solarize", 0.6, 3), ("Equalize", 0.6, 0)),
    (("Posterize", 0.8, 5), ("Equalize", 1.0, 0)),
    (("Rotate", 0.2, 3), ("Solarize", 0.6, 8)),
    (("Equalize", 0.6, 0), ("Posterize", 0.4, 6)),
    (("Rotate", 0.8, 8), ("Color", 0.4, 0)),
    (("Rotate", 0.4, 9), ("Equalize", 0.6, 0)),
    (("Equalize", 0.0, 0), ("Equalize", 0.8, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Rotate", 0.8, 8), ("Color", 1.0, 2)),
    (("Color", 0.8, 8), ("Solarize", 0.8, 7)),
    (("Sharpness", 0.4, 7), ("Invert", 0.6, 0)),
    (("ShearX", 0.6, 5), ("Equalize", 1.0, 0)),
    (("Color", 0.4, 0), ("Equalize", 0.6, 0)),
    (("Equalize", 0.4, 0), ("Solarize", 0.2, 4)),
    (("Solarize", 0.6, 5), ("AutoContrast", 0.6, 0)),
    (("Invert", 0.6, 0), ("Equalize", 1.0, 0)),
    (("Color", 0.6, 4), ("Contrast", 1.0, 8)),
    (("Equalize", 0.8, 0), ("Equalize", 0.6, 0)),
)
OF_CIFAR: tuple[tuple[Step, Step], ...] = (
    (("Invert", 0.1, 0), ("Contrast", 0.2, 6)),
    (("Rotate", 0.7, 2), ("TranslateX", 0.3, 9)),
    (("Sharpness", 0.8, 1), ("Sharpness", 0.9, 3)),
    (("ShearY", 0.5, 8), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.5, 0), ("Equalize", 0.9, 0)),
    (("ShearY", 0.2, 7), ("Posterize", 0.3, 7)),
    (("Color", 0.4, 3), ("Brightness", 0.6, 7)),
    (("Sharpness", 0.3, 9), ("Brightness", 0.7, 9)),
    (("Equalize", 0.6, 0), ("Equalize", 0.5, 0)),
    (("Contrast", 0.6, 7), ("Sharpness", 0.6, 5)),
    (("Color", 0.7, 7), ("TranslateX", 0.5, 8)),
    (("Equalize", 0.3, 0), ("AutoContrast", 0.4, 0)),
    (("TranslateY", 0.4, 3), ("Sharpness", 0.2, 6)),
    (("Brightness", 0.9, 6), ("Color", 0.2, 8)),
    (("Solarize", 0.5, 2), ("Invert", 0.0, 0)),
    (("Equalize", 0.2, 0), ("AutoContrast", 0.6, 0)),
    (("Equalize", 0.2, 0), ("Equalize", 0.6, 0)),
    (("Color", 0.9, 9), ("Equalize", 0.6, 0)),
    (("AutoContrast", 0.8, 0), ("Solarize", 0.2, 8)),
    (("Brightness", 0.1, 3), ("Color", 0.7, 0)),
    (("Solarize", 0.4, 5), ("AutoContrast", 0.9, 0)),
    (("TranslateY", 0.9, 9), ("TranslateY", 0.7, 9)),
    (("AutoContrast", 0.9, 0), ("Solarize", 0.8, 3)),
    (("Equalize", 0.8, 0), ("Invert", 0.1, 0)),
    (("TranslateY", 0.7, 9), ("AutoContrast", 0.9, 0)),
)


def by_policy(x: Tensor, policy: Policy, rng: np.random.Generator, rows: int) -> Tensor:
    """Return pictures (B, C, H, W) of values 0 to 255, each changed by two operations of its own.

    Args:
        x: float32.
        policy: whose operations.
        rng: what is drawn from.
        rows: B for numbers of its own for each picture, 1 for the same ones for all.

    Source: Cubuk et al. 2019 (AutoAugment), Cubuk et al. 2020 (RandAugment: 2 operations of magnitude 9).
    """
    size = (x.shape[2], x.shape[3])
    drawn = rng.random((rows, 5))
    pixels = x.round().clamp(0, 255).to(torch.uint8)
    for number in (0, 1):
        groups: dict[tuple[str, float], list[int]] = {}
        for row, numbers in enumerate(drawn):
            operation = _operation(policy, numbers, number, size)
            if operation is not None:
                groups.setdefault(operation, []).append(row)
        for operation, chosen in groups.items():
            places = slice(None) if rows == 1 else torch.tensor(chosen, device=x.device)
            pixels[places] = operated(pixels[places], *operation)
    return pixels.to(x.dtype)


def _operation(
    policy: Policy, numbers: npt.NDArray[np.float64], number: int, size: tuple[int, int]
) -> tuple[str, float] | None:
    """Return the first or second operation of a picture, and its strength; None for none.

    Args:
        policy: whose.
        numbers: (5,) in [0, 1): which pair, and for each of two operations whether it is done, or which, and its sign.
        number: 0 or 1.
        size: height and width in pixels.
    """
    choice, sign = numbers[1 + 2 * number], numbers[2 + 2 * number]
    if policy == "randaugment":
        name, chance, place, places = RANDOM[int(choice * len(RANDOM))], 1.0, RANDOM_PLACE, OF_RANDOM
    else:
        pairs, places = OF_CIFAR if min(size) < SMALL else OF_IMAGENET, PLACES
        name, chance, place = pairs[int(numbers[0] * len(pairs))][number]
    if choice >= chance:
        return None
    strength = strength_of(name, place, places, size)
    return name, -strength if name in SIGNED and sign < 0.5 else strength
