"""One layer of a recurrence in one direction, exact for sequences of different lengths.

On CPU the LSTM is oneDNN's, which takes padded batches only, and GRU and plain recurrence are our own (`scan_cells`).
On other devices, and while a model is exported, all of them are torch's, on padded batches.
"""

# B batch, T time, F features, L longest length, H hidden, G gates

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nnkit.models.scan_cells import Recurrence
from nnkit.models.scan_rows import moves_of, rows_of

Kind = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]
State = tuple[Tensor, ...]  # (h,) or for the LSTM (h, c), each (B, H)
# weight_ih (G*H, F), weight_hh (G*H, H), bias_ih (G*H,), bias_hh (G*H,): torch's names, layouts and gate orders
Weights = tuple[Tensor, Tensor, Tensor, Tensor]

SATURATED = 1e4  # opens or shuts a gate for good, whatever else enters it; finite in half precision as well


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
        Outputs (B, T, H), each at its own time and zero behind its sequence's end; and the state behind the last step
        that was run, which for an empty sequence is the one before. Under autocast the LSTM's are of its lower
        precision, the others' stay in single precision, which is faster for them.
    """
    if state is None:
        zeros = x.new_zeros(x.shape[0], weights[1].shape[1])
        state = (zeros, zeros) if kind == "lstm" else (zeros,)
    if x.device.type != "cpu" or is_traced():
        return scan_padded(kind, x, weights, lengths, state, is_reversed)
    if lengths is not None:
        lengths = lengths.cpu()
        if int(lengths.min()) == x.shape[1]:
            lengths = None
    if lengths is None and x.shape[1] == 1 and not torch.is_autocast_enabled("cpu"):
        return scan_one(kind, x, weights, state)
    if kind != "lstm":
        rows = rows_of(x.shape[0], x.shape[1], lengths, is_reversed=is_reversed)
        dtype = weights[0].dtype
        with torch.autocast("cpu", enabled=False):
            out, last = Recurrence.apply(kind, rows, x.to(dtype), state[0].to(dtype), *weights)
        return out, (last,)
    if lengths is None or not lengths.any():
        return scan_padded(kind, x, weights, lengths, state, is_reversed)
    return scan_lstm(x, weights, lengths, state, is_reversed)


def is_traced() -> bool:
    """Tell whether the call is being recorded for export, so that only plain operations may be used."""
    return torch.compiler.is_compiling() or bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def scan_one(kind: Kind, x: Tensor, weights: Weights, state: State) -> tuple[Tensor, State]:
    """Do what `scan` does for a single step, as in generation, without the preparations for many."""
    if kind == "lstm":
        h, c = torch.lstm_cell(x.squeeze(1), state, *weights)
        return h.unsqueeze(1), (h, c)
    run = {"gru": torch.gru_cell, "rnn_tanh": torch.rnn_tanh_cell, "rnn_relu": torch.rnn_relu_cell}[kind]
    h = run(x.squeeze(1), state[0], *weights)
    return h.unsqueeze(1), (h,)


def scan_lstm(x: Tensor, weights: Weights, lengths: Tensor, state: State, is_reversed: bool) -> tuple[Tensor, State]:
    """Do what `scan` does for an LSTM on CPU, with as few copies as different lengths allow."""
    moves = moves_of(x.shape[1], lengths, is_reversed=is_reversed)
    paused, weights = with_pause(moves.into_time(x), weights, moves.is_blank.unsqueeze(2))
    out, (_, c) = run_torch("lstm", paused, weights, state, is_batch_first=False)  # (L, B, H)
    h = torch.where((lengths > 0).unsqueeze(1), out.flatten(0, 1).index_select(0, moves.last), state[0].to(out.dtype))
    return moves.into_batch(out), (h, c)


def scan_padded(
    kind: Kind, x: Tensor, weights: Weights, lengths: Tensor | None, state: State, is_reversed: bool
) -> tuple[Tensor, State]:
    """Do what `scan` does with torch's own layers and plain operations, without looking at any value."""
    if lengths is None:
        out, last = run_torch(kind, x.flip(1) if is_reversed else x, weights, state, is_batch_first=True)
        return out.flip(1) if is_reversed else out, last
    lengths = lengths.to(x.device).unsqueeze(1)
    steps = torch.arange(x.shape[1], device=x.device)
    is_blank = (steps >= lengths).unsqueeze(2)  # (B, T, 1)
    at = lengths - 1 - steps
    turn = torch.where(at < 0, at + x.shape[1], at).unsqueeze(2) if is_reversed else None  # ONNX has no % of a size
    x = turned(x.masked_fill(is_blank, 0), turn)
    if kind == "lstm":
        x, weights = with_pause(x, weights, is_blank)
    out, last = run_torch(kind, x, weights, state, is_batch_first=True)
    at = (lengths - 1).clamp(min=0).unsqueeze(2).expand(-1, 1, out.shape[2])
    h = torch.where(lengths > 0, out.gather(1, at).squeeze(1), state[0].to(out.dtype))
    return turned(out.masked_fill(is_blank, 0), turn), (h, *last[1:])


def run_torch(kind: Kind, x: Tensor, weights: Weights, state: State, *, is_batch_first: bool) -> tuple[Tensor, State]:
    """Return outputs (B, T, H), or time first like x, and the state behind step T."""
    first = [part.unsqueeze(0) for part in state]
    weights = in_one_piece(weights) if x.is_cuda else weights
    is_training = x.is_cuda and torch.is_grad_enabled()  # else cuDNN keeps nothing for the backward pass
    options = (True, 1, 0.0, is_training, False, is_batch_first)  # biases, layers, dropout, training, both directions
    if kind == "lstm" and x.device.type == "cpu" and is_half():
        with torch.autocast("cpu", enabled=False):
            return run_torch(kind, x.float(), weights, tuple(h.float() for h in state), is_batch_first=is_batch_first)
    if kind == "lstm":
        out, h, c = torch.lstm(x, first, list(weights), *options)
        return out, (h.squeeze(0), c.squeeze(0))
    run = {"gru": torch.gru, "rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu}[kind]
    out, h = run(x, first[0], list(weights), *options)
    return out, (h.squeeze(0),)


def is_half() -> bool:
    """Tell whether products on CPU are done in float16, in which oneDNN has no LSTM."""
    return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.float16


def turned(x: Tensor, turn: Tensor | None) -> Tensor:
    """Return x (B, T, F) with step t of each row taken from turn (B, T, 1)[t]; x itself where that is None."""
    return x if turn is None else x.gather(1, turn.expand(-1, -1, x.shape[2]))


def with_pause(x: Tensor, weights: Weights, is_blank: Tensor) -> tuple[Tensor, Weights]:
    """Add an input to an LSTM that keeps c as it is in the padding, so that c behind step T is c at the end.

    torch.lstm gives c behind step T only.

    Args:
        x: (…, F).
        weights: those of an LSTM, gates in torch's order: input, forget, cell, output.
        is_blank: (…, 1), true in the padding.

    Returns:
        x (…, F + 1) and weights whose weight_ih is (4H, F + 1).
    """
    hidden = weights[1].shape[1]
    shut = weights[0].new_full((hidden, 1), -SATURATED)
    column = torch.cat([shut, -shut, torch.zeros_like(shut), torch.zeros_like(shut)])
    return torch.cat([x, is_blank.to(x.dtype)], -1), (torch.cat([weights[0], column], 1), *weights[1:])


def in_one_piece(weights: Weights) -> Weights:
    """Return the weights as neighbours in one new tensor, where cuDNN would copy them itself and warn each time."""
    flat = torch.cat([part.flatten() for part in weights])
    w, u, b, c = flat.split_with_sizes([part.numel() for part in weights])
    return w.view_as(weights[0]), u.view_as(weights[1]), b, c
