"""`nnkit train … --dry-run`: everything but the training."""

from __future__ import annotations

import math

from nnkit.config.schema import Config


def dry_run(config: Config) -> None:
    """Check, load, build, take one batch forward and backward, and print what would be trained.

    Raises:
        NnkitError: whatever would have stopped the run.
    """
    from nnkit.assemble import assemble, count_parameters, prepare
    from nnkit.summary import layers
    from nnkit.train.loop import take_step
    from nnkit.train.state import TrainState

    prepared = prepare(config)
    run = assemble(prepared, None)
    state = TrainState(1, sums=run.metrics.zero(run.device))
    found = layers(run.model, prepared.spec)
    run.model.train()
    take_step(run, next(iter(run.train.epoch(0))), state)
    parameters, flops = count_parameters(run.model), sum(layer.flops for layer in found)
    picked, splits, spec = prepared.config, prepared.splits, prepared.spec
    rows = f"{len(splits.train)} train, {len(splits.val)} validation, {len(splits.test)} test"
    shape = "x".join(str(n) for n in spec.inputs[0].shape)
    what = f"{spec.num_classes} classes" if spec.num_classes else f"{spec.num_targets} value(s)"
    trainer = picked.trainer
    _print_layers(found)
    print(f"data        {picked.data.kind}: {rows}; {spec.inputs[0].kind} {shape} -> {what}")
    print(f"parameters  {parameters:,} trainable")
    print(f"work        {flops:,} FLOPs a sample, forward")
    print(f"memory      about {_memory(run_bytes(found, parameters, run.train.samples, run.micro_batch)):s}")
    print(
        f"loss        {picked.loss.kind}: {state.first_loss:.4g} on the first batch (watched: {run.monitor}, {run.mode})"
    )
    print(f"device      {trainer.device}, {trainer.precision}, {trainer.threads} thread(s)")
    print(f"training    {len(run.train)} steps an epoch, at most {trainer.max_epochs} epochs")


def run_bytes(found: object, parameters: int, samples: object, micro_batch: int) -> int:
    """Return an estimate of the bytes that a training holds: data, four copies of the weights, two of the activations."""
    from nnkit.data.batches import Samples
    from nnkit.summary import Layer

    assert isinstance(samples, Samples)
    layers = [layer for layer in found if isinstance(layer, Layer)]  # type: ignore[attr-defined]
    data = sum(x.numel() * x.element_size() for x in (*samples.inputs, samples.target, samples.weight))
    activations = sum(math.prod(layer.shape) for layer in layers) * micro_batch * 4
    return data + 4 * 4 * parameters + 2 * activations


def _memory(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB (data, weights, optimizer, activations)"


def _print_layers(found: object) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("layer", "kind", "output shape", box=None, pad_edge=False)
    table.add_column("parameters", justify="right")
    for layer in found:  # type: ignore[attr-defined]
        shape = "x".join(str(n) for n in layer.shape)
        table.add_row(layer.name, layer.kind, shape, f"{layer.parameters:,}" if layer.parameters else "")
    Console(width=None if Console().is_terminal else 100).print(table)
