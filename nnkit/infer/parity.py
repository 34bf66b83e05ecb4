"""Does an exported file compute what the network computes?"""

# B batch

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, final

import safetensors.torch
import torch
from torch import Tensor, nn

from nnkit.infer.formats import Format, quiet, refusing, require_onnx

TOLERANCE = 1e-5  # of the relative difference; float32 keeps 7 digits, and a sum over a layer loses one or two
BATCH_SIZES = (1, 2, 7)  # 1 is what a service asks for, and what a traced graph most easily gets wrong
SILENT = 4  # onnxruntime's log level: fatal errors alone; all others reach us as exceptions

Batch = tuple[Tensor, ...]
Runner = Callable[[Batch], Tensor]


@final
@dataclass(frozen=True, slots=True)
class Parity:
    """How far the outputs of a file are from those of the network.

    Attributes:
        max_abs_difference: the largest |y' - y|; nan where either is nan, inf where the shapes differ.
        max_relative_difference: the largest |y' - y| / max(1, |y|).
        samples: how many different samples were compared.
        batch_sizes: the sizes of the batches that they came in.
        runner: what ran the file.
    """

    max_abs_difference: float
    max_relative_difference: float
    samples: int
    batch_sizes: tuple[int, ...]
    runner: str

    @property
    def is_close(self) -> bool:
        """Tell whether the file may be trusted."""
        return self.max_relative_difference <= TOLERANCE


@torch.no_grad()
def check(kind: Format, data: bytes, model: nn.Module, example: Batch) -> Parity:
    """Run a file from its bytes, and compare with the network.

    Args:
        kind: what `data` is.
        data: a whole file, as made by `nnkit.infer.formats`.
        model: the network it was made from, on the CPU, in eval mode.
        example: one tensor (B, …) an input, B >= 1; smaller and larger batches are made of the same rows.

    Raises:
        ConfigError: onnxruntime is missing.
        NnkitError: the file cannot be loaded, or fails on one of the batches.
    """
    assert not model.training
    with refusing(f"the exported {kind} file cannot be loaded"), quiet():
        runner, run = _loaded(kind, data, model)
    available = len(example[0])
    sizes = tuple(sorted({*BATCH_SIZES, available}))
    absolute, relative = [], []
    for size in sizes:
        batch = tuple(x[torch.arange(size) % available] for x in example)
        with refusing(f"the exported {kind} file fails on a batch of {size}"), quiet():
            given = run(batch)
        expected = model(*batch).double()
        difference = _difference(given, expected)
        absolute.append(difference.max())
        relative.append((difference / expected.abs().clamp(min=1)).max())
    # torch's maximum keeps a nan; Python's may lose it.
    return Parity(float(torch.stack(absolute).max()), float(torch.stack(relative).max()), available, sizes, runner)


def _difference(given: Tensor, expected: Tensor) -> Tensor:
    """Return |given - expected|, of the shape of `expected`."""
    if given.shape != expected.shape:
        return torch.full_like(expected, torch.inf)
    return (given.double() - expected).abs()


def _loaded(kind: Format, data: bytes, model: nn.Module) -> tuple[str, Runner]:
    """Return the name of what runs the file, and a function from a batch to its outputs."""
    match kind:
        case "onnx":
            return _load_onnx(data)
        case "torch_export":
            return _load_torch_export(data)
        case "safetensors":
            return _load_safetensors(data, model)


def _load_onnx(data: bytes) -> tuple[str, Runner]:
    require_onnx()
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = SILENT
    session = runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(batch: Batch) -> Tensor:
        (outputs,) = session.run(None, {name: x.numpy() for name, x in zip(names, batch, strict=True)})
        return torch.from_numpy(outputs)

    return f"onnxruntime {runtime.__version__}", run


def _load_torch_export(data: bytes) -> tuple[str, Runner]:
    program = torch.export.load(io.BytesIO(data)).module()
    return "torch.export", lambda batch: program(*batch)


def _load_safetensors(data: bytes, model: nn.Module) -> tuple[str, Runner]:
    fresh = copy.deepcopy(model)
    for tensor in fresh.state_dict().values():
        tensor.zero_()
    fresh.load_state_dict(safetensors.torch.load(data))
    return "safetensors into a fresh copy", lambda batch: fresh(*batch)
