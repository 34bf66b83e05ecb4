"""All parameters of a model as views of one tensor, so that a step is one kernel whatever the number of layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn


@final
@dataclass(frozen=True, slots=True)
class Pace:
    """When and how fast a parameter learns.

    Attributes:
        opens: the epoch, from 0, from which on it learns.
        factor: on the learning rate.
    """

    opens: int = 0
    factor: float = 1.0


@final
@dataclass(frozen=True, slots=True)
class Stretch:
    """Parameters of one pace, which lie side by side: weights in [start, decayed), all others in [decayed, stop)."""

    pace: Pace
    names: tuple[str, ...]
    start: int
    decayed: int
    stop: int


AT_ONCE = Pace()


@final
class FlatParameters:
    """The trainable parameters of a model and their gradients, each as one flat tensor.

    Parameters of one pace lie side by side. Among them weights (two or more dimensions) come first and biases and norm
    scales behind, so that what is decayed is one piece. A parameter keeps its own strides, such as channels_last.

    Attributes:
        values: (P,) all parameters; a model's parameters are views of it.
        grad: (P,) all gradients; a parameter's `grad` is a view of it and must not be set to None.
        num_weights: how many of the P elements belong to weights.
        weights: the parameters of two or more dimensions.
        stretches: one a pace.
    """

    def __init__(self, model: nn.Module, paces: Mapping[str, Pace] | None = None) -> None:
        """Lay the parameters of a model side by side; its parameters become views.

        Args:
            model: those of its parameters that require a gradient are taken.
            paces: by name, of those that do not learn at once at the whole rate.
        """
        paces = paces or {}
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        ranks = {pace: rank for rank, pace in enumerate(dict.fromkeys(paces.get(name, AT_ONCE) for name, _ in named))}
        named.sort(key=lambda item: (ranks[paces.get(item[0], AT_ONCE)], item[1].dim() < 2))
        self.stretches = _stretches(named, paces)
        self._named = dict(named)
        self.weights = [p for _, p in named if p.dim() >= 2]
        self.num_weights = sum(p.numel() for p in self.weights)
        size = sum(p.numel() for _, p in named)
        like = named[0][1] if named else torch.empty(0)  # a baseline has nothing to learn
        self.values = torch.empty(size, dtype=like.dtype, device=like.device)
        self.grad = torch.zeros_like(self.values)
        self.values.grad = self.grad
        for name, parameter in named:
            view = self.view(self.values, name)
            view.copy_(parameter.data)
            parameter.data = view
            parameter.grad = self.view(self.grad, name)

    @property
    def names(self) -> list[str]:
        """The parameters by name, in their order."""
        return list(self._named)

    def view(self, flat: Tensor, name: str) -> Tensor:
        """Return the part of a flat tensor (P,) that belongs to one parameter, in its shape and strides."""
        start = 0
        for other, parameter in self._named.items():
            if other == name:
                part = flat[start : start + parameter.numel()]
                return part.as_strided(parameter.shape, parameter.stride(), part.storage_offset())
            start += parameter.numel()
        raise KeyError(name)

    def by_name(self, flat: Tensor) -> dict[str, Tensor]:
        """Return a flat tensor (P,) as one contiguous tensor a parameter, by the parameter's name."""
        return {
            name: self.view(flat, name).detach().clone(memory_format=torch.contiguous_format) for name in self._named
        }

    def fill(self, flat: Tensor, by_name: Mapping[str, Tensor]) -> None:
        """Set a flat tensor (P,) from tensors by name. Raises: KeyError for a parameter that is not there."""
        for name in self._named:
            self.view(flat, name).copy_(by_name[name])


def _stretches(named: list[tuple[str, nn.Parameter]], paces: Mapping[str, Pace]) -> list[Stretch]:
    found: list[Stretch] = []
    for pace in dict.fromkeys(paces.get(name, AT_ONCE) for name, _ in named):
        own = {name: p for name, p in named if paces.get(name, AT_ONCE) == pace}
        start = found[-1].stop if found else 0
        decayed = start + sum(p.numel() for p in own.values() if p.dim() >= 2)
        stop = start + sum(p.numel() for p in own.values())
        found.append(Stretch(pace, tuple(own), start, decayed, stop))
    return found
