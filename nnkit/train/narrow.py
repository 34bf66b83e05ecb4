"""Convolutions whose gradients a processor gets wrong in bf16: they are computed in float32."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

KINDS = (nn.Conv1d, nn.Conv2d)


def guard_narrow(model: nn.Module) -> None:
    """Let convolutions compute in float32, under autocast on the CPU, where the input is narrower than their stride.

    There, in bf16, oneDNN leaves parts of the gradient of the weights as memory happened to be (torch 2.14: a 3 x 3
    kernel with stride 2 on a map of width 1, as a ResNet has it on pictures of 16 pixels). Such maps are small, so that
    float32 costs no time.

    Args:
        model: gets hooks at its convolutions with a stride; its state keeps its names.
    """
    for part in model.modules():
        if isinstance(part, KINDS) and part.stride[-1] > 1:
            guard = _Guard()
            part.register_forward_pre_hook(guard.before)
            part.register_forward_hook(guard.after, always_call=True)


class _Guard:
    """Turns autocast off for one call of one convolution."""

    def __init__(self) -> None:
        self._off = ExitStack()

    def before(self, part: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Turn it off where the input, (N, C, W) or (N, C, H, W), is narrow; return it as float32, None elsewhere."""
        x = inputs[0]
        if not torch.is_autocast_enabled("cpu") or x.shape[-1] >= part.stride[-1]:  # type: ignore[index]
            return None
        self._off.enter_context(torch.autocast("cpu", enabled=False))
        return (x.float(), *inputs[1:])

    def after(self, *_: Any) -> None:
        """Turn it on again, also after an error."""
        self._off.close()
