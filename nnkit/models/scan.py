"""One layer of a recurrence in one direction, exact for sequences of different lengths.

On CPU the LSTM is oneDNN's, which takes padded batches only, and GRU and plain recurrence are our own (`scan_cells`).
On other devices, and while a model is exported, all of them are torch's, on padded batches.
"""

# B batch, T time, F features, H hidden, G gates

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnkit.models.scan_cells import Recurrence
from nnkit.models.scan_rows import rows_of

Kind = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]
State = tuple[Tensor, ...]  # (h,) or for the LSTM (h, c), each (B, H)
Weights = tuple[
    Tensor, Tensor, Tensor, Tensor
]  # (G*H, F), (G*H, H), (G*H,), (G*H,): torch's names, layouts, gate orders

SATURATED = 1e4  # opens or shuts a gate for good, whatever else enters it; finite in bfloat16 as well


def scan(
    kind: Kind,
    x: Tensor,
    weights: Weights,
    *,
    lengths: Tensor | None = None,
    state: State | None = None,
    is_reversed: bool = False,
) -> tuple[Tensor, State]:
    """Run one layer over a padded batch in one direction.

    Args:
        kind: the recurrence.
        x: (B, T, F); what it holds behind a sequence's end does not matter.
        weights: weight_ih (G*H, F), weight_hh (G*H, H), bias_ih (G*H,), bias_hh (G*H,), as in torch.nn.
        lengths: steps of each sequence (B,), int64, in [0, T]; None: all have T.
        state: the state before the first step, (h,) or (h, c), each (B, H); None: zeros.
        is_reversed: run from each sequence's true last step back to step 0.

    Returns:
        Outputs (B, T, H), each at its own time and zero behind its sequence's end; and the state behind the last
        step that was run, which is the given one where a sequence is empty.
    """
    batch, time, _ = x.shape
    hidden = weights[1].shape[1]
    if state is None:
        state = (x.new_zeros(batch, hidden),) * (2 if kind == "lstm" else 1)
    if x.device.type != "cpu" or is_traced():
        return scan_padded(kind, x, weights, lengths, state, is_reversed)
    if lengths is not None:
        lengths = lengths.cpu()
        if bool((lengths == time).all()):
            lengths = None
    if kind == "lstm":
        return scan_padded(kind, x, weights, lengths, state, is_reversed)
    with torch.autocast("cpu", enabled=False):  # bfloat16 slows these two down
        rows = rows_of(batch, time, lengths, is_reversed=is_reversed)
        dtype = weights[0].dtype
        out, last = Recurrence.apply(kind, rows, x.to(dtype), *weights, state[0].to(dtype))
    return out, (last,)


def is_traced() -> bool:
    """Tell whether the call is being recorded for export, so that only plain operations may be used."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def scan_padded(
    kind: Kind, x: Tensor, weights: Weights, lengths: Tensor | None, state: State, is_reversed: bool
) -> tuple[Tensor, State]:
    """Do what `scan` does with torch's own layers over all T steps, without looking at any value."""
    if lengths is None:
        x = x.flip(1) if is_reversed else x
        out, last = run_torch(kind, x, weights, state)
        return out.flip(1) if is_reversed else out, last
    lengths = lengths.to(x.device)
    steps = torch.arange(x.shape[1], device=x.device)
    behind = (steps >= lengths.unsqueeze(1)).unsqueeze(2)  # (B, T, 1)
    turn = ((lengths.unsqueeze(1) - 1 - steps) % x.shape[1]).unsqueeze(2) if is_reversed else None
    x = turned(x.masked_fill(behind, 0), turn)
    if kind == "lstm":
        x, weights = with_pause(x, weights, behind)
    out, last = run_torch(kind, x, weights, state)
    at = (lengths - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, out.shape[2])
    h = torch.where((lengths > 0).unsqueeze(1), out.gather(1, at).squeeze(1), state[0].to(out.dtype))
    return turned(out.masked_fill(behind, 0), turn), (h, *last[1:])


def run_torch(kind: Kind, x: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
    """Return outputs (B, T, H) and the state behind step T."""
    first = [part.unsqueeze(0) for part in state]
    options = (True, 1, 0.0, False, False, True)  # biases, layers, dropout, training, both directions, batch first
    if kind == "lstm":
        out, h, c = torch.lstm(x, first, list(weights), *options)
        return out, (h.squeeze(0), c.squeeze(0))
    run = {"gru": torch.gru, "rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu}[kind]
    out, h = run(x, first[0], list(weights), *options)
    return out, (h.squeeze(0),)


def turned(x: Tensor, turn: Tensor | None) -> Tensor:
    """Return x (B, T, F) with step t of each row taken from turn (B, T, 1)[t]; x itself where that is None."""
    return x if turn is None else x.gather(1, turn.expand(-1, -1, x.shape[2]))


def with_pause(x: Tensor, weights: Weights, behind: Tensor) -> tuple[Tensor, Weights]:
    """Add an input to an LSTM that keeps c as it is behind a sequence's end, so that c_T is c at the end.

    Args:
        x: (B, T, F).
        weights: those of an LSTM, gates in torch's order: input, forget, cell, output.
        behind: (B, T, 1), true behind each sequence's end.

    Returns:
        x (B, T, F + 1) and weights whose weight_ih is (4H, F + 1).
    """
    pause = x.new_tensor([-SATURATED, SATURATED, 0.0, 0.0]).to(weights[0].dtype)
    column = pause.repeat_interleave(weights[1].shape[1]).unsqueeze(1)
    return torch.cat([x, behind.to(x.dtype)], 2), (torch.cat([weights[0], column], 1), *weights[1:])
