"""Layer by layer: which of a network's parameters learn, from which epoch on, and how fast beside the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from torch import nn

from nnkit.config.schema import Config
from nnkit.config.sections.model import TrainableConfig
from nnkit.config.suggest import spell
from nnkit.config.synonyms import nearest
from nnkit.errors import ConfigError
from nnkit.models.head import HEAD, head_of
from nnkit.optim.flat import AT_ONCE, Pace

SHOWN = 5  # names, in a message


@final
@dataclass(frozen=True, slots=True)
class Paces:
    """What becomes of each parameter.

    Attributes:
        learning: how those learn that do so at once, or later; only where it is not at once and at the whole rate.
        opens: the epoch, from 0, from which on each frozen parameter learns; None for never.
    """

    learning: Mapping[str, Pace]
    opens: Mapping[str, int | None]


def layers_of(model: nn.Module) -> list[list[str]]:
    """Return the names of the parameters, layer by layer, in the order in which the network registers them.

    A layer begins with a module that has a matrix or a kernel; norms and what else follows belong to it. What several
    modules share belongs to the first of them.
    """
    found: list[list[str]] = []
    names = {name for name, _ in model.named_parameters()}
    for prefix, module in model.named_modules():
        every = ((f"{prefix}.{name}".lstrip("."), p) for name, p in module.named_parameters(recurse=False))
        own = [(name, p) for name, p in every if name in names]
        if own and (not found or any(sum(size > 1 for size in p.shape) >= 2 for _, p in own)):
            found.append([])
        for name, _ in own:
            found[-1].append(name)
    return found


def paces_of(model: nn.Module, config: Config) -> Paces:
    """Return how each parameter learns.

    Args:
        model: on any device.
        config: its sections model (freeze, unfreeze_after, unfreeze_layers) and optimizer.

    Raises:
        ConfigError: nothing is frozen by the words, or everything, or there is no head, or nothing in front of it.
    """
    layers, head = layers_of(model), head_of(model)
    opens = _opens(layers, head, config)
    factors = _factors(layers, head, config)
    learning = {}
    for name in (name for layer in layers for name in layer):
        first = opens.get(name, 0)
        if first is not None and (pace := Pace(first, factors.get(name, 1.0))) != AT_ONCE:
            learning[name] = pace
    return Paces(learning, opens)


def _opens(layers: Sequence[Sequence[str]], head: frozenset[str], config: Config) -> dict[str, int | None]:
    """Return from which epoch on each frozen parameter learns."""
    model = config.model
    if not isinstance(model, TrainableConfig) or model.freeze == "none":
        return {}
    frozen = _frozen(layers, head, model)
    among = [[name for name in layer if name in frozen] for layer in layers]
    among = [layer for layer in among if layer]
    found: dict[str, int | None] = {}
    for number, layer in enumerate(reversed(among)):
        wait = 0 if model.unfreeze_layers == "all" else number // model.unfreeze_layers
        first = None if model.unfreeze_after is None else model.unfreeze_after + wait
        found |= dict.fromkeys(layer, first)
    return found


def _frozen(layers: Sequence[Sequence[str]], head: frozenset[str], model: TrainableConfig) -> set[str]:
    """Return the parameters that do not learn at first. Raises: ConfigError."""
    names = [name for layer in layers for name in layer]
    key = f"model.freeze={spell(model.freeze)}"
    if model.freeze == "backbone":
        _check_head(layers, head, key)
        return set(names) - head
    if isinstance(model.freeze, int):
        if model.freeze >= len(layers):
            told = f"{key} leaves nothing to learn: the network has {len(layers)} layer(s)"
            raise ConfigError(told, hint="model.freeze=backbone, or fewer layers")
        return {name for layer in layers[: model.freeze] for name in layer}
    found = {name for name in names if re.search(model.freeze, name)}
    if not found:
        shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
        near = nearest(model.freeze, ["none", "backbone"])
        hint = f"model.freeze={near}" if near else "a pattern of these names, backbone, or a number of layers"
        raise ConfigError(f"{key} matches none of {len(names)} parameters: {shown}", hint=hint)
    if len(found) == len(names):
        raise ConfigError(f"{key} leaves nothing to learn: it matches all {len(names)} parameters", hint="backbone")
    return found


def _check_head(layers: Sequence[Sequence[str]], head: frozenset[str], key: str) -> None:
    names = [name for layer in layers for name in layer]
    if not head:
        told = f"{key} needs to know the last layer, but no module of the network is called {HEAD[0]}"
        raise ConfigError(told, hint=f"self.{HEAD[0]} = …, or a pattern of names")
    if head.issuperset(names):
        raise ConfigError(f"{key} is for networks with layers in front of the last one", hint="model.hidden=[64]")


def _factors(layers: Sequence[Sequence[str]], head: frozenset[str], config: Config) -> dict[str, float]:
    """Return the factors on the learning rate of the layers in front of the head."""
    optimizer = config.optimizer
    for key, value in (
        ("optimizer.backbone_lr_factor", optimizer.backbone_lr_factor),
        ("optimizer.layer_decay", optimizer.layer_decay),
    ):
        if value != 1:
            _check_head(layers, head, f"{key}={value:g}")
    behind = [[name for name in layer if name not in head] for layer in layers]
    behind = [layer for layer in behind if layer]
    found: dict[str, float] = {}
    for number, layer in enumerate(reversed(behind), 1):
        found |= dict.fromkeys(layer, optimizer.backbone_lr_factor * optimizer.layer_decay**number)
    return found


@final
class Frozen:
    """The parts of a network that do not learn in some epochs, kept still meanwhile: values and batch statistics."""

    def __init__(self, model: nn.Module, opens: Mapping[str, int | None]) -> None:
        """Take the epoch from which on each frozen parameter learns, None for never: those are closed at once."""
        self._model, self.opens = model, opens
        parameters = dict(model.named_parameters())
        self._parameters = [(parameters[name], first) for name, first in opens.items()]
        self._norms = _norms_in(model, opens)
        for parameter, first in self._parameters:
            if first is None:
                parameter.requires_grad_(False)

    def hold(self, epoch: int) -> None:
        """Let learn what learns in an epoch, and nothing else; the network is in training mode, and stays in it."""
        for parameter, first in self._parameters:
            parameter.requires_grad_(_is_open(first, epoch))
        for norm, firsts in self._norms:
            norm.train(any(_is_open(first, epoch) for first in firsts))

    def count(self, epoch: int) -> int:
        """Return how many values do not learn in an epoch."""
        return sum(p.numel() for p, first in self._parameters if not _is_open(first, epoch))


def _norms_in(model: nn.Module, opens: Mapping[str, int | None]) -> list[tuple[nn.Module, list[int | None]]]:
    """Return the batch norms of frozen layers, each with the epochs from which on their parameters learn.

    One without parameters is of the layer before it, in the order in which the network registers them.
    """
    found: list[tuple[nn.Module, list[int | None]]] = []
    names, before = {name for name, _ in model.named_parameters()}, list[str]()
    for prefix, module in model.named_modules():
        own = [f"{prefix}.{name}".lstrip(".") for name, _ in module.named_parameters(recurse=False)]
        own = [name for name in own if name in names]
        before = own or before
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and before and all(name in opens for name in before):
            found.append((module, [opens[name] for name in before]))
    return found


def _is_open(first: int | None, epoch: int) -> bool:
    return first is not None and epoch >= first
