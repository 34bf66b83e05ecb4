"""How gradients fare along the steps of a sequence: whether they vanish, or explode."""

# B batch, T time, F features, H hidden

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nnkit.data.batches import Batches
from nnkit.models.recurrent import RecurrentLayers
from nnkit.train.run import Run

PROBED = 64  # samples that are looked at
PROBED_STATES = 1 << 22  # numbers that their states may have in all: the graph of the probe holds several times as many
AGAINST_VANISHING = {
    "rnn_tanh": "model=lstm",
    "rnn_relu": "model=lstm",
    "gru": "model=lstm",
    "lstm": "a larger model.forget_bias",
}
ALARMING = 1e4  # ratio of the gradient at one end of the window to that at the other


def recurrent_layers(model: nn.Module) -> RecurrentLayers | None:
    """Return the recurrent layers of a network; None where it has none."""
    return next((m for m in model.modules() if isinstance(m, RecurrentLayers)), None)


def along_time(model: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor | None:
    """Return how much the end of the sequences depends on each of their steps, (T,) from the last step to the first.

    That is the norm of the gradient of the top layer's last state by what the lowest layer reads at each step, averaged
    over the sequences that have the step. The forward direction alone is looked at.

    Args:
        model: in eval mode.
        inputs: its arguments, (B, …) each.

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
            model(*inputs)
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


def longest(batches: Batches, most: int) -> tuple[Tensor, ...]:
    """Return the inputs (B, …) of so many of the longest samples, the longest first; the first where all are alike."""
    samples = batches.samples
    if samples.files is not None:  # pictures, which are read anew, and have one size
        return next(iter(batches.epoch(0))).rows(0, most).inputs
    lengths = samples.lengths
    order = torch.arange(len(samples)) if lengths is None else lengths.argsort(descending=True, stable=True)
    taken = order[:most]
    stored: tuple[Any, ...] = tuple(
        x.index_select(0, taken.to(x.device) if isinstance(x, Tensor) else taken) for x in samples.inputs
    )
    return samples.prepare(stored) if samples.prepare else stored


def _within(inputs: tuple[Tensor, ...], steps: int | None) -> tuple[Tensor, ...]:
    """Return the first steps of sequences (B, T, …) and, where they vary, of their lengths (B,); None for all."""
    x, *lengths = inputs
    return inputs if steps is None else (x[:, :steps], *(n.clamp_max(steps) for n in lengths))


def warning(run: Run) -> str | None:
    """Return what to tell of a recurrent network whose gradient vanishes or explodes over the window, or None.

    With trainer.tbptt_steps the window is no longer than these: gradients do not go further back.
    """
    layers = recurrent_layers(run.model)
    if layers is None:
        return None
    inputs = _within(longest(run.val, PROBED), run.trainer.tbptt_steps)
    states = inputs[0].shape[1] * layers.out_features * layers.num_layers
    run.model.eval()
    norms = along_time(run.model, tuple(x[: max(1, PROBED_STATES // states)] for x in inputs))
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
