"""Checks of where and in which floats it is computed, against this machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnkit.config.sections.trainer import TrainerConfig
from nnkit.errors import Problem


def device_problems(trainer: TrainerConfig, devices: Sequence[str], *, computes_fp16: bool) -> Iterator[Problem]:
    """Yield what this machine cannot do.

    Args:
        trainer: with the wishes.
        devices: that this machine has, the best one last.
        computes_fp16: whether its processor does.
    """
    if trainer.device != "auto" and trainer.device not in devices:
        yield Problem(
            f"trainer.device={trainer.device} is not available: this machine has {', '.join(devices)}",
            "trainer.device=auto",
        )
    device = devices[-1] if trainer.device == "auto" else trainer.device
    if trainer.precision == "fp16" and device == "cpu" and not computes_fp16:
        yield Problem(
            "trainer.precision=fp16 is not for this processor: it has no fp16, and converting takes longer than fp32",
            "trainer.precision=bf16, or fp32",
        )
