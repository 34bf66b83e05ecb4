"""In which order samples are seen: a function of seed and epoch, and of what the batches need."""

# N samples, B a batch

from __future__ import annotations

import torch
from torch import Tensor

# Sequences are sorted by length inside of stretches of so many batches: enough for batches of like lengths, and few
# enough for chance to choose whom a sequence meets.
STRETCH = 50


def shuffled_by_length(lengths: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Return a random order (N,) in which each batch of `size` has like lengths, and batches come in no order.

    Args:
        lengths: (N,) of the sequences.
        size: of a batch; the samples that fill none come last.
        generator: of the chance.
    """
    order = torch.randperm(len(lengths), generator=generator)
    whole = len(order) // size * size
    parts = [part[lengths[part].argsort(stable=True)] for part in torch.split(order[:whole], STRETCH * size)]
    if whole < 2 * size:
        return torch.cat([*parts, order[whole:]])
    batches = torch.cat(parts).view(-1, size)
    mixed = batches[torch.randperm(len(batches), generator=generator)].flatten()
    rest = order[whole:]
    return torch.cat([mixed, rest[lengths[rest].argsort(stable=True)]])


def streams(num: int, size: int) -> Tensor:
    """Return an order (N,) in which each place of a batch goes through a stretch of the samples, one after the other.

    The first places have a sample more, where samples are left: these make a last batch of their own.
    """
    steps, left = divmod(num, size)
    places = torch.arange(size)
    firsts = places * steps + places.clamp_max(left)  # (size,)
    whole = firsts + torch.arange(steps)[:, None]  # (steps, size)
    return torch.cat([whole.flatten(), firsts[:left] + steps])


def continuing(order: Tensor, follows: Tensor, cut: tuple[int, int], before: tuple[int, int] | None) -> Tensor:
    """Return which samples of a batch (B,) bool go on where the batch before it ended at the same place.

    Args:
        order: (N,) of the samples.
        follows: (N,) whether a sample goes on where the one before it in the data ended.
        cut: first place of the batch in the order, and the place behind its last.
        before: likewise of the batch before; None for the first of an epoch.
    """
    now = order[cut[0] : cut[1]]
    found = torch.zeros(len(now), dtype=torch.bool)
    if before is not None:
        last = order[before[0] : before[1]][: len(now)]
        found[: len(last)] = (now[: len(last)] == last + 1) & follows[now[: len(last)]]
    return found
