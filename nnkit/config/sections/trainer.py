"""Schema of the group `trainer`: how long, watched by what, on which device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, Live, NonNegative, Override, Positive, Share

Monitor = Annotated[str, Field(pattern=r"^(auto|val/\S+)$", description="auto or val/METRIC, such as val/loss")]
Threshold = Annotated[float, Field(gt=0, lt=1)] | Literal["accuracy", "balanced_accuracy", "f1"]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TrainerConfig:
    """Limits, early stopping, validation, gradients, device and checkpoints. `None` is off."""

    max_epochs: Live[Count]
    max_steps: Live[Count | None] = None
    max_time_s: Live[Positive | None] = None
    patience: Live[Count | None] = None
    min_delta: Override[NonNegative] = 0.0
    monitor: Override[Monitor] = "auto"
    mode: Override[Literal["auto", "min", "max"]] = "auto"
    validate_every: Override[Count | None] = 1
    validate_every_steps: Override[Count | None] = None
    clip_norm: Override[Positive | None] = None
    clip_value: Override[Positive | None] = None
    tbptt_steps: Override[Count | None] = None
    gradient_norms: Live[bool] = False
    ema_decay: Fixed[Share | None] = None
    on_nonfinite: Override[Literal["stop", "skip", "rollback"]] = "stop"
    rollback_factor: Override[Share] = 0.5
    max_rollbacks: Override[Count] = 3
    device: Live[Literal["auto", "cpu", "cuda", "mps"]] = "auto"
    deterministic: Live[bool] = False
    threads: Live[Literal["auto"] | Count] = "auto"
    precision: Override[Literal["auto", "fp32", "bf16", "fp16"]] = "auto"
    activation_checkpointing: Live[bool] = False
    checkpoint_every: Live[Literal["auto"] | Count] = "auto"
    keep_last: Live[Count] = 1
    decision_threshold: Override[Threshold] = 0.5
    plots: Live[bool] = True
