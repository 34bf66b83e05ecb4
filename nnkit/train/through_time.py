"""How a batch of sequences goes through a recurrent network: whole, in pieces, or from where the last batch ended."""

# B batch, T time, k steps that gradients go back

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from nnkit.data.batches import Batch
from nnkit.train.device import Arithmetic
from nnkit.train.run import Run
from nnkit.train.state import Hidden, TrainState


def passes(run: Run, batch: Batch, state: TrainState) -> Iterator[tuple[Batch, Tensor]]:
    """Yield the parts of a batch along time with the network's outputs; most networks take it in one.

    What is carried from part to part is detached: gradients end there. Each part's gradients are to be taken before the
    next one is asked for, so that memory holds the graph of one.
    """
    k = run.trainer.tbptt_steps
    if k is None and not run.is_stateful:
        with run.arithmetic.autocast():
            outputs = run.model(*batch.inputs)
        yield batch, outputs.float()
        return
    begin = carried(state.hidden, batch) if run.is_stateful else None
    parts = pieces(batch, k) if batch.weight.dim() == 2 else _last_steps(run, batch, k, begin)
    for part, at in parts:
        begin = begin if at is None else at
        with run.arithmetic.autocast():
            outputs, end = cast(Any, run.model).step(*part.inputs, state=begin)
        yield part, outputs.float()
        begin = tuple(h.detach() for h in end)
    state.hidden = begin if run.is_stateful else None


def carried(hidden: Hidden | None, batch: Batch) -> Hidden | None:
    """Return the states (B, H) that a batch starts from: of the batch before where it continues, else zero."""
    if hidden is None or batch.continues is None:
        return None
    size, keeps = len(batch), batch.continues[:, None]
    fitted = [torch.cat([h, h.new_zeros(max(0, size - len(h)), h.shape[1])])[:size] for h in hidden]
    return tuple(torch.where(keeps, h, torch.zeros_like(h)) for h in fitted)


@torch.no_grad()
def answered(
    model: nn.Module, arithmetic: Arithmetic, batches: Iterable[Batch], *, is_stateful: bool
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with the outputs (B, …) float32 of a network in eval mode.

    Args:
        model: of nnkit, with `step` where states are carried.
        arithmetic: how it computes.
        batches: in the order in which states are carried.
        is_stateful: whether they are.
    """
    hidden: Hidden | None = None
    for batch in batches:
        with arithmetic.autocast():
            if is_stateful:
                outputs, hidden = cast(Any, model).step(*batch.inputs, state=carried(hidden, batch))
            else:
                outputs = model(*batch.inputs)
        yield batch, outputs.float()


def pieces(batch: Batch, k: int | None) -> Iterator[tuple[Batch, None]]:
    """Yield stretches of at most k steps of a batch whose every step has an answer."""
    steps = batch.weight.shape[1]
    for start in range(0, steps, k or steps):
        stop = min(start + (k or steps), steps)
        x, *lengths = batch.inputs
        cut = (x[:, start:stop], *((n - start).clamp(0, stop - start) for n in lengths))
        yield replace(batch, inputs=cut, target=batch.target[:, start:stop], weight=batch.weight[:, start:stop]), None


def _last_steps(run: Run, batch: Batch, k: int | None, begin: Hidden | None) -> Iterator[tuple[Batch, Hidden | None]]:
    """Yield the last k steps of each sequence, and the state (without a graph) that the steps before them lead to."""
    x, *rest = batch.inputs
    steps = x.shape[1]
    if k is None or k >= steps:
        yield batch, begin
        return
    lengths = rest[0] if rest else torch.full((len(x),), steps, device=x.device)
    before = (lengths - k).clamp_min(0)
    with torch.no_grad(), run.arithmetic.autocast():
        head = (x[:, : steps - k], *((before,) if rest else ()))
        _, begin = cast(Any, run.model).step(*head, state=begin)
    places = (before[:, None] + torch.arange(k, device=x.device)).clamp_max(steps - 1)
    tail = x.gather(1, places.view(*places.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:]))
    yield replace(batch, inputs=(tail, *((lengths - before,) if rest else ()))), begin
