"""Losses without reduction: one number a sample, so that weights, accumulation and devices add up exactly."""

# B batch, C classes, K target columns

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from nnkit import usercode
from nnkit.config.sections.loss import (
    AutoLossConfig,
    BCEConfig,
    CodeLossConfig,
    CrossEntropyConfig,
    FocalConfig,
    HuberConfig,
    LossConfig,
    PlainLossConfig,
)
from nnkit.errors import ConfigError
from nnkit.objective.dense import cross_entropy, focal_losses
from nnkit.spec import DataSpec

Criterion = Callable[[Tensor, Tensor], Tensor]


def resolve_loss(config: LossConfig, spec: DataSpec) -> LossConfig:
    """Return the loss that `loss=auto` stands for.

    That is cross-entropy for classes, its binary form for labels, and the squared error for values.
    """
    if not isinstance(config, AutoLossConfig):
        return config
    if spec.task == "multilabel":
        return BCEConfig(kind="bce")
    return CrossEntropyConfig(kind="cross_entropy") if spec.num_classes else PlainLossConfig(kind="mse")


def num_outputs(config: LossConfig, spec: DataSpec) -> int:
    """Return how many numbers a sample the network must put out.

    That is one logit for bce on two classes, else one a class, label or column.
    """
    return 1 if isinstance(config, BCEConfig) and spec.task == "classification" else spec.num_targets


def class_weights(config: LossConfig, counts: Tensor) -> Tensor | None:
    """Return the weight of each class (C,) float32, or None where all count the same.

    Args:
        config: "balanced" is n / (C * count), as scikit-learn has it.
        counts: (C,) training samples of each class, each at least 1.
    """
    if not isinstance(config, (CrossEntropyConfig, FocalConfig)) or config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        return (counts.sum() / (len(counts) * counts)).float()
    return torch.tensor(config.class_weights)


def criterion(config: LossConfig, weights: Tensor | None) -> Criterion:
    """Return the loss as a function of outputs and target.

    It takes logits (B, C) and classes (B,), or values (B, K) twice, and returns (B,); several columns are averaged.
    Of steps and pixels it takes logits (B, C, …) and classes (B, …), and returns (B, …). `weights` are the classes'
    weights, (C,), for cross-entropy and focal. What is no sum over answers, dice, is none of these.
    """
    match config:
        case CrossEntropyConfig(label_smoothing=smoothing):
            return partial(cross_entropy, weight=weights, label_smoothing=smoothing)
        case FocalConfig(gamma=gamma):
            return partial(focal_losses, gamma=gamma, weights=weights)
        case BCEConfig(positive_weight=positive):
            return partial(_bce, positive_weight=positive)
        case CodeLossConfig(code=code, kwargs=kwargs):
            return _users_loss(code, kwargs)
        case HuberConfig(delta=delta):
            return lambda y, t: F.huber_loss(y, t, reduction="none", delta=delta).mean(1)
    plain: dict[str, Criterion] = {
        "mse": lambda y, t: F.mse_loss(y, t, reduction="none").mean(1),
        "mae": lambda y, t: F.l1_loss(y, t, reduction="none").mean(1),
        "poisson": lambda y, t: F.poisson_nll_loss(y, t, reduction="none").mean(1),
    }
    return plain[config.kind]


def _bce(outputs: Tensor, target: Tensor, *, positive_weight: float) -> Tensor:
    """Return (B,) from one logit and classes (B,), or the mean over the labels from logits and labels (B, L)."""
    weight = torch.tensor(positive_weight, device=outputs.device) if positive_weight != 1 else None
    given = outputs if target.dim() == 2 else outputs[:, 0]
    losses = F.binary_cross_entropy_with_logits(given, target.to(outputs.dtype), pos_weight=weight, reduction="none")
    return losses.mean(1) if target.dim() == 2 else losses


def is_of_pixels(outputs: Tensor, target: Tensor) -> bool:
    """Tell whether there is an answer for each pixel: logits (B, C, H, W) and classes (B, H, W)."""
    return outputs.dim() == 4 and target.dim() == 3


def _for_pixels(losses: Tensor, target: Tensor, code: str) -> Tensor:
    """Return (B, H, W) of what the user's own loss gives a pixel, or a picture (B,). Raises: ConfigError."""
    if losses.shape == target.shape:
        return losses
    if losses.shape == target.shape[:1]:
        return losses[:, None, None].expand(target.shape)
    wanted, got = tuple(target.shape), tuple(losses.shape)
    raise ConfigError(f"loss.code={code} must return a number a pixel {wanted}, or a picture {wanted[:1]}, got {got}")


def _users_loss(code: str, kwargs: Mapping[str, Any]) -> Criterion:
    """Return the user's own loss; what it returns a column of is averaged over the columns. Raises: ConfigError."""
    loss = usercode.made(code, kwargs, key="loss.code")

    def checked(outputs: Tensor, target: Tensor) -> Tensor:
        losses = loss(outputs, target)
        if isinstance(losses, Tensor) and is_of_pixels(outputs, target):
            return _for_pixels(losses, target, code)
        if not isinstance(losses, Tensor) or losses.shape[:1] != outputs.shape[:1]:
            got = f"shape {tuple(losses.shape)}" if isinstance(losses, Tensor) else type(losses).__name__
            raise ConfigError(f"loss.code={code} must return one number a sample ({len(outputs)},), got {got}")
        return losses if losses.dim() == 1 else losses.flatten(1).mean(1)

    return checked
