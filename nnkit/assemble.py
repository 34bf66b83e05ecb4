"""From a checked config to a wired training: data, spec, second check, picks for every `auto`, model, rules."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit import data
from nnkit.config.cross import BETTER_AT, DEFAULT_MONITOR, DataFacts, data_problems
from nnkit.config.schema import Config
from nnkit.config.sections.data import ArrayConfig, EmbeddedValuesConfig, TableConfig, VisionConfig
from nnkit.data.batches import Batches, Samples, encode
from nnkit.data.preprocess import Preprocess, fit_preprocess
from nnkit.errors import ConfigError, Problem
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.regression import RegressionMetrics
from nnkit.models import build, empty_model
from nnkit.objective import Objective
from nnkit.objective.losses import class_weights, num_outputs, resolve_loss
from nnkit.objective.predictions import predicted_classes, predicted_values
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer
from nnkit.spec import DataSpec
from nnkit.summary import flops_per_sample
from nnkit.train.device import Arithmetic, devices, pick_device, pick_precision, pick_threads
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
        return self.source.spec

    @property
    def num_outputs(self) -> int:
        """How many numbers a sample the network puts out."""
        return num_outputs(self.config.loss, self.spec)


def prepare(config: Config) -> Prepared:
    """Read and split the data, check the words against it, and replace every `auto` by its pick.

    Raises:
        DataError: the data cannot be used.
        ConfigError: the words do not fit the data, or this machine.
    """
    source = data.read(config.data)
    spec, splits = source.spec, None
    problems: list[Problem] = []
    try:
        splits = data.split_by(config.data, source)
    except ConfigError as error:
        problems += error.problems
    smallest = 0.0 if spec.num_classes else float(source.target.min())
    facts = DataFacts(len(source if splits is None else splits.train), smallest, devices())
    problems += data_problems(config, spec, facts)
    if problems or splits is None:
        raise ConfigError(*problems)
    picked = _pick(config, spec, len(splits.train))
    target_scaling = getattr(picked.data, "target_scaling", "none")
    preprocess = fit_preprocess(source, splits.train, scaling=picked.data.scaling, target_scaling=target_scaling)
    return Prepared(picked, source, splits, preprocess)


def _pick(config: Config, spec: DataSpec, num_train: int) -> Config:
    """Replace every `auto`, by rules that look at words and sizes alone."""
    loss = resolve_loss(config.loss, spec)
    trainer = config.trainer
    monitor = DEFAULT_MONITOR if trainer.monitor == "auto" else trainer.monitor
    mode = BETTER_AT[monitor] if trainer.mode == "auto" else trainer.mode
    device = pick_device(trainer.device)
    section = config.data
    if isinstance(section, (EmbeddedValuesConfig, ArrayConfig, TableConfig)) and section.target_scaling == "auto":
        keep = bool(spec.num_classes) or loss.kind == "poisson"
        section = replace(section, target_scaling="none" if keep else "standard")
    if isinstance(section, (ArrayConfig, TableConfig)):
        section = replace(section, path=str(data.absolute(section.path)))
    elif isinstance(section, VisionConfig):
        section = replace(section, root=str(data.absolute(section.root or "")))
    picked = replace(config, loss=loss, data=section)
    flops = flops_per_sample(empty_model(picked, spec, num_outputs(loss, spec)), spec)
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
        metrics=_metrics(prepared),
        arithmetic=arithmetic,
        train=Batches(
            train,
            size=size * config.batching.accumulate,
            shuffle=config.batching.shuffle,
            drop_last=config.batching.drop_last,
            seed=config.seed,
        ),
        val=_in_order(val, config),
        test=_in_order(test, config),
        micro_batch=size,
        checkpoints=Saver(checkpoints, every=trainer.checkpoint_every, keep_last=trainer.keep_last),
        average=None if trainer.ema_decay is None else parameters.values.clone(),
    )


def _samples(prepared: Prepared, device: torch.device) -> list[Samples]:
    splits = prepared.splits
    return [
        encode(prepared.source, rows, prepared.preprocess, device) for rows in (splits.train, splits.val, splits.test)
    ]


def _in_order(samples: Samples, config: Config) -> Batches:
    return Batches(samples, size=config.batching.eval_batch_size, shuffle=False, drop_last=False, seed=config.seed)


def _objective(prepared: Prepared, parameters: FlatParameters, target: Tensor) -> Objective:
    config, classes = prepared.config, prepared.spec.num_classes
    weights = class_weights(config.loss, torch.bincount(target, minlength=classes)) if classes else None
    return Objective(
        config.loss,
        config.regularization,
        weights=parameters.weights,
        class_weights=None if weights is None else weights.to(target.device),
        uniform=True,  # no source has sample weights
    )


def _metrics(prepared: Prepared) -> Metrics:
    spec = prepared.spec
    if spec.num_classes:
        return ClassificationMetrics(spec.num_classes, predicted_classes)
    scale = prepared.preprocess.target
    sizes = scale.size if scale is not None else (1.0,) * spec.num_targets
    predict: Callable[[Tensor], Tensor] = partial(predicted_values, log_rate=prepared.config.loss.kind == "poisson")
    return RegressionMetrics(sizes, predict)


def baseline(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return the test metrics of knowing nothing: the most frequent training class, or the training mean."""
    train, test = run.train.samples, run.test.samples
    sums = run.metrics.zero(run.device)
    if prepared.spec.num_classes:
        outputs = torch.bincount(train.target, minlength=prepared.spec.num_classes).float().expand(len(test), -1)
        if prepared.num_outputs == 1:
            outputs = outputs[:, 1:] - outputs[:, :1]
    else:
        outputs = train.target.mean(0).expand(len(test), -1)
        if prepared.config.loss.kind == "poisson":
            outputs = outputs.clamp_min(1e-30).log()
    run.metrics.add(sums, outputs, test.target, test.weight)
    return run.metrics.compute(sums)


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable values of a model."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
