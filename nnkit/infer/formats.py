"""From a trained network to the bytes of a file that other programs run: ONNX, torch.export, safetensors.

ONNX goes through torch.export too. torch's older exporter is ten times quicker, but it records the path that one sample
took: a network that branches on its data would come out wrong, without a word.
"""

from __future__ import annotations

import io
import logging
import textwrap
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, ShapesCollection
from torch.fx import GraphModule

from nnkit.errors import ConfigError, NnkitError
from nnkit.infer.recurrences import onnx_recurrences, recurrences_by_shape
from nnkit.spec import InputSpec

Format = Literal["onnx", "torch_export", "safetensors"]

OUTPUT = "outputs"  # the name of the one tensor that comes out: logits or values
BATCH, TIME = "batch", "time"  # the names of the dimensions whose sizes are free
LEAST_STEPS = 3  # on which a free number of steps is traced: torch takes 1 for a constant, and 2 are the samples
ONNX_LIMIT_BYTES = 2_000_000_000  # a protobuf message ends at 2 GiB; the graph needs some of that
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
ANY_MODEL = "--format=safetensors takes any model"
LONGEST_REASON = 300  # characters
TORCH = Path(torch.__file__).parent


def to_onnx(
    model: nn.Module, inputs: Sequence[InputSpec], *, metadata: Mapping[str, str], free_time: bool = False
) -> bytes:
    """Return the network as one ONNX file, its weights included.

    Args:
        model: on the CPU, in eval mode; takes (B, …) in the order of `inputs`, gives one tensor (B, …).
        inputs: their names become the names of the graph's inputs; the output is called "outputs".
        metadata: text by name; becomes the file's metadata_props.
        free_time: whether the first input may have any number of steps; else it has those of its spec.

    Raises:
        ConfigError: a package is missing, or the weights are too large for one ONNX file.
        NnkitError: torch cannot trace the network, or ONNX has no operator for a part of it.
    """
    require_onnx()
    size = sum(t.numel() * t.element_size() for t in model.state_dict().values())
    if size >= ONNX_LIMIT_BYTES:
        raise ConfigError(
            f"--format=onnx holds less than 2 GB, but the weights of this model take {size / 1e9:.1f} GB",
            hint="--format=torch_export",
        )
    program = _traced(model, inputs, "onnx", free_time=free_time)
    with refusing("the model cannot be exported to onnx", hint=ANY_MODEL), quiet(), recurrences_by_shape():
        axes = tuple({0: BATCH, 1: TIME} if free_time and k == 0 else {0: BATCH} for k in range(len(inputs)))
        exported = torch.onnx.export(
            program, dynamo=True, verbose=False, dynamic_shapes=axes, custom_translation_table=onnx_recurrences()
        )
        assert exported is not None
        _set_names(exported.model.graph, [spec.name for spec in inputs])
        file = exported.model_proto
        _set_metadata(file, metadata)
        data: bytes = file.SerializeToString()
    return data


def to_torch_export(
    model: nn.Module, inputs: Sequence[InputSpec], *, metadata: Mapping[str, str], free_time: bool = False
) -> bytes:
    """Return the network as a .pt2 file, which torch.export.load runs without the code of the network.

    Args:
        model: as for `to_onnx`.
        inputs: as for `to_onnx`; the program takes them by position.
        metadata: text by name; becomes the file's extra_files.
        free_time: as for `to_onnx`.

    Raises:
        NnkitError: torch cannot trace the network.
    """
    program = _traced(model, inputs, "torch_export", free_time=free_time)
    buffer = io.BytesIO()
    with refusing("the model cannot be exported to torch_export", hint=ANY_MODEL), quiet():
        torch.export.save(program, buffer, extra_files=dict(metadata))
    return buffer.getvalue()


def to_safetensors(model: nn.Module, *, metadata: Mapping[str, str]) -> bytes:
    """Return the weights and buffers alone, by name, as a safetensors file; `metadata` goes into its header."""
    # Copies, for safetensors refuses two names of the same memory, as tied weights have.
    tensors = {k: v.detach().cpu().clone(memory_format=torch.contiguous_format) for k, v in model.state_dict().items()}
    return safetensors.torch.save(tensors, dict(metadata))


def require_onnx() -> None:
    """Import what ONNX needs, to export and to check. Raises: ConfigError, where a package is missing."""
    try:
        with quiet():
            for name in ONNX_PACKAGES:
                import_module(name)
    except ImportError as error:
        *most, last = ONNX_PACKAGES
        raise ConfigError(
            f"--format=onnx needs the packages {', '.join(most)} and {last}", hint="pip install 'nnkit[export]'"
        ) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what torch and ONNX have to say to their own developers from the terminal and from the logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


@contextmanager
def refusing(what: str, *, hint: str = "") -> Iterator[None]:
    """Turn an exception of torch, ONNX or the user's code into one line. Raises: NnkitError."""
    try:
        yield
    except NnkitError:
        raise
    except Exception as error:
        raise NnkitError(f"{what}: {_reason(error)}", hint=hint) from error


def _reason(error: BaseException) -> str:
    """Return the first paragraph of the first cause, and the line of the network's `forward` where it arose."""
    while error.__cause__ is not None:
        error = error.__cause__
    paragraph = str(error).strip().split("\n\n")[0] or type(error).__name__
    reason = textwrap.shorten(paragraph, LONGEST_REASON, placeholder=" …").removesuffix(".")
    lines = [
        f"{frame.filename}, line {frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.name == "forward" and frame.filename.endswith(".py") and TORCH not in Path(frame.filename).parents
    ]
    return f"{reason} ({lines[-1]})" if lines else reason


def _traced(model: nn.Module, inputs: Sequence[InputSpec], kind: Format, *, free_time: bool) -> ExportedProgram:
    """Return the network as a graph that takes any batch size and holds nothing of this machine or of the data."""
    assert not model.training
    samples = [_blank(spec) for spec in inputs]
    shapes = ShapesCollection()  # type: ignore[no-untyped-call]
    batch, time = Dim(BATCH), Dim(TIME)
    if free_time:
        first = inputs[0]
        samples[0] = _blank(replace(first, shape=(max(first.shape[0], LEAST_STEPS), *first.shape[1:])))
    for k, sample in enumerate(samples):
        shapes[sample] = {0: batch, 1: time} if free_time and k == 0 else {0: batch}
    with refusing(f"the model cannot be exported to {kind}", hint=ANY_MODEL), quiet(), recurrences_by_shape():
        program = torch.export.export(model, tuple(samples), dynamic_shapes=shapes)
    for module in program.graph_module.modules():
        for node in module.graph.nodes if isinstance(module, GraphModule) else ():
            node.meta.pop("stack_trace", None)  # source lines, and paths on this machine
    return program


def _blank(spec: InputSpec) -> Tensor:
    """Return two samples (torch takes sizes 0 and 1 for constants) of nothing, since the file keeps what it sees."""
    if spec.kind == "lengths":
        return torch.ones(2, dtype=torch.int64)
    dtype = torch.int32 if spec.kind in ("categories", "tokens") else torch.float32
    return torch.zeros(2, *spec.shape, dtype=dtype)


def _set_names(graph: Any, names: Sequence[str]) -> None:
    """Name what goes in and comes out. torch would do it too, but not look whether a value between has the name."""
    taken = {*names, OUTPUT}
    for value in (*graph.initializers.values(), *(v for node in graph.all_nodes() for v in node.outputs)):
        if value.name in taken:
            value.name = f"{value.name}.inside"
    for value, name in zip((*graph.inputs, *graph.outputs), (*names, OUTPUT), strict=True):
        value.name = name


def _set_metadata(file: Any, metadata: Mapping[str, str]) -> None:
    """Replace the exporter's notes on each part of the graph, half of a small file, by ours on the whole."""
    graph = file.graph
    for part in (file, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
    for name, text in metadata.items():
        file.metadata_props.add(key=name, value=text)
