"""From a config and a spec to a network with its first values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, assert_never

import torch
from torch import nn

from nnkit import usercode
from nnkit.config.schema import Config
from nnkit.config.sections.model import CNNConfig, CodeModelConfig, LinearConfig, MLPConfig
from nnkit.errors import ConfigError
from nnkit.models.activations import activation_factory, gain
from nnkit.models.cnn import CNN
from nnkit.models.initialise import initialise
from nnkit.models.linear import Linear
from nnkit.models.mlp import MLP
from nnkit.seeding import derive
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
    if isinstance(config.model, CodeModelConfig):
        return model  # its constructor has given it its first values, from the same seed
    initialise(model, config.init, config.seed, gain=gain(config.activation))
    return model


def empty_model(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    """Return the network of a config, on the CPU, its first values still to be set.

    Torch's layers fill themselves when they are made. Making them on the meta device would avoid that, but the first
    operation there imports torch's compiler, which takes seconds; so they are made here, and chance is put back.
    """
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(derive(config.seed, "init"))  # for what a user's constructor draws
    try:
        return _construct(config, spec, num_outputs)
    finally:
        torch.default_generator.set_state(before)


def _construct(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    given = spec.inputs[0]
    activation = activation_factory(config.activation)
    dropout = config.regularization.dropout
    match config.model:
        case LinearConfig():
            return Linear(math.prod(given.shape), num_outputs)
        case CodeModelConfig(code=code, kwargs=kwargs):
            return _users_model(code, kwargs, spec)
        case MLPConfig() as chosen:
            categories = [size for each in spec.inputs for size in each.sizes]
            width = sum(math.prod(each.shape) for each in spec.inputs if each.kind != "categories")
            return MLP(width, num_outputs, categories, **_settings(chosen), activation=activation, dropout=dropout)
        case CNNConfig() as chosen:
            channels, sizes = (
                (given.shape[0], given.shape[1:]) if given.kind == "image" else (given.shape[1], given.shape[:1])
            )
            return CNN(channels, sizes, num_outputs, **_settings(chosen), activation=activation, dropout=dropout)
        case _:
            assert_never(config.model)


def _settings(chosen: CNNConfig | MLPConfig) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in chosen.__slots__ if name != "kind"}


def _users_model(code: str, kwargs: Mapping[str, Any], spec: DataSpec) -> nn.Module:
    """Return the user's own network. Raises: ConfigError where its constructor fails, or it is no module."""
    try:
        model = usercode.load(code, key="model.code")(spec, **kwargs)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"model.code={code} failed: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
        raise ConfigError(f"model.code={code} must return an nn.Module with parameters, got {type(model).__name__}")
    return model
