"""The norms of gradients, parameter by parameter: their means over an epoch."""

from __future__ import annotations

import torch

from nnkit.optim.flat import FlatParameters
from nnkit.train.state import TrainState


def note_norms(parameters: FlatParameters, state: TrainState) -> None:
    """Add the norms of a step's gradients to the epoch's sums; a step with one that is not finite is left out.

    In fp16 such a step is not taken: its gradients were scaled up too far.
    """
    norms = torch.stack([parameters.view(parameters.grad, name).norm() for name in parameters.names])
    found = torch.cat([norms, norms.new_ones(1)]).to(torch.float64)
    found = found.where(norms.isfinite().all(), 0.0)  # on the device: nothing waits for it
    state.gradient_norms = found if state.gradient_norms is None else state.gradient_norms + found


def read_norms(parameters: FlatParameters, state: TrainState) -> dict[str, float]:
    """Return the mean gradient norm of each parameter over the epoch so far, as grad/<name>."""
    if state.gradient_norms is None:
        return {}
    *sums, steps = state.gradient_norms.tolist()
    if not steps:
        return {}
    return {f"grad/{name}": total / steps for name, total in zip(parameters.names, sums, strict=True)}
