"""LSTM, GRU and plain recurrence on CPU, forward and backward by hand: large products once, few calls a step.

torch runs GRU and plain recurrence step by step through autograd. Here the input's product is one call for all steps,
the loop works in place, and whatever of the backward pass does not depend on the incoming gradient is computed for
many steps at once, which leaves a product and a few multiplications a step.

The hyperbolic tangent is 2 sigmoid(2x) - 1 throughout: torch's sigmoid costs a fifth of its tanh on CPU, and both are
exact to 1e-7 of the range.
"""

# B batch, T time, F features, H hidden, G gates, N steps of all sequences together

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from nnkit.models.scan_rows import Rows

Kind = Literal["rnn_tanh", "rnn_relu", "lstm", "gru"]
CHUNK_NUMBERS = 200_000  # values of one kind held at once in a backward pass: they should fit the second-level cache

d_tanh = torch.ops.aten.tanh_backward
d_sigmoid = torch.ops.aten.sigmoid_backward
d_relu = torch.ops.aten.threshold_backward


@dataclass(slots=True, kw_only=True)
class Pass:
    """What a forward pass and its backward pass work on."""

    kind: Kind
    rows: Rows
    x: Tensor  # (N, F)
    weights: list[Tensor]  # weight_ih (GH, F), weight_hh (GH, H), bias_ih (GH,), bias_hh (GH,)
    states: list[Tensor]  # h and for the LSTM c, (B + N, H) each; h fills up step by step
    kept: list[Tensor]  # what else the backward pass needs, N rows each

    def steps(self, *parts: Tensor) -> Iterator[tuple[Tensor, ...]]:
        """Yield each step's rows of tensors (N, …), first step first."""
        return zip(*(part.split(self.rows.sizes) for part in parts), strict=True)


@dataclass(slots=True, kw_only=True)
class Gradients:
    """What a backward pass receives and fills in."""

    h: Tensor  # (B + N, H); comes with what the outputs and the last state received
    c: Tensor  # (B, H), longest sequence first; comes with what the last c received
    x: Tensor | None  # (N, F); None where nobody asks
    weights: list[Tensor]

    def add_hidden(self, d_gates: Tensor, before: Tensor) -> None:
        """Add to weight_hh and bias_hh what gates with gradients (n, GH) give that saw the states (n, H)."""
        self.weights[1].addmm_(d_gates.t(), before)
        self.weights[3] += d_gates.sum(0)

    def add_inputs(self, now: Pass, d_gates: Tensor, start: int, stop: int) -> None:
        """Add to weight_ih and set x for the packed rows from start to stop, whose gates have gradients (n, GH)."""
        self.weights[0].addmm_(d_gates.t(), now.x[start:stop])
        if self.x is not None:
            torch.mm(d_gates, now.weights[0], out=self.x[start:stop])


class Recurrence(Function):
    """One direction of one layer over a padded batch."""

    @staticmethod
    def forward(ctx: Any, kind: Kind, rows: Rows, x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return outputs (B, T, H) and last states (B, H) of x (B, T, F), torch's four weights and states (B, H)."""
        weights, first = list(tensors[:4]), tensors[4:]
        num_rows = sum(rows.sizes)
        states = [x.new_empty(rows.batch + num_rows, part.shape[1]) for part in first]
        for into, part in zip(states, first, strict=True):
            into[: rows.batch] = rows.ordered(part)
        packed = rows.pack(x, x.new_empty(num_rows, x.shape[2]))
        now = Pass(kind=kind, rows=rows, x=packed, weights=weights, states=states, kept=[])
        {"lstm": lstm_forward, "gru": gru_forward}.get(kind, rnn_forward)(now)
        ctx.kind, ctx.rows, ctx.split = kind, rows, 4 + len(states)
        ctx.save_for_backward(packed, *weights, *states, *now.kept)
        ctx.set_materialize_grads(False)
        return rows.padded(states[0][rows.batch :]).detach(), *(rows.at_end(part) for part in states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, *d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, the weights and the states."""
        rows: Rows = ctx.rows
        x, *saved = ctx.saved_tensors
        weights, states, kept = saved[:4], saved[4 : ctx.split], saved[ctx.split :]
        now = Pass(kind=ctx.kind, rows=rows, x=x, weights=weights, states=states, kept=kept)
        d_c = d_last[-1] if ctx.kind == "lstm" else None
        grads = Gradients(
            h=rows.spread(d_out, d_last[0], states[0]),
            c=x.new_zeros(rows.batch, states[0].shape[1]) if d_c is None else rows.ordered(d_c).clone(),
            x=torch.empty_like(x) if ctx.needs_input_grad[2] else None,
            weights=[torch.zeros_like(weight) for weight in weights],
        )
        {"lstm": lstm_backward, "gru": gru_backward}.get(ctx.kind, rnn_backward)(now, grads)
        d_first = [grads.h[: rows.batch], grads.c][: len(states)]
        d_x = None if grads.x is None else rows.padded(grads.x)
        return None, None, d_x, *grads.weights, *(rows.restored(part) for part in d_first)


def backward_chunks(sizes: list[int], width: int) -> Iterator[tuple[int, int, slice]]:
    """Yield runs of steps, last run first: first packed row, the row behind the last, and the steps as a slice.

    Args:
        sizes: rows of each step.
        width: values a row for which the chunk must have room.
    """
    stops = list(accumulate(sizes))
    stop = len(sizes)
    while stop:
        start = stop - 1
        while start and (stops[stop - 1] - stops[start - 1] + sizes[start - 1]) * width <= CHUNK_NUMBERS:
            start -= 1
        yield stops[start] - sizes[start], stops[stop - 1], slice(start, stop)
        stop = start


def to_tanh(sigmoid: Tensor, minus_one: Tensor) -> Tensor:
    """Turn sigmoid(2x) into tanh(x) in place; a number in place of the tensor () would cost twice as much."""
    return torch.add(minus_one, sigmoid, alpha=2, out=sigmoid)


def rnn_forward(now: Pass) -> None:
    """Fill the states in place."""
    w, u, b, c = now.weights
    batch, (h,) = now.rows.batch, now.states
    scale = 2 if now.kind == "rnn_tanh" else 1
    torch.addmm(b + c, now.x, w.t(), beta=scale, alpha=scale, out=h[batch:])
    u_t, minus_one = u.t(), h.new_tensor(-1.0)
    for (after,), before in zip(now.steps(h[batch:]), now.rows.steps_before(h), strict=True):
        after.addmm_(before, u_t, alpha=scale)
        if now.kind == "rnn_tanh":
            to_tanh(after.sigmoid_(), minus_one)
        else:
            after.relu_()


def rnn_backward(now: Pass, grads: Gradients) -> None:
    """Turn each state's gradient into its gate's, in place, last step first."""
    rows, u, (h,) = now.rows, now.weights[1], now.states
    d_gates = grads.h[rows.batch :]
    steps = list(zip(now.steps(h[rows.batch :], d_gates), rows.steps_before(grads.h), strict=True))
    for (after, d), d_before in reversed(steps):
        if now.kind == "rnn_tanh":
            d_tanh.grad_input(d, after, grad_input=d)
        else:
            d_relu.grad_input(d, after, 0, grad_input=d)
        d_before.addmm_(d, u)
    grads.add_hidden(d_gates, rows.before(h, 0, len(d_gates)))
    grads.add_inputs(now, d_gates, 0, len(d_gates))
    grads.weights[2].copy_(grads.weights[3])


def gru_forward(now: Pass) -> None:
    """Fill the states in place; keep reset and update (N, 2H), new (N, H) and its hidden part (N, H)."""
    w, u, b, c = now.weights
    (h,), hidden = now.states, u.shape[1]
    two = 2 * hidden
    both = torch.addmm(b[:two] + c[:two], now.x, w[:two].t())
    new = torch.addmm(b[two:], now.x, w[two:].t(), beta=2, alpha=2)
    inner = torch.empty_like(new)
    now.kept = [both, new, inner]
    u_both, u_new, c_new, minus_one = u[:two].t(), u[two:].t(), c[two:], h.new_tensor(-1.0)
    steps = now.steps(both, both[:, :hidden], both[:, hidden:], new, inner, h[now.rows.batch :])
    for (rz, r, z, n, q, after), before in zip(steps, now.rows.steps_before(h), strict=True):
        rz.addmm_(before, u_both).sigmoid_()
        torch.addmm(c_new, before, u_new, out=q)
        to_tanh(n.addcmul_(r, q, value=2).sigmoid_(), minus_one)
        torch.lerp(n, before, z, out=after)


def gru_backward(now: Pass, grads: Gradients) -> None:
    """Carry the state's gradient back in place, last step first."""
    rows, u, (h,) = now.rows, now.weights[1], now.states
    hidden = u.shape[1]
    update = now.kept[0][:, hidden:].split(rows.sizes)
    d_before = rows.steps_before(grads.h)
    for start, stop, steps in backward_chunks(rows.sizes, len(u)):
        before = rows.before(h, start, stop)
        factors, to_new = gru_factors(before, *(part[start:stop] for part in now.kept))
        d_gates = torch.empty_like(factors)
        flat, d_h = d_gates.flatten(1), grads.h[rows.batch + start : rows.batch + stop]
        parts = [part.split(rows.sizes[steps]) for part in (factors, d_h, d_h.unsqueeze(1), d_gates, flat)]
        for f, d, d_wide, gates, product, z, earlier in reversed(
            list(zip(*parts, update[steps], d_before[steps], strict=True))
        ):
            torch.mul(f, d_wide, out=gates)
            earlier.addmm_(product, u).addcmul_(d, z)
        grads.add_hidden(flat, before)
        torch.mul(d_h, to_new, out=d_gates[:, 2])  # no reset gate lies before the input's part of new
        grads.add_inputs(now, flat, start, stop)
        grads.weights[2][2 * hidden :] += d_gates[:, 2].sum(0)
    grads.weights[2][: 2 * hidden] = grads.weights[3][: 2 * hidden]


def gru_factors(before: Tensor, both: Tensor, new: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
    """Return d gate / d state (n, 3, H), for reset, update and hidden part of new, and (n, H) for new."""
    hidden = new.shape[1]
    r, z = both[:, :hidden], both[:, hidden:]
    factors = new.new_empty(len(new), 3, hidden)
    to_new = d_tanh(1 - z, new)
    torch.mul(to_new, r, out=factors[:, 2])
    d_sigmoid.grad_input(to_new * inner, r, grad_input=factors[:, 0])
    d_sigmoid.grad_input(before - new, z, grad_input=factors[:, 1])
    return factors, to_new


def lstm_forward(now: Pass) -> None:
    """Fill the states in place; keep the gates (N, 4H) in torch's order and tanh(c) (N, H)."""
    w, u, b, c = now.weights
    (h, cell), batch, hidden = now.states, now.rows.batch, u.shape[1]
    scale = u.new_tensor([1.0, 1.0, 2.0, 1.0]).repeat_interleave(hidden)  # the third gate is a tanh
    gates = torch.addmm((b + c) * scale, now.x, (w * scale.unsqueeze(1)).t())
    squashed = torch.empty_like(h[batch:])
    now.kept = [gates, squashed]
    u_t, minus_one = (u * scale.unsqueeze(1)).t(), h.new_tensor(-1.0)
    steps = now.steps(gates, *gates.split(hidden, 1), cell[batch:], squashed, h[batch:])
    befores = zip(now.rows.steps_before(h), now.rows.steps_before(cell), strict=True)
    for (all_four, i, f, g, o, c_after, tanh_c, after), (before, c_before) in zip(steps, befores, strict=True):
        all_four.addmm_(before, u_t).sigmoid_()
        to_tanh(g, minus_one)
        torch.mul(f, c_before, out=c_after).addcmul_(i, g)
        to_tanh(torch.add(c_after, c_after, out=tanh_c).sigmoid_(), minus_one)
        torch.mul(o, tanh_c, out=after)


def lstm_backward(now: Pass, grads: Gradients) -> None:
    """Carry the gradients of both states back in place, last step first."""
    rows, u, (h, cell) = now.rows, now.weights[1], now.states
    hidden = u.shape[1]
    forget = now.kept[0][:, hidden : 2 * hidden].split(rows.sizes)
    d_before = rows.steps_before(grads.h)
    d_c = [grads.c[:size] for size in rows.sizes]
    for start, stop, steps in backward_chunks(rows.sizes, len(u)):
        gates, tanh_c = (part[start:stop] for part in now.kept)
        factors, to_cell = lstm_factors(rows.before(cell, start, stop), gates, tanh_c)
        d_gates = torch.empty_like(factors)
        flat, d_h = d_gates.flatten(1), grads.h[rows.batch + start : rows.batch + stop]
        wide = (factors[:, :3], d_gates[:, :3], factors[:, 3], d_gates[:, 3], flat, to_cell, d_h)
        parts = [part.split(rows.sizes[steps]) for part in wide]
        for f3, g3, f_o, g_o, product, into, d, f, c, earlier in reversed(
            list(zip(*parts, forget[steps], d_c[steps], d_before[steps], strict=True))
        ):
            c.addcmul_(d, into)
            torch.mul(f3, c.unsqueeze(1), out=g3)
            torch.mul(f_o, d, out=g_o)
            c.mul_(f)
            earlier.addmm_(product, u)
        grads.add_hidden(flat, rows.before(h, start, stop))
        grads.add_inputs(now, flat, start, stop)
    grads.weights[2].copy_(grads.weights[3])


def lstm_factors(c_before: Tensor, gates: Tensor, tanh_c: Tensor) -> tuple[Tensor, Tensor]:
    """Return d gate / d c (n, 4, H), for the output gate d gate / d h, and d c / d h (n, H)."""
    i, f, g, o = gates.chunk(4, 1)
    factors = gates.new_empty(len(gates), 4, tanh_c.shape[1])
    d_sigmoid.grad_input(g, i, grad_input=factors[:, 0])
    d_sigmoid.grad_input(c_before, f, grad_input=factors[:, 1])
    d_tanh.grad_input(i, g, grad_input=factors[:, 2])
    d_sigmoid.grad_input(tanh_c, o, grad_input=factors[:, 3])
    return factors, d_tanh(o, tanh_c)
