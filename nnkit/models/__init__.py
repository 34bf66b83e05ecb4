"""From a config and a spec to a network with its first values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import torch
from torch import nn

from nnkit import usercode
from nnkit.config.schema import Config
from nnkit.config.sections.model import (
    CNNConfig,
    CodeModelConfig,
    GRUConfig,
    LinearConfig,
    LSTMConfig,
    MLPConfig,
    NaiveConfig,
    PretrainedConfig,
    RecurrentConfig,
    RNNConfig,
    UNetConfig,
)
from nnkit.config.sections.sequences import ForecastConfig
from nnkit.errors import ConfigError
from nnkit.models.activations import activation_factory, gain
from nnkit.models.cnn import CNN
from nnkit.models.forecasting import Recursive, WindowNorm
from nnkit.models.gru import GRU
from nnkit.models.initialise import initialise
from nnkit.models.layout import SequenceLayout
from nnkit.models.linear import Linear
from nnkit.models.lstm import LSTM
from nnkit.models.mlp import MLP
from nnkit.models.naive import Naive
from nnkit.models.pretrained import pretrained
from nnkit.models.rnn import RNN
from nnkit.models.unet import UNet
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
    if isinstance(config.model, CodeModelConfig | PretrainedConfig):
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
    """Return the network, and around it what a forecast needs."""
    section, target = config.data, spec.target
    if not isinstance(section, ForecastConfig) or isinstance(config.model, NaiveConfig | CodeModelConfig):
        return _network(config, spec, num_outputs)
    is_recursive = section.strategy == "recursive"
    model = _network(config, spec, num_outputs // target.horizon if is_recursive else num_outputs)
    if section.window_norm != "none":
        model = WindowNorm(model, target.channels, section.window_norm)
    return Recursive(model, target.horizon, target.channels) if is_recursive else model


def _network(config: Config, spec: DataSpec, num_outputs: int) -> nn.Module:
    shared: dict[str, Any] = {
        "activation": activation_factory(config.activation),
        "dropout": config.regularization.dropout,
    }
    match config.model:
        case LinearConfig():
            return Linear(sum(math.prod(given.shape) for given in spec.inputs), num_outputs)
        case CodeModelConfig(code=code, kwargs=kwargs):
            return _users_model(code, kwargs, spec)
        case PretrainedConfig() as chosen:
            scaling = getattr(config.data, "scaling", "none")
            return pretrained(chosen, spec.inputs[0].shape, num_outputs, scaling=scaling)
        case NaiveConfig(method=method):
            assert isinstance(config.data, ForecastConfig)
            past: Literal["last", "seasonal"] = "seasonal" if method == "seasonal" else "last"
            return Naive(spec.target.channels, spec.target.horizon, config.data.season, method=past)
        case MLPConfig() as chosen:
            categories = [size for each in spec.inputs if each.kind == "categories" for size in each.sizes]
            width = sum(math.prod(each.shape) for each in spec.inputs if each.kind != "categories")
            return MLP(width, num_outputs, categories, **_settings(chosen), **shared)
        case CNNConfig() as chosen:
            return _cnn(chosen, spec, num_outputs, shared)
        case UNetConfig() as chosen:
            return UNet(spec.inputs[0].shape[0], num_outputs, **_settings(chosen), **shared)
        case RNNConfig() as chosen:
            return RNN(SequenceLayout.of(spec), num_outputs, **_settings(chosen), **shared)
        case LSTMConfig() as chosen:
            return LSTM(SequenceLayout.of(spec), num_outputs, **_settings(chosen), **shared)
        case GRUConfig() as chosen:
            return GRU(SequenceLayout.of(spec), num_outputs, **_settings(chosen), **shared)
        case _:
            assert_never(config.model)


def _cnn(chosen: CNNConfig, spec: DataSpec, num_outputs: int, shared: Mapping[str, Any]) -> nn.Module:
    given = spec.inputs[0]
    if given.kind == "image":
        return CNN(given.shape[0], given.shape[1:], num_outputs, None, **_settings(chosen), **shared)
    layout = SequenceLayout.of(spec)
    return CNN(layout.in_features, (layout.steps,), num_outputs, layout, **_settings(chosen), **shared)


def _settings(chosen: CNNConfig | MLPConfig | UNetConfig | RecurrentConfig) -> dict[str, Any]:
    return {name: getattr(chosen, name) for name in chosen.__slots__ if name != "kind"}


def _users_model(code: str, kwargs: Mapping[str, Any], spec: DataSpec) -> nn.Module:
    """Return the user's own network. Raises: ConfigError where its constructor fails, or it is no module."""
    model = usercode.made(code, kwargs, spec, key="model.code")
    if not isinstance(model, nn.Module) or not any(p.requires_grad for p in model.parameters()):
        raise ConfigError(f"model.code={code} must return an nn.Module with parameters, got {type(model).__name__}")
    return model
