"""AutoAugment and RandAugment through torchvision's transforms, sample by sample what they draw, but many at a time.

torchvision draws one operation for a whole batch. Here each picture has its own; those with the same operation go
through it together. What an operation does, and how strongly, is torchvision's.
"""

# B batch, C channels (1 or 3), H height, W width

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Policy = Literal["autoaugment", "randaugment"]
SMALL = 64  # pixels a side from which on pictures are like ImageNet's; smaller ones are like CIFAR-10's


def by_policy(x: Tensor, policy: Policy, rng: np.random.Generator, rows: int) -> Tensor:
    """Return pictures (B, C, H, W) of values 0 to 255, each changed by two operations of its own.

    Args:
        x: float32.
        policy: whose operations.
        rng: what is drawn from.
        rows: B for numbers of its own for each picture, 1 for the same ones for all.

    Source: Cubuk et al. 2019 (AutoAugment), Cubuk et al. 2020 (RandAugment: 2 operations of magnitude 9).
    """
    transform = _transform(policy, min(x.shape[2:]) < SMALL)
    drawn = rng.random((rows, 5))
    pixels = x.round().clamp(0, 255).to(torch.uint8)
    for number in (0, 1):
        groups: dict[tuple[str, float], list[int]] = {}
        for row, numbers in enumerate(drawn):
            operation = _operation(transform, numbers, number, (x.shape[2], x.shape[3]))
            if operation is not None:
                groups.setdefault(operation, []).append(row)
        for operation, chosen in groups.items():
            places = slice(None) if rows == 1 else torch.tensor(chosen, device=x.device)
            pixels[places] = transform._apply_image_or_video_transform(
                pixels[places], *operation, interpolation=transform.interpolation, fill=transform._fill
            )
    return pixels.to(x.dtype)


@cache
def _transform(policy: Policy, is_small: bool) -> Any:
    from torchvision.transforms import AutoAugmentPolicy, v2  # an import of seconds

    if policy == "randaugment":
        return v2.RandAugment()
    return v2.AutoAugment(AutoAugmentPolicy.CIFAR10 if is_small else AutoAugmentPolicy.IMAGENET)


def _operation(transform: Any, numbers: Any, number: int, size: tuple[int, int]) -> tuple[str, float] | None:
    """Return the first or second operation of a picture, and its strength; None for none.

    Args:
        transform: torchvision's.
        numbers: (5,) in [0, 1): the policy, and for each of two operations whether it is done, or which, and its sign.
        number: 0 or 1.
        size: height and width in pixels.
    """
    space = transform._AUGMENTATION_SPACE
    choice, sign = numbers[1 + 2 * number], numbers[2 + 2 * number]
    if hasattr(transform, "_policies"):
        name, chance, place = transform._policies[int(numbers[0] * len(transform._policies))][number]
        if choice >= chance:
            return None
        bins = 10
    else:
        name, place, bins = list(space)[int(choice * len(space))], transform.magnitude, transform.num_magnitude_bins
    strengths, is_signed = space[name]
    magnitudes = strengths(bins, *size)
    strength = 0.0 if magnitudes is None else float(magnitudes[place])
    return name, -strength if is_signed and sign < 0.5 else strength
