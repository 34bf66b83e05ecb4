"""What a network is made of: layers, shapes, parameters, and the work of one sample. Counted, not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit.errors import ConfigError
from nnkit.models.recurrent import RecurrentLayers
from nnkit.spec import DataSpec, InputSpec
from nnkit.usercode import TRACEBACK, OwnCodeError, said


@final
@dataclass(frozen=True, slots=True)
class Layer:
    """One leaf module of a network.

    Attributes:
        name: its path in the model, such as "blocks.0.conv".
        kind: its class.
        shape: of its output, without the batch.
        parameters: trainable values.
        flops: multiplications and additions for one sample, forward.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    flops: int


def layers(model: nn.Module, spec: DataSpec) -> Sequence[Layer]:
    """Return the leaf modules in the order in which they run.

    Args:
        model: on any device; its weights may be anything. (Not on the meta device: the first operation there imports
            torch's compiler, which takes seconds.)
        spec: the shapes that go in; one sample of zeros goes through.

    Only linear maps and convolutions count as work: the rest is small beside them.
    """
    found: list[Layer] = []
    handles = []
    for name, module in model.named_modules():
        if not list(module.children()) and not isinstance(module, (nn.Identity, nn.Sequential, nn.ModuleList)):
            handles.append(module.register_forward_hook(_noting(found, name)))
    was_training = model.training
    device = next(model.parameters(), torch.empty(0)).device
    try:
        with torch.no_grad():
            model.eval()(*(zeros(given, 1, device) for given in spec.inputs))
    finally:
        model.train(was_training)
        for handle in handles:
            handle.remove()
    return found


def check_forward(model: nn.Module, spec: DataSpec, num_outputs: int, *, code: str) -> None:
    """Try a network with parts of the user's own on two samples of zeros.

    Args:
        model: on the CPU.
        spec: what goes in.
        num_outputs: how many numbers a sample must come out.
        code: the settings that name the user's parts, for the message.

    Raises:
        ConfigError: it fails, or what comes out has another shape.
    """
    try:
        with torch.no_grad():
            found = model.eval()(*(zeros(given, 2, torch.device("cpu")) for given in spec.inputs))
    except (Exception, SystemExit) as error:
        raise OwnCodeError(f"{code}: the network fails on two samples: {said(error)}", hint=TRACEBACK) from error
    shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
    wanted: tuple[int, ...] = (2, spec.inputs[0].shape[0], num_outputs) if spec.is_per_step else (2, num_outputs)
    if spec.is_per_pixel:
        wanted = (2, num_outputs, *spec.inputs[0].shape[1:])
    if shape != wanted:
        raise ConfigError(f"{code}: the network must give {wanted} for two samples, got {shape}")


def zeros(given: InputSpec, rows: int, device: torch.device) -> Tensor:
    """Return (rows, …) zeros as an input takes them."""
    if given.kind == "lengths":
        return torch.ones(rows, dtype=torch.int64, device=device)
    dtype = torch.int32 if given.kind in ("categories", "tokens") else torch.float32
    return torch.zeros(rows, *given.shape, dtype=dtype, device=device)


def _noting(found: list[Layer], name: str) -> Any:
    def note(module: nn.Module, _: Any, output: Any) -> None:
        if any(layer.name == name for layer in found):
            return  # a network that is fed its own forecasts runs once a step of the horizon
        output = output[0] if isinstance(output, tuple) else output  # recurrent layers give their states, too
        parameters = sum(p.numel() for p in module.parameters(recurse=False))
        shape = tuple(output.shape[1:] if len(output) == 1 else output.shape)  # a head reads each step as a row
        found.append(Layer(name, type(module).__name__, shape, parameters, _flops(module, output)))

    return note


def _flops(module: nn.Module, output: Tensor) -> int:
    if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
        return 2 * module.weight[0].numel() * output.numel()
    return module.flops(output.shape[1]) if isinstance(module, RecurrentLayers) else 0


def flops_per_sample(model: nn.Module, spec: DataSpec) -> int:
    """Return the floating-point operations of one sample's forward pass, as `layers` counts them."""
    return sum(layer.flops for layer in layers(model, spec))
