"""From a checked config to a wired training: data, spec, second check, picks for every `auto`, model, rules."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from nnkit import data
from nnkit.config.cross import DataFacts, data_problems
from nnkit.config.schema import Config
from nnkit.config.sections.data import (
    DataConfig,
    TableConfig,
)
from nnkit.config.sections.model import ModelConfig, PretrainedConfig
from nnkit.config.sections.sequences import TextConfig
from nnkit.data.batches import Batches, Order, Samples, balanced_chances, encode
from nnkit.data.preprocess import Preprocess, WordRules, fit_preprocess
from nnkit.data.scaling import Scale
from nnkit.data.sequences import Sequences
from nnkit.data.source import all_count
from nnkit.data.tabular import Rules
from nnkit.errors import ConfigError, Problem
from nnkit.machine import computes_fp16
from nnkit.models import build
from nnkit.models.pretrained import published, suited
from nnkit.models.recompute import recompute
from nnkit.objective import Objective
from nnkit.objective.losses import class_weights, num_outputs
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer
from nnkit.picks import batch_size, pick
from nnkit.scoring import metrics_of
from nnkit.spec import DataSpec, Task
from nnkit.train.batch_size import check_measured, largest_batch
from nnkit.train.device import Arithmetic, devices, worded_out_of_memory
from nnkit.train.inputs import recipe_for, reweighs
from nnkit.train.layers import Frozen, paces_of
from nnkit.train.run import Run, is_finite
from nnkit.train.saver import Saver

SEGMENTS_A_PLACE = 50  # of a text that is measured with a state that is carried


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """Data and picks, before anything is built.

    Attributes:
        config: with every `auto` replaced by its pick.
        source: the data.
        splits: its rows.
        preprocess: fitted on the training rows.
        fits: what was found with batching.auto_batch_size, in words.
    """

    config: Config
    source: data.Source
    splits: data.Splits
    preprocess: Preprocess
    fits: str = ""

    @property
    def spec(self) -> DataSpec:
        """The contract of data and model."""
        return self.preprocess.spec

    @property
    def num_outputs(self) -> int:
        """How many numbers a sample the network puts out."""
        return num_outputs(self.config.loss, self.spec)


def prepare(config: Config, preprocess: Preprocess | None = None, source: data.Source | None = None) -> Prepared:
    """Read and split the data, check the words against it, and replace every `auto` by its pick.

    Args:
        config: checked.
        preprocess: of a run that has begun; None fits one on the training rows.
        source: of the data section, where it has been read; None reads it.

    Raises:
        DataError: the data cannot be used.
        ConfigError: the words do not fit the data, or this machine.
        OutOfMemoryError: it does not fit in memory.
    """
    config = suited(config)
    with worded_out_of_memory(config, "reading the data"):
        source = data.read(config.data, config.cv) if source is None else source
    splits: data.Splits | None = None
    problems: list[Problem] = []
    try:
        splits = data.split_by(config.data, source, config.cv)
    except ConfigError as error:
        problems += error.problems
    rows = np.arange(len(source)) if splits is None else splits.train
    scaling = _target_scaling(config, source.task)
    if preprocess is None:
        preprocess = fitted(config.data, source, rows, target_scaling=scaling, model=config.model)
    spec = preprocess.spec
    smallest = float(source.target.min()) if isinstance(source.target, np.ndarray) and not source.classes else 0.0
    is_bytes = bool(getattr(preprocess.inputs[0], "is_bytes", False))
    facts = DataFacts(len(rows), smallest, devices(), computes_fp16(), _has_segments(source, rows), is_bytes)
    problems += data_problems(config, spec, facts)
    if problems or splits is None:
        raise ConfigError(*problems)
    with worded_out_of_memory(config, "building the network"):
        prepared = Prepared(pick(config, spec, source, len(splits.train), scaling), source, splits, preprocess)
    return _with_largest_batches(config, prepared, facts) if config.batching.auto_batch_size else prepared


def _with_largest_batches(config: Config, prepared: Prepared, facts: DataFacts) -> Prepared:
    """Replace batching.auto_batch_size by the size that fits. Raises: ConfigError; OutOfMemoryError."""
    run, first = assemble(prepared, None), int(config.batching.batch_size)
    size = largest_batch(run, config, first=first, most=facts.train) if run.parameters.names else first
    check_measured(run)
    del run
    sized = replace(config, batching=replace(config.batching, batch_size=size, auto_batch_size=False))
    if problems := list(data_problems(sized, prepared.spec, facts)):
        raise ConfigError(*problems)
    scaling = getattr(prepared.config.data, "target_scaling", "none")
    picked = pick(sized, prepared.spec, prepared.source, facts.train, scaling)
    return replace(
        prepared, config=picked, fits=f"batching.batch_size={size}, of {first} doubled or halved, fits in memory"
    )


def _has_segments(source: data.Source, rows: data.Rows) -> bool:
    first = source.inputs[0]
    return isinstance(first, Sequences) and bool(first[rows].follows.any())


def fitted(
    section: DataConfig,
    source: data.Source,
    train: data.Rows,
    *,
    target_scaling: str,
    model: ModelConfig | None = None,
) -> Preprocess:
    """Return what a section wants fitted on the training rows; or known of the model's weights. Raises: DataError."""
    rules: Rules | WordRules | None = None
    if isinstance(section, TableConfig):
        rules = Rules(**{field.name: getattr(section, field.name) for field in fields(Rules)})
    elif isinstance(section, TextConfig):
        rules = WordRules(min_frequency=section.min_frequency, max_vocabulary=section.max_vocabulary)
    scaling, pixels = getattr(section, "scaling", "none"), None
    if scaling == "weights" and isinstance(model, PretrainedConfig):
        pixels = Scale("image", *published(model.arch).scale(source.specs[0].shape[0]))
    scaling = "standard" if scaling in ("auto", "weights") else scaling
    return fit_preprocess(source, train, scaling=scaling, target_scaling=target_scaling, rules=rules, pixels=pixels)


def _target_scaling(config: Config, task: Task) -> str:
    """Return the scaling of the target: as wanted, or for "auto" by task and loss."""
    wanted = getattr(config.data, "target_scaling", "none")
    if wanted != "auto":
        return str(wanted)
    return "none" if task != "regression" or config.loss.kind == "poisson" else "standard"


def assemble(prepared: Prepared, checkpoints: Path | None) -> Run:
    """Build the model and wire it with data and rules.

    Args:
        prepared: config and data.
        checkpoints: the run's checkpoint folder; None saves nothing.

    Raises:
        OutOfMemoryError: they do not fit in memory.
    """
    with worded_out_of_memory(prepared.config, "building the network"):
        return _assemble(prepared, checkpoints)


def _assemble(prepared: Prepared, checkpoints: Path | None) -> Run:
    config, trainer = prepared.config, prepared.config.trainer
    torch.set_num_threads(int(trainer.threads))
    if trainer.deterministic != torch.are_deterministic_algorithms_enabled():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS repeats its bits only with this
        torch.use_deterministic_algorithms(trainer.deterministic)  # its first call imports torch's compiler
    arithmetic = Arithmetic.of(trainer.device, trainer.precision)  # type: ignore[arg-type]
    model = _built(prepared, arithmetic)
    paces = paces_of(model, config)
    frozen = Frozen(model, paces.opens) if paces.opens else None
    parameters = FlatParameters(model, paces.learning)
    train, val, test = _samples(prepared, arithmetic.device)
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
        objective=_objective(prepared, parameters, train),
        metrics=metrics_of(config, prepared.preprocess),
        arithmetic=arithmetic,
        train=_drawn(train, config),
        val=measured(val, config),
        test=measured(test, config),
        micro_batch=batch_size(config, len(train)),
        input_noise=config.regularization.input_noise,
        token_dropout=config.regularization.token_dropout,
        augmentation=recipe_for(config.augmentation, prepared.preprocess),
        is_stateful=config.batching.stateful,
        checkpoints=Saver(checkpoints, every=trainer.checkpoint_every, keep_last=trainer.keep_last),
        watches_late=arithmetic.device.type != "cpu",
        finite_buffers=frozenset(n for n, x in model.named_buffers() if x.is_floating_point() and is_finite(x)),
        average=None if trainer.ema_decay is None else parameters.values.clone(),
        frozen=frozen,
        is_given_weights=getattr(config.model, "is_given_weights", False),
    )


def _built(prepared: Prepared, arithmetic: Arithmetic) -> nn.Module:
    """Return the network with its first values, where it is to be. Raises: ConfigError."""
    model = arithmetic.place(build(prepared.config, prepared.spec, prepared.num_outputs))
    if prepared.config.trainer.activation_checkpointing and not recompute(model):
        text = "trainer.activation_checkpointing finds no blocks in the model"
        raise ConfigError(text, hint="trainer.activation_checkpointing=false")
    return model


def _samples(prepared: Prepared, device: torch.device) -> list[Samples]:
    splits = prepared.splits
    return [
        encode(prepared.source, rows, prepared.preprocess, device) for rows in (splits.train, splits.val, splits.test)
    ]


def _drawn(train: Samples, config: Config) -> Batches:
    """Return the batches of the training, as its section says that they are drawn."""
    batching = config.batching
    is_sorted = batching.by_length and batching.shuffle  # what is not shuffled keeps the order of the data
    return Batches(
        train,
        size=batch_size(config, len(train)) * batching.accumulate,
        shuffle=batching.shuffle,
        drop_last=batching.drop_last,
        seed=config.seed,
        order="streams" if batching.stateful else "by_length" if is_sorted else "plain",
        chances=_chances(train, config),
        workers=workers(config.data),
        worker_timeout_s=getattr(config.data, "worker_timeout_s", None),
    )


def _chances(train: Samples, config: Config) -> Tensor | None:
    if config.batching.sampler != "balanced" or not isinstance(train.target, Tensor):
        return None
    return balanced_chances(train.target)


def measured(samples: Samples, config: Config) -> Batches:
    """Return the batches in which a part is measured: each sample once, sequences by their length.

    Where states are carried, batches are as large as in training, but no larger than lets each place go through
    SEGMENTS_A_PLACE of the text: of so many segments one alone starts from nothing.
    """
    if config.batching.stateful:
        size = min(batch_size(config, len(samples)), max(1, len(samples) // SEGMENTS_A_PLACE))
        return _batches(samples, config, size, "streams")
    return _batches(samples, config, config.batching.eval_batch_size, "by_length")


def in_order(samples: Samples, config: Config) -> Batches:
    """Return the batches of a part, each sample once, in the order of the data."""
    return _batches(samples, config, config.batching.eval_batch_size, "plain")


def _batches(samples: Samples, config: Config, size: int, order: Order) -> Batches:
    return Batches(
        samples,
        size=size,
        shuffle=False,
        drop_last=False,
        seed=config.seed,
        order=order,
        workers=workers(config.data),
        worker_timeout_s=getattr(config.data, "worker_timeout_s", None),
    )


def workers(section: DataConfig) -> int | None:
    """Return how many processes read pictures while training; None leaves it to their number and the machine's."""
    wanted = getattr(section, "workers", 0)
    return None if wanted == "auto" else int(wanted)


def _objective(prepared: Prepared, parameters: FlatParameters, train: Samples) -> Objective:
    config, classes = prepared.config, prepared.spec.num_classes
    weights = class_weights(config.loss, train.class_counts(classes)) if classes else None
    if weights is not None:  # balanced, a class whose samples weigh nothing would weigh infinitely much
        weights = weights.nan_to_num(posinf=1.0)
    is_even = all_count(prepared.source)
    return Objective(
        config.loss,
        config.regularization,
        weights=parameters.weights,
        class_weights=None if weights is None else weights.to(train.device),
        uniform=prepared.source.weight is None and is_even and not reweighs(config.augmentation, prepared.spec),
    )
