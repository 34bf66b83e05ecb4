"""Where the rows of a padded batch lie once padding is left out: time-major, longest sequence first."""

# B batch, T time, F features, H hidden, N steps of all sequences together

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The order in which a recurrence visits the steps of a batch.

    Step k works on rows `sum(sizes[:k])` to `sum(sizes[:k + 1])` of the packed tensor (N, …). States lie in a tensor
    (B + N, H): first those before the first step, then one a packed row, so that the state before a step and the last
    state of an empty sequence are found like any other.
    """

    batch: int
    time: int
    sizes: list[int]  # sequences that are still running, step by step
    source: Tensor | None  # (N,) row of the flat batch (B * T) of each packed row; None: a plain transpose
    order: Tensor | None  # (B,) sequences, longest first; None: as they came
    previous: Tensor | None  # (N,) row of the states before each packed row; None: B rows up
    last: Tensor | None  # (B,) row of the states at each sequence's end; None: the last B rows

    def pack(self, x: Tensor, into: Tensor) -> Tensor:
        """Copy a padded (B, T, F) into a packed (N, F), and return that."""
        if self.source is None:
            into.view(self.time, self.batch, -1).copy_(x.transpose(0, 1))
        else:
            torch.index_select(x.reshape(-1, x.shape[2]), 0, self.source, out=into)
        return into

    def padded(self, rows: Tensor) -> Tensor:
        """Return (B, T, F) of a packed (N, F), zero where a sequence has no step."""
        if self.source is None:
            return rows.view(self.time, self.batch, -1).transpose(0, 1)
        flat = rows.new_zeros(self.batch * self.time, rows.shape[1]).index_copy_(0, self.source, rows)
        return flat.view(self.batch, self.time, -1)

    def ordered(self, state: Tensor) -> Tensor:
        """Return the states (B, H), longest sequence first."""
        return state if self.order is None else state.index_select(0, self.order)

    def restored(self, state: Tensor) -> Tensor:
        """Undo `ordered`."""
        return state if self.order is None else torch.empty_like(state).index_copy_(0, self.order, state)

    def before(self, states: Tensor, start: int, stop: int) -> Tensor:
        """Return the states (stop - start, H) before the packed rows from start to stop."""
        return states[start:stop] if self.previous is None else states.index_select(0, self.previous[start:stop])

    def steps_before(self, states: Tensor) -> list[Tensor]:
        """Return views of the states (B + N, H): for each step the rows that hold the states before it."""
        blocks = states.split([self.batch, *self.sizes])
        return [block[:size] for block, size in zip(blocks, self.sizes, strict=False)]

    def at_end(self, states: Tensor) -> Tensor:
        """Return a copy (B, H) of the states at each sequence's end, in the order of the batch."""
        return states[-self.batch :].clone() if self.last is None else states.index_select(0, self.last)

    def spread(self, d_out: Tensor | None, d_last: Tensor | None, states: Tensor) -> Tensor:
        """Return what states (B + N, H) receive from the gradients of outputs (B, T, H) and last states (B, H)."""
        into = torch.empty_like(states) if d_out is not None else torch.zeros_like(states)
        if d_out is not None:
            into[: self.batch] = 0
            self.pack(d_out, into[self.batch :])
        if d_last is not None and self.last is None:
            into[-self.batch :] += d_last
        elif d_last is not None:
            into.index_add_(0, self.last, d_last)
        return into


def rows_of(batch: int, time: int, lengths: Tensor | None, *, is_reversed: bool) -> Rows:
    """Return the order of visits for a padded batch (B, T, …) with lengths (B,), all T where they are None."""
    if lengths is None and not is_reversed:
        sizes = [batch] * time
        return Rows(batch=batch, time=time, sizes=sizes, source=None, order=None, previous=None, last=None)
    if lengths is None:
        lengths = torch.full((batch,), time)
    ends, order = lengths.sort(descending=True, stable=True)
    alive = torch.arange(time).unsqueeze(1) < ends  # (T, B)
    step, place = alive.nonzero(as_tuple=True)  # (N,) each
    sizes_of = alive.sum(1)
    starts = torch.cat([sizes_of.new_zeros(1), batch + sizes_of.cumsum(0) - sizes_of])  # of the states before step k
    at = ends[place] - 1 - step if is_reversed else step
    return Rows(
        batch=batch,
        time=time,
        sizes=[size for size in sizes_of.tolist() if size],
        source=order[place] * time + at,
        order=order,
        previous=starts[step] + place,
        last=torch.empty_like(order).index_copy_(0, order, starts[ends] + torch.arange(batch)),
    )
