"""Where the rows of a padded batch lie in the order in which a recurrence visits them."""

# B batch, T time, F features, H hidden, N steps of all sequences together

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A batch without its padding: time-major, the longest sequence first.

    Step k has rows `sum(sizes[:k])` to `sum(sizes[:k + 1])` of a packed tensor (N, …). States lie in a tensor
    (B + N, H): those before the first step, then one a packed row, so that the state before a step and the last state
    of an empty sequence are found like any other. Where all sequences have T steps and the recurrence runs backwards,
    the states before the first step lie behind the others instead, and nothing has to be turned round.
    """

    batch: int
    time: int
    is_backwards: bool  # visit the last row block first
    sizes: list[int]  # sequences that are still running, block by block
    source: Tensor | None  # (N,) row of the flat batch (B * T) of each packed row; None: a plain transpose
    order: Tensor | None  # (B,) sequences, longest first; None: as they came
    previous: Tensor | None  # (N,) row of the states before each packed row; None: B rows up, or down if backwards
    last: Tensor | None  # (B,) row of the states at each sequence's end; None: the block visited last

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

    def first(self, states: Tensor) -> Tensor:
        """Return a view (B, H) of the states before the first step."""
        return states[-self.batch :] if self.is_backwards else states[: self.batch]

    def body(self, states: Tensor) -> Tensor:
        """Return a view (N, H) of the states after each packed row."""
        return states[: -self.batch] if self.is_backwards else states[self.batch :]

    def before(self, states: Tensor, start: int, stop: int) -> Tensor:
        """Return the states (stop - start, H) before the packed rows from start to stop."""
        if self.previous is not None:
            return states.index_select(0, self.previous[start:stop])
        shift = self.batch if self.is_backwards else 0
        return states[start + shift : stop + shift]

    def steps_before(self, states: Tensor) -> list[Tensor]:
        """Return views of the states (B + N, H): for each block the rows that hold the states before it."""
        if self.is_backwards:
            return list(states.split_with_sizes([*self.sizes, self.batch])[1:])
        blocks = states.split_with_sizes([self.batch, *self.sizes])[:-1]
        if self.previous is None:
            return list(blocks)
        return [block[:size] for block, size in zip(blocks, self.sizes, strict=True)]

    def visits(self, *parts: Tensor | list[Tensor], blocks: slice = slice(None)) -> list[tuple[Tensor, ...]]:
        """Return one tuple a block, in the order of the recurrence.

        Args:
            parts: tensors (n, …) of the packed rows in these blocks, and lists with one tensor for each of the blocks.
            blocks: the blocks that the parts cover; by default all.
        """
        sizes = self.sizes[blocks]
        split = [part.split_with_sizes(sizes) if isinstance(part, Tensor) else part for part in parts]
        tuples = list(zip(*split, strict=True))
        return tuples[::-1] if self.is_backwards else tuples

    def runs(self, most_rows: int) -> Iterator[tuple[int, int, slice]]:
        """Yield runs of blocks that have at most so many rows, or are one; the run visited last comes first.

        Returns:
            For each its first packed row, the row behind its last, and its blocks.
        """
        stops = list(accumulate(self.sizes))
        ranges, stop = [], len(stops)
        while stop:
            start = stop - 1
            while start and stops[stop - 1] - stops[start - 1] + self.sizes[start - 1] <= most_rows:
                start -= 1
            ranges.append((stops[start] - self.sizes[start], stops[stop - 1], slice(start, stop)))
            stop = start
        yield from reversed(ranges) if self.is_backwards else ranges

    def at_end(self, states: Tensor) -> Tensor:
        """Return a copy (B, H) of the states at each sequence's end, in the order of the batch."""
        if self.last is not None:
            return states.index_select(0, self.last)
        return self.final(states).clone()

    def final(self, states: Tensor) -> Tensor:
        """Return a view (B, H) of the states visited last, where no sequence ends before."""
        return states[: self.batch] if self.is_backwards else states[-self.batch :]

    def spread(self, d_out: Tensor | None, d_last: Tensor | None, states: Tensor) -> tuple[Tensor, int]:
        """Give states (B + N, H) the gradients of outputs (B, T, H) and last states (B, H).

        Returns:
            The gradients (B + N, H); and 1, or 0 where only the states at the end have any and the others are unset.
        """
        into = torch.empty_like(states)
        if d_out is None and d_last is not None and self.last is None:
            self.final(into).copy_(d_last)
            return into, 0
        if d_out is None:
            into.zero_()
        else:
            self.first(into).zero_()
            self.pack(d_out, self.body(into))
        if d_last is not None and self.last is not None:
            into.index_add_(0, self.last, d_last)
        elif d_last is not None:
            self.final(into).add_(d_last)
        return into, 1


def rows_of(batch: int, time: int, lengths: Tensor | None, *, is_reversed: bool) -> Rows:
    """Return the order of visits for a padded batch (B, T, …) with lengths (B,), all T where they are None."""
    if lengths is None:
        return Rows(
            batch=batch,
            time=time,
            is_backwards=is_reversed,
            sizes=[batch] * time,
            source=None,
            order=None,
            previous=None,
            last=None,
        )
    ends, order = lengths.sort(descending=True, stable=True)
    alive = torch.arange(time).unsqueeze(1) < ends  # (T, B)
    step, place = alive.nonzero(as_tuple=True)  # (N,) each
    sizes = alive.sum(1)
    starts = torch.cat([sizes.new_zeros(1), batch + sizes.cumsum(0) - sizes])  # of the states before each step
    at = ends[place] - 1 - step if is_reversed else step
    return Rows(
        batch=batch,
        time=time,
        is_backwards=False,  # each sequence is turned round by `source`
        sizes=[size for size in sizes.tolist() if size],
        source=order[place] * time + at,
        order=order,
        previous=starts[step] + place,
        last=torch.empty_like(order).index_copy_(0, order, starts[ends] + torch.arange(batch)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """How the rows of a padded batch move between (B, T) and time-major (L, B), L the longest length, and back.

    Step k of a sequence is its k-th in the order of the recurrence. Padding stays padding.
    """

    to_time: Tensor  # (L * B,) row of the flat batch for each time-major row
    to_batch: Tensor  # (B * T,) row of the time-major batch for each row
    blank: tuple[Tensor, Tensor]  # which rows are padding, time-major and in the flat batch
    is_blank: Tensor  # (L, B) the same as a mask
    last: Tensor  # (B,) time-major row of each sequence's last step; for an empty one, of its first

    def into_time(self, x: Tensor) -> Tensor:
        """Return (L, B, F) of (B, T, F), zero in the padding."""
        moved = Moved.apply(x.reshape(-1, x.shape[2]), self.to_time, self.to_batch, *self.blank)
        return moved.view(*self.is_blank.shape, -1)  # type: ignore[no-any-return]

    def into_batch(self, x: Tensor) -> Tensor:
        """Return (B, T, H) of (L, B, H), zero in the padding."""
        moved = Moved.apply(x.flatten(0, 1), self.to_batch, self.to_time, *self.blank[::-1])
        return moved.view(x.shape[1], -1, x.shape[2])  # type: ignore[no-any-return]


def moves_of(time: int, lengths: Tensor, *, is_reversed: bool) -> Moves:
    """Return the moves of a padded batch (B, T, …) whose lengths (B,) are not all zero."""
    longest, batch = int(lengths.max()), len(lengths)
    steps, sequences = torch.arange(time), torch.arange(batch).unsqueeze(1)
    ends = lengths.unsqueeze(1)
    # turned round, the padding changes places with itself: a permutation either way
    turn = (ends - 1 - steps) % longest if is_reversed else steps.clamp(max=longest - 1).expand(batch, -1)
    is_blank = steps >= ends  # (B, T)
    in_time = is_blank[:, :longest].t()
    return Moves(
        to_time=(sequences * time + turn[:, :longest]).t().flatten(),
        to_batch=(turn * batch + sequences).flatten(),
        blank=(in_time.flatten().nonzero().squeeze(1), is_blank.flatten().nonzero().squeeze(1)),
        is_blank=in_time,
        last=(lengths - 1).clamp(min=0) * batch + sequences.squeeze(1),
    )


class Moved(Function):
    """Rows in another order, some of them blank; backwards they move back, where index_select would add them up."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor, inverse: Tensor, blank: Tensor, blank_before: Tensor) -> Tensor:
        """Return x[index] (n, F) of x (m, F), zero in the rows `blank`; `inverse` (m,) and `blank_before` lead back."""
        ctx.save_for_backward(inverse, blank_before)
        return x.index_select(0, index).index_fill_(0, blank, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient (m, F) of x, zero in its own padding."""
        inverse, blank_before = ctx.saved_tensors
        return d.index_select(0, inverse).index_fill_(0, blank_before, 0), None, None, None, None
