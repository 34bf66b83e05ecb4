"""GRU and plain recurrence on CPU, forward and backward by hand: large products once, few calls a step.

torch runs these two step by step through autograd. Here the input's product is one call for all steps, the loop works
in place, and whatever of the backward pass does not depend on the incoming gradient is computed for many steps at
once, which leaves a product and one or two multiplications a step.

The hyperbolic tangent is 2 sigmoid(2x) - 1: torch's sigmoid costs a fifth of its tanh on CPU, and both are exact to
1e-7 of the range.
"""

# B batch, T time, F features, H hidden, G gates, N steps of all sequences together

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from nnkit.models.scan_rows import Rows

CellKind = Literal["rnn_tanh", "rnn_relu", "gru"]
CHUNK_NUMBERS = 200_000  # of one kind that are held at once in a backward pass: they should fit the second-level cache

d_tanh = torch.ops.aten.tanh_backward
d_sigmoid = torch.ops.aten.sigmoid_backward
d_relu = torch.ops.aten.threshold_backward


@dataclass(slots=True, kw_only=True)
class Pass:
    """What a forward pass and its backward pass work on."""

    rows: Rows
    x: Tensor  # (N, F)
    weights: list[Tensor]  # weight_ih (GH, F), weight_hh (GH, H), bias_ih (GH,), bias_hh (GH,)
    states: Tensor  # (B + N, H), of which the forward pass fills N
    kept: list[Tensor] = field(default_factory=list)  # what else the backward pass needs, N rows each


@dataclass(slots=True, kw_only=True)
class Gradients:
    """What a backward pass receives and fills in."""

    states: Tensor  # (B + N, H); comes with what the outputs and the last states received
    beta: int  # 0 where those states that others follow come unset, to be set rather than added to
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
    def forward(
        ctx: Any, kind: CellKind, rows: Rows, x: Tensor, state: Tensor, *weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return outputs (B, T, H) and last states (B, H) of x (B, T, F), states (B, H) and torch's four weights."""
        num_rows = sum(rows.sizes)
        states = x.new_empty(rows.batch + num_rows, state.shape[1])
        rows.first(states).copy_(rows.ordered(state))
        packed = rows.pack(x, x.new_empty(num_rows, x.shape[2]))
        now = Pass(rows=rows, x=packed, weights=list(weights), states=states)
        if kind == "gru":
            gru_forward(now)
        else:
            rnn_forward(now, kind)
        ctx.kind, ctx.rows = kind, rows
        ctx.save_for_backward(packed, states, *weights, *now.kept)
        ctx.set_materialize_grads(False)  # often only the last state is used
        return rows.padded(rows.body(states)).detach(), rows.at_end(states)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor | None, d_last: Tensor | None) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, the state and the weights."""
        rows: Rows = ctx.rows
        x, states, *saved = ctx.saved_tensors
        now = Pass(rows=rows, x=x, weights=saved[:4], states=states, kept=saved[4:])
        d_states, beta = rows.spread(d_out, d_last, states)
        grads = Gradients(
            states=d_states,
            beta=beta,
            x=torch.empty_like(x) if ctx.needs_input_grad[2] else None,
            weights=[torch.zeros_like(weight) for weight in now.weights],
        )
        if ctx.kind == "gru":
            gru_backward(now, grads)
        else:
            rnn_backward(now, grads, ctx.kind)
        d_x = None if grads.x is None else rows.padded(grads.x)
        return None, None, d_x, rows.restored(rows.first(grads.states)), *grads.weights


def to_tanh(sigmoid: Tensor, minus_one: Tensor) -> Tensor:
    """Turn sigmoid(2x) into tanh(x) in place; a number in place of the tensor () would cost twice as much."""
    return torch.add(minus_one, sigmoid, alpha=2, out=sigmoid)


def rnn_forward(now: Pass, kind: CellKind) -> None:
    """Fill the states in place."""
    w, u, b, c = now.weights
    body = now.rows.body(now.states)
    scale = 2 if kind == "rnn_tanh" else 1
    torch.addmm(b + c, now.x, w.t(), beta=scale, alpha=scale, out=body)
    u_t, minus_one = u.t().contiguous(), u.new_tensor(-1.0)
    for h, before in now.rows.visits(body, now.rows.steps_before(now.states)):
        h.addmm_(before, u_t, alpha=scale)
        if kind == "rnn_tanh":
            to_tanh(h.sigmoid_(), minus_one)
        else:
            h.relu_()


def rnn_backward(now: Pass, grads: Gradients, kind: CellKind) -> None:
    """Turn each state's gradient into its gate's, in place, the step visited last first."""
    rows, u = now.rows, now.weights[1]
    d_gates = rows.body(grads.states)
    for h, d, d_before in reversed(rows.visits(rows.body(now.states), d_gates, rows.steps_before(grads.states))):
        if kind == "rnn_tanh":
            d_tanh.grad_input(d, h, grad_input=d)
        else:
            d_relu.grad_input(d, h, 0, grad_input=d)
        d_before.addmm_(d, u, beta=grads.beta)
    grads.add_hidden(d_gates, rows.before(now.states, 0, len(d_gates)))
    grads.add_inputs(now, d_gates, 0, len(d_gates))
    grads.weights[2].copy_(grads.weights[3])


def gru_forward(now: Pass) -> None:
    """Fill the states in place; keep reset and update (N, 2H), new (N, H) and its hidden part (N, H)."""
    w, u, b, c = now.weights
    rows, hidden = now.rows, u.shape[1]
    two = 2 * hidden
    both = torch.addmm(b[:two] + c[:two], now.x, w[:two].t())
    new = torch.addmm(b[two:], now.x, w[two:].t(), beta=2, alpha=2)
    inner = torch.empty_like(new)
    now.kept = [both, new, inner]
    u_both, u_new = u[:two].t().contiguous(), u[two:].t().contiguous()
    c_new, minus_one = c[two:], u.new_tensor(-1.0)
    parts = (both, both[:, :hidden], both[:, hidden:], new, inner, rows.body(now.states))
    for rz, r, z, n, q, h, before in rows.visits(*parts, rows.steps_before(now.states)):
        rz.addmm_(before, u_both).sigmoid_()
        torch.addmm(c_new, before, u_new, out=q)
        to_tanh(n.addcmul_(r, q, value=2).sigmoid_(), minus_one)
        torch.lerp(n, before, z, out=h)


def gru_backward(now: Pass, grads: Gradients) -> None:
    """Carry the states' gradients back in place, the step visited last first."""
    rows, u = now.rows, now.weights[1]
    hidden = u.shape[1]
    d_states, d_before = rows.body(grads.states), rows.steps_before(grads.states)
    for start, stop, blocks in rows.runs(CHUNK_NUMBERS // len(u)):
        before, kept = rows.before(now.states, start, stop), [part[start:stop] for part in now.kept]
        factors, to_new = gru_factors(before, *kept)
        d_gates = torch.empty_like(factors)
        flat, d_h = d_gates.flatten(1), d_states[start:stop]
        parts = (factors, d_h, d_h.unsqueeze(1), d_gates, flat, kept[0][:, hidden:])
        for f, d, d_wide, gates, product, z, earlier in reversed(rows.visits(*parts, d_before[blocks], blocks=blocks)):
            torch.mul(f, d_wide, out=gates)
            earlier.addmm_(product, u, beta=grads.beta).addcmul_(d, z)
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
