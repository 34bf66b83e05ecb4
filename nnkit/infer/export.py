"""`nnkit export`: a finished run's network as a file for other programs, compared with PyTorch on real samples."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.batches import Batches
from nnkit.errors import ConfigError, DataError, NnkitError
from nnkit.infer.finished import Finished
from nnkit.infer.formats import TIME, Format, to_onnx, to_safetensors, to_torch_export
from nnkit.infer.labelled import own_rows
from nnkit.infer.parity import TOLERANCE, Parity, check
from nnkit.spec import InputSpec, Task

SAMPLES = 256  # of the test set, on which the file is compared
FEW_SAMPLES = 8  # where each pixel has an answer
LONGER = 3  # steps that a file for any number of them is tried with besides
OF_TEXT = ("tokens", "lower", "max_length")
BEHIND = "what stands behind the end of a sequence means nothing"
MEANINGS: dict[Task, str] = {
    "classification": "logits, one a class; one logit of the second class where there is a single one",
    "multilabel": "logits, one a label",
    "regression": "values; undo the scale of preprocess.target",
    "tagging": f"logits (batch, time, classes), one a class for each step; {BEHIND}",
    "forecast": "values (batch, horizon * targets), the targets of the first step ahead first; undo the scale of "
    "preprocess.target, target by target",
    "segmentation": "logits (batch, classes, height, width), one a class for each pixel",
    "language": "logits (batch, time, vocabulary) of the token behind each one; the state before the first is zero",
}


def export(run: Finished, kind: Format) -> tuple[bytes, Parity, str]:
    """Return the file, how far its outputs are from the network's, and what they were compared on.

    Where sequences vary in length, or each step has an answer, the file takes any number of steps; a network of the
    user's own that cannot be recorded so takes as many as the longest sequence of training has.

    Raises:
        ConfigError: packages are missing, or the run is an ensemble.
        NnkitError: the network cannot be exported, or the file's outputs differ.
    """
    if run.members:
        told = f"{run.folder} is an ensemble of {len(run.members)} networks, but a file holds one"
        raise ConfigError(told, hint=f"nnkit export {run.members[0].folder} --format {kind}")
    model = copy.deepcopy(run.model).cpu().to(memory_format=torch.contiguous_format)
    data, is_free = _made(run, kind, model)
    example, on = _example(run, is_free=is_free)
    found = check(kind, data, model, example)
    if is_free:
        other = check(kind, data, model, _of_other_length(example))
        found = max(found, other, key=lambda parity: parity.max_relative_difference)
    if not found.is_close:
        raise NnkitError(
            f"the {kind} file differs from the network by {found.max_relative_difference:.2g}, more than {TOLERANCE:g}"
        )
    return data, found, on


def _made(run: Finished, kind: Format, model: nn.Module) -> tuple[bytes, bool]:
    """Return the file, and whether it takes any number of steps."""
    varies = run.spec.has_lengths or run.spec.is_per_step
    if kind == "safetensors":
        return to_safetensors(model, metadata=_metadata(run, is_free=varies)), varies
    make = to_onnx if kind == "onnx" else to_torch_export
    if varies:
        with suppress(NnkitError):
            return make(model, run.spec.inputs, metadata=_metadata(run, is_free=True), free_time=True), True
    return make(model, run.spec.inputs, metadata=_metadata(run, is_free=False)), False


def _metadata(run: Finished, *, is_free: bool) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in description(run, is_free=is_free).items()}


def description(run: Finished, *, is_free: bool = False) -> dict[str, Any]:
    """Return what a program needs to know to feed the file and to understand its answers, as plain data.

    `inputs`: name, kind, shape and sizes of each, "time" in a shape for a free number of steps (`is_free`);
    `preprocess`: what was fitted on the training rows; `features`: for a table, the name of each feature; `text`: how a
    text is cut into tokens; `outputs`: what they are.
    """
    table, section = run.preprocess.table, run.config.data
    meaning = MEANINGS[run.spec.task]
    if run.config.loss.kind == "poisson":
        meaning = "logarithms of the rates"
    shapes = [list[Any](each.shape) for each in run.spec.inputs]
    if is_free:
        shapes[0][0] = TIME
    return {
        "task": run.spec.task,
        "classes": list(run.spec.target.classes),
        "targets": list(run.spec.target.names),
        "decision_threshold": run.threshold,
        "inputs": [
            {"name": each.name, "kind": each.kind, "shape": shape, "sizes": list(each.sizes)}
            for each, shape in zip(run.spec.inputs, shapes, strict=True)
        ],
        "features": [] if table is None else list(table.feature_names()),
        "text": {name: getattr(section, name) for name in OF_TEXT} if isinstance(section, TextConfig) else {},
        "preprocess": run.preprocess.to_plain(),
        "outputs": meaning,
    }


def _example(run: Finished, *, is_free: bool) -> tuple[tuple[Tensor, ...], str]:
    """Return samples as the network takes them: of the test set, or made up where the data is not there any more."""
    try:
        source, rows = own_rows(run, "test")
    except DataError as error:
        return _made_up(run.spec.inputs), f"{SAMPLES} made-up samples, since {error}"
    steps = run.spec.inputs[0].shape[0]
    count = FEW_SAMPLES if run.spec.is_per_pixel else SAMPLES
    if run.spec.has_lengths and not is_free:
        rows = rows[source.inputs[0].lengths[rows] <= steps]
    samples = run.samples(source, rows[:count])
    if not len(samples):
        return _made_up(run.spec.inputs), f"{SAMPLES} made-up samples, since those of the test set are too long"
    batches = Batches(samples, size=count, shuffle=False, drop_last=False, seed=0)
    inputs = tuple(x.cpu() for x in next(batches.epoch(0)).inputs)
    if run.spec.has_lengths and not is_free:
        inputs = (_longer(inputs[0], steps - inputs[0].shape[1]), *inputs[1:])
    return inputs, f"{len(samples)} samples of the test set"


def _longer(x: Tensor, steps: int) -> Tensor:
    """Return sequences (B, T, …) with so many empty steps behind them."""
    return torch.cat([x, x.new_zeros(len(x), steps, *x.shape[2:])], 1)


def _of_other_length(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return sequences of another number of steps: longer ones where their lengths are known, else their first half."""
    x, *others = inputs
    return (_longer(x, LONGER) if others else x[:, : max(1, x.shape[1] // 2)], *others)


def _made_up(inputs: Sequence[InputSpec]) -> tuple[Tensor, ...]:
    generator, made = torch.Generator().manual_seed(0), []
    for each in inputs:
        if each.kind == "lengths":
            made.append(torch.randint(1, inputs[0].shape[0] + 1, (SAMPLES,), generator=generator))
        elif each.kind == "tokens":
            shape = (SAMPLES, *each.shape)
            made.append(torch.randint(each.sizes[0], shape, generator=generator, dtype=torch.int32))
        elif each.kind == "categories":
            columns = [torch.randint(n, (SAMPLES,), generator=generator, dtype=torch.int32) for n in each.sizes]
            made.append(torch.stack(columns, 1))
        else:
            made.append(torch.randn(SAMPLES, *each.shape, generator=generator))
    return tuple(made)
