"""`nnkit export`: a finished run's network as a file for other programs, compared with PyTorch on real samples."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nnkit.errors import DataError, NnkitError
from nnkit.infer.finished import Finished
from nnkit.infer.formats import Format, to_onnx, to_safetensors, to_torch_export
from nnkit.infer.labelled import own_rows
from nnkit.infer.parity import TOLERANCE, Parity, check
from nnkit.spec import InputSpec

SAMPLES = 256  # of the test set, on which the file is compared


def export(run: Finished, kind: Format) -> tuple[bytes, Parity, str]:
    """Return the file, how far its outputs are from the network's, and what they were compared on.

    Raises:
        ConfigError: packages are missing.
        NnkitError: the network cannot be exported, or the file's outputs differ.
    """
    model = copy.deepcopy(run.model).cpu().to(memory_format=torch.contiguous_format)
    example, on = _example(run)
    data = _made(run, kind, model)
    found = check(kind, data, model, example)
    if not found.is_close:
        raise NnkitError(
            f"the {kind} file differs from the network by {found.max_relative_difference:.2g}, more than {TOLERANCE:g}"
        )
    return data, found, on


def _made(run: Finished, kind: Format, model: nn.Module) -> bytes:
    metadata = {name: json.dumps(value) for name, value in description(run).items()}
    if kind == "onnx":
        return to_onnx(model, run.spec.inputs, metadata=metadata)
    if kind == "torch_export":
        return to_torch_export(model, run.spec.inputs, metadata=metadata)
    return to_safetensors(model, metadata=metadata)


def description(run: Finished) -> dict[str, Any]:
    """Return what a program needs to know to feed the file and to understand its answers, as plain data.

    `inputs`: name, kind, shape and sizes of each; `preprocess`: what was fitted on the training rows;
    `features`: for a table, the name of each feature; `outputs`: what they are.
    """
    table = run.preprocess.table
    meaning = {
        "classification": "logits, one a class; one logit of the second class where there is a single one",
        "multilabel": "logits, one a label",
        "regression": "values; undo the scale of preprocess.target",
    }[run.spec.task]
    if run.config.loss.kind == "poisson":
        meaning = "logarithms of the rates"
    return {
        "task": run.spec.task,
        "classes": list(run.spec.target.classes),
        "targets": list(run.spec.target.names),
        "decision_threshold": run.threshold,
        "inputs": [
            {"name": each.name, "kind": each.kind, "shape": list(each.shape), "sizes": list(each.sizes)}
            for each in run.spec.inputs
        ],
        "features": [] if table is None else list(table.feature_names()),
        "preprocess": run.preprocess.to_plain(),
        "outputs": meaning,
    }


def _example(run: Finished) -> tuple[tuple[Tensor, ...], str]:
    """Return samples as the network takes them: of the test set, or made up where the data is not there any more."""
    try:
        source, rows = own_rows(run, "test")
    except DataError as error:
        return _made_up(run.spec.inputs), f"{SAMPLES} made-up samples, since {error}"
    rows = rows[:SAMPLES]
    inputs = zip(*run.batches_of(run.samples(source, rows)), strict=True)
    return tuple(torch.cat(x).cpu() for x in inputs), f"{len(rows)} samples of the test set"


def _made_up(inputs: Sequence[InputSpec]) -> tuple[Tensor, ...]:
    generator, made = torch.Generator().manual_seed(0), []
    for each in inputs:
        if each.kind == "categories":
            columns = [torch.randint(n, (SAMPLES,), generator=generator, dtype=torch.int32) for n in each.sizes]
            made.append(torch.stack(columns, 1))
        else:
            made.append(torch.randn(SAMPLES, *each.shape, generator=generator))
    return tuple(made)
