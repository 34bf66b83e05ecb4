"""A step that is left out: what it has changed goes back to what it was."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from nnkit.train.run import Run
from nnkit.train.state import TrainState


@final
@dataclass(frozen=True, slots=True)
class Before:
    """What a step may change, as it was before: weights, optimizer, average, buffers, and where the training stands.

    Attributes:
        state: a copy.
        numbers: each tensor, and what it held.
        buffers: of which module and name each buffer is, the tensor, and what it held.
    """

    state: TrainState
    numbers: list[tuple[Tensor, Tensor]]
    buffers: list[tuple[nn.Module, str, Tensor, Tensor]]

    @classmethod
    @torch.no_grad()
    def of(cls, run: Run, state: TrainState) -> Before:
        """Copy what the next step may change."""
        average = [] if run.average is None else [run.average]
        numbers = [run.parameters.values, *run.optimizer.state.values(), *average]
        return cls(
            replace(state, sums={k: v.clone() for k, v in state.sums.items()}, pending=list(state.pending)),
            [(x, x.clone()) for x in numbers],
            [(m, name, x, x.clone()) for m in run.model.modules() for name, x in m._buffers.items() if x is not None],
        )

    @torch.no_grad()
    def put_back(self, state: TrainState) -> None:
        """Undo the step."""
        state.become(self.state)
        for now, held in self.numbers:
            now.copy_(held)
        for module, name, buffer, held in self.buffers:
            module._buffers[name] = buffer.copy_(held)  # a network may have put another tensor in its place

    @torch.no_grad()
    def put_back_unless(self, is_good: Tensor, state: TrainState) -> None:
        """Undo the step where a flag () on the device says so, without waiting for it; a state that is carried is zero.

        The metrics' sums must be up to date, before the step and behind it.
        """
        for now, held in self.numbers:
            now.copy_(torch.where(is_good, now, held))
        for module, name, buffer, held in self.buffers:
            module._buffers[name] = buffer.copy_(torch.where(is_good, module._buffers[name], held))  # type: ignore[arg-type]
        for name, held in self.state.sums.items():
            state.sums[name] = torch.where(is_good, state.sums[name], held)
        if state.hidden is not None:
            state.hidden = tuple(torch.where(is_good, h, torch.zeros_like(h)) for h in state.hidden)
