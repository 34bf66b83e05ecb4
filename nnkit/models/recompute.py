"""Activation checkpointing: what a block has computed on the way forward is computed again on the way back, not kept.

Source: Chen et al. 2016 (training deep nets with sublinear memory cost).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

FEWEST_LAYERS = 4  # of a flat chain that is worth being cut


def recompute(model: nn.Module) -> int:
    """Let a model keep the inputs of its blocks alone while it is trained; return how many such there are.

    Gradients, random draws and running statistics are bit for bit what they are without; so is all of an evaluation.
    A block is a part of a Sequential or ModuleList that has layers of its own; a chain of single layers is cut into
    about as many stretches as each of them has layers. Where there is neither, each part of the model is a block.
    """
    blocks = list(_blocks(model)) or [part for part in model.children() if _is_composed(part)]
    for block in blocks:
        _again_on_the_way_back(block)
    return len(blocks)


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    for part in model.children():
        if isinstance(part, (nn.Sequential, nn.ModuleList)):
            composed = [member for member in part if _is_composed(member)]
            if not composed and isinstance(part, nn.Sequential) and len(part) >= FEWEST_LAYERS:
                composed = [part]
            yield from composed
        else:
            yield from _blocks(part)


def _is_composed(part: nn.Module) -> bool:
    return any(True for _ in part.children()) and any(p.requires_grad for p in part.parameters())


def _again_on_the_way_back(block: nn.Module) -> None:
    """Replace the forward pass of a block while it is trained."""
    from torch.utils.checkpoint import checkpoint  # nothing else needs it

    computed = block.forward
    stretches = _stretches(block) if isinstance(block, nn.Sequential) else [computed]

    def forward(*inputs: Any) -> Any:
        if not (block.training and torch.is_grad_enabled()):
            return computed(*inputs)
        for stretch in stretches:
            found = checkpoint(stretch, *inputs, use_reentrant=False, context_fn=lambda: _contexts(block))
            inputs = (found,)
        return found

    block.forward = forward


def _stretches(chain: nn.Sequential) -> list[Callable[[Tensor], Tensor]]:
    size = math.ceil(math.sqrt(len(chain)))
    return [chain[start : start + size].forward for start in range(0, len(chain), size)]


def _contexts(block: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Return the contexts of the first and of the second computation."""
    return nullcontext(), _untracked(block)


@contextmanager
def _untracked(block: nn.Module) -> Iterator[None]:
    """Let batch-norm layers leave their running statistics alone: they have seen this batch already."""
    norms = [part for part in block.modules() if isinstance(part, nn.modules.batchnorm._NormBase)]
    tracked = [norm for norm in norms if norm.training and norm.num_batches_tracked is not None]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in tracked]  # type: ignore[union-attr]
    for norm in tracked:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, seen) in zip(tracked, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = seen
