"""What gradients look like: their norms, parameter by parameter, and how they fare along the steps of a sequence."""

# B batch, T time, F features

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnkit.data.batches import Batch
from nnkit.models.recurrent import RecurrentLayers
from nnkit.train.run import Run
from nnkit.train.state import TrainState

PROBED = 64  # samples that are looked at
AGAINST_VANISHING = {
    "rnn_tanh": "model=lstm",
    "rnn_relu": "model=lstm",
    "gru": "model=lstm",
    "lstm": "a larger model.forget_bias",
}
ALARMING = 1e4  # ratio of the gradient at one end of the window to that at the other


def note_norms(run: Run, state: TrainState) -> None:
    """Add the norms of a step's gradients to the epoch's sums."""
    norms = torch.stack([run.parameters.view(run.parameters.grad, name).norm() for name in run.parameters.names])
    found = torch.cat([norms.double(), torch.ones(1, dtype=torch.float64, device=norms.device)])
    state.gradient_norms = found if state.gradient_norms is None else state.gradient_norms + found


def read_norms(run: Run, state: TrainState) -> dict[str, float]:
    """Return the mean gradient norm of each parameter over the epoch so far, as grad/<name>."""
    if state.gradient_norms is None:
        return {}
    *sums, steps = state.gradient_norms.tolist()
    return {f"grad/{name}": total / steps for name, total in zip(run.parameters.names, sums, strict=True)}


def recurrent_layers(model: nn.Module) -> RecurrentLayers | None:
    """Return the recurrent layers of a network; None where it has none."""
    return next((m for m in model.modules() if isinstance(m, RecurrentLayers)), None)


def along_time(model: nn.Module, batch: Batch) -> Tensor | None:
    """Return how much the end of the sequences depends on each of their steps, (T,) from the last step to the first.

    That is the norm of the gradient of the top layer's last state by what the lowest layer reads at each step, averaged
    over the sequences that have the step. The forward direction alone is looked at.

    Args:
        model: in eval mode.
        batch: with inputs for it.

    Returns:
        (T,) float32, None for a network without recurrent layers.

    Source: Bengio et al. 1994; Pascanu et al. 2013.
    """
    layers = recurrent_layers(model)
    if layers is None:
        return None
    seen: dict[str, Any] = {}

    def begin(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        x, *others = args
        seen["x"], seen["lengths"] = x.detach().requires_grad_(), others[0]
        return (seen["x"], *others)

    def end(_: nn.Module, __: Any, found: tuple[Tensor, Any]) -> None:
        seen["h"] = found[0]

    handles = [layers.register_forward_pre_hook(begin), layers.register_forward_hook(end)]
    try:
        with torch.enable_grad():
            model(*batch.inputs)
            return _norms_from_the_end(seen["x"], seen["h"][..., : layers.hidden_size], seen["lengths"])
    finally:
        for handle in handles:
            handle.remove()


def _norms_from_the_end(x: Tensor, h: Tensor, lengths: Tensor | None) -> Tensor:
    """Return (T,) mean norms of d(last state) / dx, from steps (B, T, F) and states (B, T, H)."""
    steps = x.shape[1]
    ends = torch.full((len(x),), steps, device=x.device) if lengths is None else lengths
    last = h[torch.arange(len(h), device=h.device), ends - 1]  # (B, H)
    (gradient,) = torch.autograd.grad(last.sum(), x)
    norms = gradient.float().norm(dim=2)  # (B, T)
    back = (ends[:, None] - 1 - torch.arange(steps, device=x.device)).clamp_min(0)
    there = torch.arange(steps, device=x.device) < ends[:, None]
    total: Tensor = norms.gather(1, back).mul(there).sum(0)
    return (total / there.sum(0).clamp_min(1))[: int(ends.max())]


def warning(run: Run) -> str | None:
    """Return what to tell of a recurrent network whose gradient vanishes or explodes over the window, or None."""
    layers = recurrent_layers(run.model)
    if layers is None:
        return None
    batch = next(iter(run.val.epoch(0)))
    batch = batch.rows(max(0, len(batch) - PROBED), len(batch))  # the longest, where they are sorted
    run.model.eval()
    norms = along_time(run.model, batch)
    if norms is None or len(norms) < 2:
        return None
    near, far = float(norms[0]), float(norms[-1])
    if near > ALARMING * far:
        times = f"{near / far:.0e} times" if far else "to nothing,"
        text = f"the recurrent gradient shrinks {times} over {len(norms)} steps: early steps are hardly learned from"
        return f"{text}; try {AGAINST_VANISHING[layers.kind]}, model.summary=mean, or shorter sequences"
    if far > ALARMING * near:
        times = f"{far / near:.0e} times" if near else "without end"
        text = f"the recurrent gradient grows {times} over {len(norms)} steps: training may diverge"
        return f"{text}; try trainer.clip_norm=1, model.recurrent_init=orthogonal, or a smaller optimizer.lr"
    return None
