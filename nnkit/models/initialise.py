"""First values: constructors draw no random numbers, this does, from one stream a parameter."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nnkit.config.sections.init import ConstantInitConfig, DefaultInitConfig, InitConfig
from nnkit.seeding import derive

OUTPUT = "output"  # the name of each model's last layer; no activation follows it


def initialise(model: nn.Module, config: InitConfig, seed: int, *, gain: float) -> None:
    """Give every parameter and buffer of a model its first value.

    Args:
        model: on the CPU; whatever values it has are overwritten.
        config: the rule for the weights of linear and convolution layers, and for their biases.
        seed: each layer draws from the stream (seed, "init", its name), so adding one changes no other.
        gain: of the activation, for `gain: auto`; the output layer has 1.

    Raises: nothing.
    Source: Glorot & Bengio 2010 (xavier), He et al. 2015, Saxe et al. 2014 (orthogonal), LeCun et al. 1998.
    """
    generator = torch.default_generator  # not torch.manual_seed: its first call imports torch's compiler
    before = generator.get_state()
    for name, module in model.named_modules():
        generator.manual_seed(derive(seed, "init", name))
        is_layer = isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d))
        if is_layer and not isinstance(config, DefaultInitConfig):
            _fill(module, config, 1.0 if name.rpartition(".")[2] == OUTPUT else gain)
        elif callable(reset := getattr(module, "reset_parameters", None)):
            reset()
    generator.set_state(before)


@torch.no_grad()
def _fill(layer: nn.Module, config: InitConfig, gain: float) -> None:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    assert not isinstance(config, DefaultInitConfig)
    if isinstance(bias, Tensor):
        bias.fill_(config.bias)
    if isinstance(config, ConstantInitConfig):
        weight.fill_(config.value)
        return
    gain = gain if config.gain == "auto" else config.gain
    if config.kind == "orthogonal":
        nn.init.orthogonal_(weight, gain)
        return
    fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(weight)
    fan = (fan_in + fan_out) / 2 if config.kind.startswith("xavier") else fan_in
    deviation = gain / math.sqrt(fan)
    if config.kind.endswith("uniform"):
        bound = math.sqrt(3) * deviation
        weight.uniform_(-bound, bound)
    else:
        weight.normal_(0, deviation)
