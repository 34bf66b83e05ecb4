"""Mixup and cutmix: two samples of a step share a place; values are blended, between classes the loss is shared out.

A loss that is linear in the target, such as cross-entropy, is the same both ways. Of values it may not be: the absolute
errors to two values are least at one of them, wherever between the two the sample lies.
"""

# B batch, H height, W width

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nnkit.augment.boxes import cut
from nnkit.config.sections.augmentation import AugmentationConfig


@final
@dataclass(frozen=True, slots=True)
class Half:
    """What samples are to answer, and how much that counts: (B, …) and (B,)."""

    target: Tensor
    weight: Tensor


def mixed(
    section: AugmentationConfig, inputs: Sequence[Tensor], half: Half, rng: np.random.Generator
) -> tuple[tuple[Tensor, ...], Half, Half]:
    """Return inputs (B, …) float32 that are mixed, and their targets: own and other ones.

    The weights of both are those of the samples, times the share of each: the loss of a sample is the sum over both.

    Args:
        section: with mixup, cutmix or both, which then take half of the samples each.
        inputs: numbers; with cutmix pictures (B, C, H, W).
        half: the samples' own targets and weights.
        rng: what is drawn from.

    Source: Zhang et al. 2018 (mixup), Yun et al. 2019 (CutMix); here with a share for each sample.
    """
    size, device = len(half.target), half.target.device
    order = torch.from_numpy(rng.permutation(size)).to(device)
    is_cut = _numbers(rng.random(size), device) < (0.5 if section.mixup else 1.0) * bool(section.cutmix)
    blend, area = (_shares(rng, alpha, size, device) for alpha in (section.mixup, section.cutmix))
    down, right = (_numbers(rng.random(size), device) for _ in range(2))
    share, found = blend, []
    for x in inputs:
        other = x.index_select(0, order)
        if section.cutmix:
            rows = (x.shape[2], x.shape[3])
            taken = cut(area, down, right, rows)
            share = torch.where(is_cut, 1 - taken.float().mean((1, 2)), blend)
            pasted = torch.where(taken[:, None], other, x)
        mix = torch.lerp(other, x, blend.view(-1, *[1] * (x.dim() - 1))) if section.mixup else x
        found.append(torch.where(is_cut[:, None, None, None], pasted, mix) if section.cutmix else mix)
    own = Half(half.target, half.weight * share)
    return tuple(found), own, Half(half.target.index_select(0, order), half.weight.index_select(0, order) * (1 - share))


def blended(own: Half, other: Half) -> Half:
    """Return one answer for both: values (B, K), each by its weight.

    Source: Zhang et al. 2018 (mixup), equation 1.
    """
    weight = own.weight + other.weight
    share = torch.where(
        weight > 0, other.weight / weight, torch.zeros_like(weight)
    )  # of two that weigh nothing: its own
    return Half(torch.lerp(own.target, other.target, share[:, None]), weight)


def _shares(rng: np.random.Generator, alpha: float, size: int, device: torch.device) -> Tensor:
    """Return shares (B,) in [0, 1] from Beta(alpha, alpha); 1 where alpha is 0."""
    return _numbers(rng.beta(alpha, alpha, size) if alpha else np.ones(size), device)


def _numbers(drawn: npt.NDArray[np.float64], device: torch.device) -> Tensor:
    return torch.from_numpy(drawn.astype(np.float32)).to(device)
