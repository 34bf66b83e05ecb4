"""What each `auto` of a config stands for, by rules that look at words and sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nnkit import data
from nnkit.config.cross import DEFAULT_MONITOR, better_at
from nnkit.config.schema import Config
from nnkit.config.sections.activation import CodeActivationConfig
from nnkit.config.sections.data import (
    PATHS,
    ArrayConfig,
    CodeDataConfig,
    DataConfig,
    ImagesConfig,
    MasksConfig,
    TableConfig,
    TorchvisionConfig,
)
from nnkit.config.sections.model import CodeModelConfig, MLPConfig, ModelConfig, NaiveConfig, PretrainedConfig
from nnkit.config.sections.sequences import SeriesConfig, TextConfig
from nnkit.data.folds import fold_kind
from nnkit.data.text_layouts import layout_of
from nnkit.models import empty_model
from nnkit.models.embeddings import embedding_width
from nnkit.models.pretrained import with_side
from nnkit.models.weights import with_place
from nnkit.objective.losses import num_outputs, resolve_loss
from nnkit.spec import DataSpec
from nnkit.summary import check_forward, flops_per_sample
from nnkit.train.device import pick_device, pick_precision, pick_threads
from nnkit.train.layers import paces_of


def pick(config: Config, spec: DataSpec, source: data.Source, num_train: int, target_scaling: str) -> Config:
    """Replace every `auto`, by rules that look at words and sizes alone."""
    loss = resolve_loss(config.loss, spec)
    trainer = config.trainer
    monitor = DEFAULT_MONITOR if trainer.monitor == "auto" else trainer.monitor
    mode = better_at(config, monitor) if trainer.mode == "auto" else trainer.mode
    device = pick_device(trainer.device)
    section = _pick_data(config.data, spec, target_scaling, source.rows.names)
    picked = replace(config, loss=loss, data=section, model=_pick_model(config.model, spec, config.data))
    model = empty_model(picked, spec, num_outputs(loss, spec))
    if code := _own_parts(config):
        check_forward(model, spec, num_outputs(loss, spec), code=code)
    paces_of(model, picked)  # a pattern that matches nothing is told before a run begins
    flops = flops_per_sample(model, spec)
    threads = pick_threads(trainer.threads, flops * batch_size(config, num_train))
    precision = pick_precision(trainer.precision, device, model)
    picks: dict[str, Any] = {
        "monitor": monitor,
        "mode": mode,
        "device": device,
        "threads": threads,
        "precision": precision,
    }
    cv = config.cv if config.cv.folds is None else replace(config.cv, kind=fold_kind(source, config.cv.kind))
    return replace(picked, trainer=replace(trainer, **picks), cv=cv)


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
    if isinstance(section, SeriesConfig):  # a later file may have more columns of numbers
        changes["inputs"] = list(names)
    if isinstance(section, TableConfig) and names:  # a later file without a header may lack the target
        changes["names"] = list(names)
    if isinstance(section, (ImagesConfig, TorchvisionConfig)):
        channels, height, width = spec.inputs[0].shape
        changes |= {"channels": channels, "size": [height, width]}
    if isinstance(section, MasksConfig):  # new pictures are read as those of the training, whatever they hold
        channels, *size = spec.inputs[0].shape
        values = [int(value) for value in names] or "any"
        changes |= {"channels": channels, "size": size, "values": values, "names": list(spec.target.classes)}
    if isinstance(section, (TableConfig, ArrayConfig, CodeDataConfig)):
        changes["task"] = spec.task
    if isinstance(section, TextConfig) and section.task == "classification":
        changes["layout"] = layout_of(section.path) if section.layout == "auto" else section.layout
    if isinstance(section, (ArrayConfig, CodeDataConfig)):
        changes["input"] = spec.inputs[0].kind
    return replace(section, **changes)


def _pick_model(section: ModelConfig, spec: DataSpec, data_section: DataConfig) -> ModelConfig:
    """Replace what was left open: the method of a naive forecast, the widths of embedded categories, one a column."""
    section = with_place(section)
    if isinstance(section, PretrainedConfig):
        return with_side(section, spec.inputs[0].shape)
    if isinstance(section, NaiveConfig) and section.method == "auto":
        return replace(section, method="seasonal" if getattr(data_section, "season", 1) > 1 else "last")
    sizes = [size for each in spec.inputs for size in each.sizes]
    if not isinstance(section, MLPConfig) or section.embedding_size != "auto" or not sizes:
        return section
    return replace(section, embedding_size=[embedding_width(size) for size in sizes])


def batch_size(config: Config, num_train: int) -> int:
    """Return how many samples a batch has, of so many that are trained on."""
    size = config.batching.batch_size
    return num_train if size == "full" else size
