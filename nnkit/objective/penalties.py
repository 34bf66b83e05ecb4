"""Penalties on the weights, and the limit on their norm. Biases and norm scales (1-D) are exempt from all."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def l1_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """Return strength * sum |w|.

    Args:
        weights: at least one tensor of any shape.
        strength: >= 0, in loss units per unit of |w|.

    Returns:
        Scalar (), dtype and device of the weights.

    Source: Tibshirani 1996 (lasso), penalised form.
    """
    return strength * torch.stack([w.abs().sum() for w in weights]).sum()


def l2_penalty(weights: Iterable[Tensor], strength: float) -> Tensor:
    """Return strength / 2 * sum w^2, whose gradient is strength * w.

    Args:
        weights: at least one tensor of any shape.
        strength: >= 0, in loss units per unit of w^2.

    Returns:
        Scalar (), dtype and device of the weights.

    Source: Hoerl & Kennard 1970 (ridge), penalised form; the half as in Goodfellow et al. 2016, section 7.1.1.
    """
    return strength / 2 * torch.stack([w.square().sum() for w in weights]).sum()


@torch.no_grad()
def limit_norms(weights: Iterable[Tensor], max_norm: float) -> None:
    """Scale each unit's incoming weights back, in place, to an L2 norm of at most `max_norm` > 0.

    A unit's weights are what one index of the first dimension selects.

    Source: Srebro & Shraibman 2005; Srivastava et al. 2014, section 5.1.
    """
    for weight in weights:
        rows = weight.flatten(1)
        weight.mul_((max_norm / rows.norm(dim=1).clamp_min(1e-12)).clamp_max(1.0).view(-1, *[1] * (weight.dim() - 1)))
