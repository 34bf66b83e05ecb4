"""From a config and a spec to a network with its first values."""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import nn

from nnkit.config.schema import Config
from nnkit.config.sections.model import CNNConfig, LinearConfig, MLPConfig
from nnkit.models.activations import activation_factory, gain
from nnkit.models.cnn import CNN
from nnkit.models.initialise import initialise
from nnkit.models.linear import Linear
from nnkit.models.mlp import MLP
from nnkit.spec import DataSpec

__all__ = ["build", "empty_model"]


def build(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    """Return the network of a config, on the CPU, with its first values.

    Args:
        config: its sections model, activation, init, regularization (dropout), and the seed.
        spec: what goes in.
        num_outputs: how many logits or values a sample come out.
    """
    model = empty_model(config, spec, num_outputs)
    initialise(model, config.init, config.seed, gain=gain(config.activation))
    return model


def empty_model(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    """Return the network of a config, on the CPU, its first values still to be set.

    Torch's layers fill themselves when they are made. Making them on the meta device would avoid that, but the first
    operation there imports torch's compiler, which takes seconds; so they are made here, and chance is put back.
    """
    before = torch.default_generator.get_state()
    model = _construct(config, spec, num_outputs)
    torch.default_generator.set_state(before)
    return model


def _construct(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    given = spec.inputs[0]
    activation = activation_factory(config.activation)
    dropout = config.regularization.dropout
    match config.model:
        case LinearConfig():
            return Linear(math.prod(given.shape), num_outputs)
        case MLPConfig(hidden=hidden, norm=norm, residual=residual):
            return MLP(
                math.prod(given.shape),
                num_outputs,
                hidden=hidden,
                norm=norm,
                residual=residual,
                activation=activation,
                dropout=dropout,
            )
        case CNNConfig() as chosen:
            channels, sizes = (
                (given.shape[0], given.shape[1:]) if given.kind == "image" else (given.shape[1], given.shape[:1])
            )
            settings = {name: getattr(chosen, name) for name in chosen.__slots__ if name != "kind"}
            return CNN(channels, sizes, num_outputs, **settings, activation=activation, dropout=dropout)
        case _:
            assert_never(config.model)
