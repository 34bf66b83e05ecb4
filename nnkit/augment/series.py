"""Operations on series: noise, a factor for each channel, a window that is stretched to the whole."""

# B batch, T steps, C channels

from __future__ import annotations

import torch
from torch import Tensor

from nnkit.augment.draws import Draws

FEWEST = 2  # steps of a window


def stretched(x: Tensor, draws: Draws, most: float, lengths: Tensor | None) -> Tensor:
    """Return series (B, T, C), each a window of its own that is stretched to all of its steps.

    Args:
        x: the series, padded behind their ends.
        draws: of the step.
        most: share of the steps that are cut off at most, in [0, 1).
        lengths: (B,) of the series; None where all have T steps.

    Source: Le Guennec et al. 2016 (window slicing), here with linear interpolation back to the old length.
    """
    steps = x.shape[1]
    whole = torch.full((len(x),), float(steps), device=x.device) if lengths is None else lengths.to(x.dtype)
    kept = torch.maximum(whole * (1 - draws["window"] * most), whole.clamp_max(FEWEST))
    first = draws["window_start"] * (whole - kept)
    there = torch.arange(steps, device=x.device)
    places = first[:, None] + there * ((kept - 1) / (whole - 1).clamp_min(1))[:, None]  # (B, T)
    before = places.floor().clamp_max(steps - 1)
    after = torch.minimum(before + 1, (whole - 1)[:, None])
    share = (places - before)[:, :, None]
    low, high = (x.gather(1, p.long()[:, :, None].expand_as(x)) for p in (before, after.clamp_min(0)))
    found = low + (high - low) * share
    return found if lengths is None else torch.where((there < whole[:, None])[:, :, None], found, x)


def multiplied(x: Tensor, normal: Tensor, deviation: float) -> Tensor:
    """Return series (B, T, C) with a factor for each channel, from normal numbers (B, C) or (1, C).

    Source: Um et al. 2017 (scaling).
    """
    return x * (1 + deviation * normal)[:, None, :]


def jittered(x: Tensor, normal: Tensor, deviation: float, lengths: Tensor | None) -> Tensor:
    """Return series (B, T, C) with noise on each value that there is, from normal numbers (B, T, C) or (1, T, C).

    Source: Um et al. 2017 (jittering).
    """
    noise = deviation * normal
    if lengths is not None:
        noise = noise * (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[:, :, None]
    return x + noise
