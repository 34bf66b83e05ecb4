"""`nnkit train … --dry-run`: everything but the training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nnkit.config.schema import Config

if TYPE_CHECKING:
    from nnkit.assemble import Prepared
    from nnkit.data.batches import Samples
    from nnkit.summary import Layer
    from nnkit.train.run import Run


def dry_run(config: Config) -> None:
    """Check, load, build, take one batch forward and backward, and print what would be trained.

    Raises:
        NnkitError: whatever would have stopped the run.
    """
    from nnkit.assemble import assemble, prepare
    from nnkit.summary import layers
    from nnkit.train.device import worded_norms, worded_out_of_memory
    from nnkit.train.loop import take_step
    from nnkit.train.state import TrainState
    from nnkit.warm_start import look_for_start, start

    prepared = prepare(look_for_start(config))
    run = assemble(prepared, None)
    origin = start(run, prepared)
    state = TrainState(1, sums=run.metrics.zero(run.device))
    found = layers(run.model, prepared.spec)
    if run.parameters.names:
        run.model.train()
        if run.frozen is not None:
            run.frozen.hold(0)
        with worded_out_of_memory(prepared.config), worded_norms(prepared.config):
            take_step(run, next(iter(run.train.epoch(0))), state)
        run.check_weights(state)
    _print_layers(found, _paces(run, prepared.config))
    for name, text in _facts(prepared, run, found, state.first_loss).items():
        print(f"{name:<12}{text}")
    for line in (*origin.lines, *(f"warning: {text}" for text in origin.warnings)):
        print(f"{'start':<12}{line}")
    if config.cv.is_on:
        from nnkit.cli.folds import print_sizes

        print_sizes(config)


def _facts(prepared: Prepared, run: Run, found: Sequence[Layer], first_loss: float | None) -> dict[str, str]:
    from nnkit.facts import counts_of

    picked, splits, spec = prepared.config, prepared.splits, prepared.spec
    trainer, given = picked.trainer, spec.inputs[0]
    shape = "x".join(str(n) for n in given.shape)
    what = f"{spec.num_classes} classes" if spec.num_classes else f"{spec.num_targets} value(s)"
    rows = f"{len(splits.train)} train, {len(splits.val)} validation, {len(splits.test)} test"
    count, parameters = counts_of(run, 0)
    size = training_bytes(found, parameters, count - parameters, run.train.samples, run.micro_batch)
    first = "" if first_loss is None else f": {first_loss:.4g} on the first batch"
    planned = f"{len(run.train)} steps an epoch, at most {trainer.max_epochs} epochs"
    return {
        "data": f"{picked.data.kind}: {rows}; {given.kind} {shape} -> {what}",
        "parameters": f"{parameters:,} trainable" + (f", {count - parameters:,} frozen" if parameters < count else ""),
        "work": f"{sum(layer.flops for layer in found):,} FLOPs a sample, forward",
        "memory": f"about {size / 2**20:,.1f} MiB (data, weights, optimizer, activations)",
        "loss": f"{picked.loss.kind}{first}; watched: {run.monitor} ({run.mode})",
        "device": f"{trainer.device}, {trainer.precision}, {trainer.threads} thread(s)",
        "training": planned if parameters else "there is nothing to learn",
        **({} if run.augmentation is None else {"augmented": str(run.augmentation)}),
    }


def training_bytes(found: Sequence[Layer], parameters: int, frozen: int, samples: Samples, micro_batch: int) -> int:
    """Return about how many bytes a training holds: the data, the weights, two copies of the activations.

    What is trained has a gradient and two numbers of the optimizer beside each of its own.
    """
    from nnkit.data.ragged import Ragged

    parts = (*samples.inputs, samples.target, samples.weight)
    tensors = [x.values if isinstance(x, Ragged) else x for x in parts]
    data = sum(x.numel() * x.element_size() for x in tensors)
    activations = sum(math.prod(layer.shape) for layer in found) * micro_batch * 4
    return data + 4 * (4 * parameters + frozen) + 2 * activations


def _paces(run: Run, config: Config) -> dict[str, str]:
    """Return when and how fast each layer learns, by its name; nothing where all do at once and at the same rate."""
    from nnkit.optim.flat import Pace
    from nnkit.train.layers import paces_of

    paces, found = paces_of(run.model, config), dict[str, dict[str, str]]()
    for name, _ in run.model.named_parameters(remove_duplicate=False):
        opens, factor = paces.opens.get(name, 0), paces.learning.get(name, Pace()).factor
        at = [f"from epoch {opens + 1}"] if opens else []
        rate = [f"{factor:.3g} of the rate"] if factor != 1 else []
        layer, _, own = name.rpartition(".")
        found.setdefault(layer, {})[own] = "never" if opens is None else ", ".join([*at, *rate])
    return {layer: _pace(texts) for layer, texts in found.items() if any(texts.values())}


def _pace(texts: Mapping[str, str]) -> str:
    """Return in words when and how fast a layer learns, its parameters one by one where they differ."""
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{name} {text}" for name, text in texts.items() if text)


def _print_layers(found: Sequence[Layer], paces: Mapping[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "kind", "output shape", box=None, pad_edge=False)
    table.add_column("parameters", justify="right")
    if paces:
        table.add_column("learns")
    for layer in found:
        shape = "x".join(str(n) for n in layer.shape)
        row = [layer.name, layer.kind, shape, f"{layer.parameters:,}" if layer.parameters else ""]
        table.add_row(*row, *([paces.get(layer.name, "")] if paces else []))
    Console(width=None if Console().is_terminal else 100).print(table)
