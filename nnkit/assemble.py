"""From a checked config to a wired training: data, spec, second check, picks for every `auto`, model, rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn

from nnkit import data
from nnkit.config.cross import DEFAULT_MONITOR, DataFacts, better_at, data_problems
from nnkit.config.schema import Config
from nnkit.config.sections.activation import CodeActivationConfig
from nnkit.config.sections.data import (
    PATHS,
    ArrayConfig,
    CodeDataConfig,
    DataConfig,
    ImagesConfig,
    TableConfig,
    TorchvisionConfig,
)
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.config.sections.model import CodeModelConfig, MLPConfig, ModelConfig
from nnkit.data.batches import Batches, Samples, balanced_chances, encode
from nnkit.data.preprocess import Preprocess, fit_preprocess
from nnkit.data.scaling import Scale
from nnkit.data.tabular import Rules
from nnkit.errors import ConfigError, Problem
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.multilabel import MultilabelMetrics
from nnkit.metrics.own import InUnits, WithOwn
from nnkit.metrics.regression import RegressionMetrics
from nnkit.metrics.threshold import best_threshold
from nnkit.models import build, empty_model
from nnkit.models.embeddings import embedding_width
from nnkit.objective import Objective
from nnkit.objective.losses import class_weights, num_outputs, resolve_loss
from nnkit.objective.predictions import predicted_classes, predicted_labels, predicted_values, probabilities
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer
from nnkit.spec import DataSpec, Task
from nnkit.summary import check_forward, flops_per_sample
from nnkit.train.device import Arithmetic, devices, pick_device, pick_precision, pick_threads
from nnkit.train.loop import outputs_of
from nnkit.train.run import Metrics, Run
from nnkit.train.saver import Saver


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """Data and picks, before anything is built.

    Attributes:
        config: with every `auto` replaced by its pick.
        source: the data.
        splits: its rows.
        preprocess: fitted on the training rows.
    """

    config: Config
    source: data.Source
    splits: data.Splits
    preprocess: Preprocess

    @property
    def spec(self) -> DataSpec:
        """The contract of data and model."""
        return self.preprocess.spec

    @property
    def num_outputs(self) -> int:
        """How many numbers a sample the network puts out."""
        return num_outputs(self.config.loss, self.spec)


def prepare(config: Config, preprocess: Preprocess | None = None) -> Prepared:
    """Read and split the data, check the words against it, and replace every `auto` by its pick.

    Args:
        config: checked.
        preprocess: of a run that has begun; None fits one on the training rows.

    Raises:
        DataError: the data cannot be used.
        ConfigError: the words do not fit the data, or this machine.
    """
    source = data.read(config.data)
    splits: data.Splits | None = None
    problems: list[Problem] = []
    try:
        splits = data.split_by(config.data, source)
    except ConfigError as error:
        problems += error.problems
    rows = np.arange(len(source)) if splits is None else splits.train
    scaling = _target_scaling(config, source.task)
    if preprocess is None:
        rules = table_rules(config.data) if isinstance(config.data, TableConfig) else None
        preprocess = fit_preprocess(source, rows, scaling=config.data.scaling, target_scaling=scaling, rules=rules)
    spec = preprocess.spec
    smallest = float(source.target.min()) if spec.task == "regression" else 0.0
    problems += data_problems(config, spec, DataFacts(len(rows), smallest, devices()))
    if problems or splits is None:
        raise ConfigError(*problems)
    return Prepared(_pick(config, spec, len(splits.train), scaling, source.rows.names), source, splits, preprocess)


def table_rules(section: TableConfig) -> Rules:
    """Return how a section says that a table's columns are encoded."""
    return Rules(**{field.name: getattr(section, field.name) for field in fields(Rules)})


def _target_scaling(config: Config, task: Task) -> str:
    """Return the scaling of the target: as wanted, or for "auto" by task and loss."""
    wanted = getattr(config.data, "target_scaling", "none")
    if wanted != "auto":
        return str(wanted)
    return "none" if task != "regression" or config.loss.kind == "poisson" else "standard"


def _pick(config: Config, spec: DataSpec, num_train: int, target_scaling: str, names: Sequence[str]) -> Config:
    """Replace every `auto`, by rules that look at words and sizes alone."""
    loss = resolve_loss(config.loss, spec)
    trainer = config.trainer
    monitor = DEFAULT_MONITOR if trainer.monitor == "auto" else trainer.monitor
    mode = better_at(config, monitor) if trainer.mode == "auto" else trainer.mode
    device = pick_device(trainer.device)
    section = _pick_data(config.data, spec, target_scaling, names)
    picked = replace(config, loss=loss, data=section, model=_pick_model(config.model, spec))
    model = empty_model(picked, spec, num_outputs(loss, spec))
    if code := _own_parts(config):
        check_forward(model, spec, num_outputs(loss, spec), code=code)
    flops = flops_per_sample(model, spec)
    threads = pick_threads(trainer.threads, flops * _batch_size(config, num_train))
    precision = pick_precision(trainer.precision, device)
    picks: dict[str, Any] = {
        "monitor": monitor,
        "mode": mode,
        "device": device,
        "threads": threads,
        "precision": precision,
    }
    return replace(picked, trainer=replace(trainer, **picks))


def _own_parts(config: Config) -> str:
    """Return the settings that name parts of the network that are the user's own; empty where there are none."""
    parts = {"model": config.model, "activation": config.activation}
    return ", ".join(
        f"{n}.code={p.code}" for n, p in parts.items() if isinstance(p, CodeModelConfig | CodeActivationConfig)
    )


def _pick_data(section: DataConfig, spec: DataSpec, target_scaling: str, names: Sequence[str]) -> DataConfig:
    """Make a data section's paths absolute, and replace what it left open."""
    changes: dict[str, Any] = {}
    for name in PATHS:
        value = getattr(section, name, None)
        if isinstance(value, str):
            changes[name] = str(data.absolute(value))
        elif isinstance(value, list):
            changes[name] = [str(data.absolute(path)) for path in value]
    if hasattr(section, "target_scaling"):
        changes["target_scaling"] = target_scaling
    if isinstance(section, TableConfig) and names:  # a later file without a header may lack the target
        changes["names"] = list(names)
    if isinstance(section, (ImagesConfig, TorchvisionConfig)):
        channels, height, width = spec.inputs[0].shape
        changes |= {"channels": channels, "size": [height, width]}
    if isinstance(section, (TableConfig, ArrayConfig, CodeDataConfig)):
        changes["task"] = spec.task
    if isinstance(section, (ArrayConfig, CodeDataConfig)):
        changes["input"] = spec.inputs[0].kind
    return replace(section, **changes)


def _pick_model(section: ModelConfig, spec: DataSpec) -> ModelConfig:
    """Replace the width of embedded categories, where it was left open, by one width a column."""
    sizes = [size for each in spec.inputs for size in each.sizes]
    if not isinstance(section, MLPConfig) or section.embedding_size != "auto" or not sizes:
        return section
    return replace(section, embedding_size=[embedding_width(size) for size in sizes])


def _batch_size(config: Config, num_train: int) -> int:
    size = config.batching.batch_size
    return num_train if size == "full" else size


def assemble(prepared: Prepared, checkpoints: Path | None) -> Run:
    """Build the model and wire it with data and rules.

    Args:
        prepared: config and data.
        checkpoints: the run's checkpoint folder; None saves nothing.
    """
    config, trainer = prepared.config, prepared.config.trainer
    torch.set_num_threads(int(trainer.threads))
    if trainer.deterministic != torch.are_deterministic_algorithms_enabled():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats its bits only with this
        torch.use_deterministic_algorithms(trainer.deterministic)  # its first call imports torch's compiler
    arithmetic = Arithmetic.of(trainer.device, trainer.precision)  # type: ignore[arg-type]
    model = arithmetic.place(build(config, prepared.spec, prepared.num_outputs))
    parameters = FlatParameters(model)
    train, val, test = _samples(prepared, arithmetic.device)
    size = _batch_size(config, len(train))
    return Run(
        seed=config.seed,
        trainer=trainer,
        optimizer_config=config.optimizer,
        scheduler=config.scheduler,
        monitor=trainer.monitor,
        mode=trainer.mode,
        model=model,
        parameters=parameters,
        optimizer=Optimizer(parameters, config.optimizer),
        objective=_objective(prepared, parameters, train.target),
        metrics=metrics_of(config, prepared.preprocess),
        arithmetic=arithmetic,
        train=Batches(
            train,
            size=size * config.batching.accumulate,
            shuffle=config.batching.shuffle,
            drop_last=config.batching.drop_last,
            seed=config.seed,
            chances=balanced_chances(train.target) if config.batching.sampler == "balanced" else None,
            workers=workers(config.data),
        ),
        val=in_order(val, config),
        test=in_order(test, config),
        micro_batch=size,
        checkpoints=Saver(checkpoints, every=trainer.checkpoint_every, keep_last=trainer.keep_last),
        average=None if trainer.ema_decay is None else parameters.values.clone(),
    )


def _samples(prepared: Prepared, device: torch.device) -> list[Samples]:
    splits = prepared.splits
    return [
        encode(prepared.source, rows, prepared.preprocess, device) for rows in (splits.train, splits.val, splits.test)
    ]


def in_order(samples: Samples, config: Config) -> Batches:
    """Return the batches in which a part is measured: each sample once, in the order of the data."""
    return Batches(
        samples,
        size=config.batching.eval_batch_size,
        shuffle=False,
        drop_last=False,
        seed=config.seed,
        workers=workers(config.data),
    )


def workers(section: DataConfig) -> int | None:
    """Return how many processes read pictures while training; None leaves it to their number and the machine's."""
    wanted = getattr(section, "workers", 0)
    return None if wanted == "auto" else int(wanted)


def _objective(prepared: Prepared, parameters: FlatParameters, target: Tensor) -> Objective:
    config, classes = prepared.config, prepared.spec.num_classes
    weights = class_weights(config.loss, torch.bincount(target, minlength=classes)) if classes else None
    return Objective(
        config.loss,
        config.regularization,
        weights=parameters.weights,
        class_weights=None if weights is None else weights.to(target.device),
        uniform=prepared.source.weight is None,
    )


def metrics_of(config: Config, preprocess: Preprocess, threshold: float | None = None) -> Metrics:
    """Return what is measured beside the loss.

    Args:
        config: its sections loss and metric.
        preprocess: for the task, and the units of a regression target.
        threshold: with two classes, the probability from which the second one is predicted; None as it is before it
            has been tuned.
    """
    spec = preprocess.spec
    if threshold is None:
        threshold = untuned_threshold(config)
    in_units: InUnits | None = None
    found: Metrics
    if spec.task == "classification":
        found = ClassificationMetrics(spec.num_classes, partial(predicted_classes, threshold=threshold))
    elif spec.task == "multilabel":
        found = MultilabelMetrics(spec.num_targets, predicted_labels)
    else:
        scale = preprocess.target
        sizes = scale.size if scale is not None else (1.0,) * spec.num_targets
        predict: Callable[[Tensor], Tensor] = partial(predicted_values, log_rate=config.loss.kind == "poisson")
        found = RegressionMetrics(sizes, predict)
        in_units = partial(_in_units, predict=predict, scale=scale)
    own = config.metric
    return WithOwn(found, own.code, own.kwargs, own.name, in_units) if isinstance(own, CodeMetricConfig) else found


def _in_units(
    outputs: Tensor, target: Tensor, *, predict: Callable[[Tensor], Tensor], scale: Scale | None
) -> tuple[Tensor, Tensor]:
    """Return outputs and target of a regression, each (B, K), in the target's own units."""
    values = predict(outputs)
    if scale is None:
        return values, target
    if values.device.type == "mps":  # it has no float64, in which a scale is undone
        undone = [scale.undo(x.cpu()).float().to(x.device) for x in (values, target)]  # pragma: no cover
        return undone[0], undone[1]  # pragma: no cover - needs a Mac
    return scale.undo(values), scale.undo(target)


def untuned_threshold(config: Config) -> float:
    """Return the threshold between two classes before it has been tuned: as wanted, or 0.5 where a metric is named."""
    wanted = config.trainer.decision_threshold
    return 0.5 if isinstance(wanted, str) else wanted


def decision_threshold(run: Run, prepared: Prepared) -> float:
    """Return the threshold between two classes: as wanted, or as it is best on validation."""
    wanted = prepared.config.trainer.decision_threshold
    if not isinstance(wanted, str):
        return wanted
    outputs = torch.cat([found for _, found in outputs_of(run, run.val)])
    samples = run.val.samples
    return best_threshold(probabilities(outputs)[:, 1], samples.target, samples.weight, wanted)


def baseline(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return the test metrics of knowing nothing: the most frequent training class or labels, or the training mean."""
    train, test = run.train.samples, run.test.samples
    sums = run.metrics.zero(run.device)
    if prepared.spec.task == "classification":
        counts = torch.bincount(train.target, train.weight, minlength=prepared.spec.num_classes)
        outputs = counts.float().expand(len(test), -1)
        if prepared.num_outputs == 1:
            outputs = outputs[:, 1:] - outputs[:, :1]
    else:
        mean = (train.target * train.weight[:, None]).sum(0) / train.weight.sum()
        outputs = mean.expand(len(test), -1)
        if prepared.spec.task == "multilabel":
            outputs = outputs - 0.5
        elif prepared.config.loss.kind == "poisson":
            outputs = outputs.clamp_min(1e-30).log()
    run.metrics.add(sums, outputs, test.target, test.weight)
    return run.metrics.compute(sums)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values of a model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
