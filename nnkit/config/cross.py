"""Checks across sections: of the words alone, and of the words against the data."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nnkit.config.cross_augmentation import augmentation_data_problems, augmentation_problems, unread_of_augmentation
from nnkit.config.cross_batching import batching_problems, step_problems
from nnkit.config.cross_device import device_problems
from nnkit.config.cross_folds import fold_problems, unread_of_folds
from nnkit.config.cross_segmentation import OF_MASKS, mask_problems, segmentation_problems, unread_of_masks
from nnkit.config.cross_sequences import RECURRENT, sequence_data_problems, sequence_problems, unread_of_sequences
from nnkit.config.cross_transfer import transfer_data_problems, transfer_problems, unread_of_transfer
from nnkit.config.origin import Composed
from nnkit.config.schema import Config
from nnkit.config.sections.data import DataConfig, IdxConfig, ImagesConfig, TableConfig, TorchvisionConfig, VisionConfig
from nnkit.config.sections.loss import CrossEntropyConfig, FocalConfig
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.config.sections.model import CNNConfig, CodeModelConfig, LinearConfig, MLPConfig, ModelConfig, NaiveConfig
from nnkit.config.sections.optimizer import SGDConfig
from nnkit.config.sections.sequences import SeriesConfig, TextConfig
from nnkit.config.synonyms import nearest_metric
from nnkit.config.trackers import tracker_problems, unread_of_trackers, word_with
from nnkit.errors import Problem
from nnkit.geometry import map_sizes
from nnkit.spec import DataSpec, Task

DEFAULT_MONITOR = "val/loss"
# Whether a monitored value is better at its "max" or its "min".
BETTER_AT = {
    "val/loss": "min",
    "val/accuracy": "max",
    "val/macro_f1": "max",
    "val/rmse": "min",
    "val/mae": "min",
    "val/r2": "max",
    "val/perplexity": "min",
    "val/bits_per_token": "min",
    "val/scaled_mse": "min",
    "val/scaled_mae": "min",
    **{f"val/{name}": "max" for name in OF_MASKS},
}
# What lets a setting be read that is not read by default.
READ_WITH = {
    **dict.fromkeys(("trainer.rollback_factor", "trainer.max_rollbacks"), "trainer.on_nonfinite=rollback"),
    "model.unfreeze_after": "model.freeze=backbone",
    "model.unfreeze_layers": "model.unfreeze_after=1",
}
Objective = tuple[str, str]  # a metric, and whether its "max" or its "min" is better
# The task's metric on validation decides which of several runs is the better one; the loss breaks ties.
OBJECTIVES: tuple[Objective, ...] = (
    ("val/perplexity", "min"),
    ("val/accuracy", "max"),
    ("val/rmse", "min"),
    ("val/mean_iou", "max"),
)
METRICS: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "multilabel": ("accuracy", "macro_f1"),
    "tagging": ("accuracy", "macro_f1"),
    "regression": ("rmse", "mae", "r2"),
    "forecast": ("rmse", "mae", "scaled_mse", "scaled_mae"),
    "language": ("accuracy", "perplexity", "bits_per_token"),
    "segmentation": OF_MASKS,
}


_WORD = re.compile(r"^[\w.-]+$")


def monitors(config: Config) -> dict[str, str]:
    """Return what can be monitored, and where it is better."""
    own = config.metric
    return {**BETTER_AT, f"val/{own.name}": own.mode} if isinstance(own, CodeMetricConfig) else BETTER_AT


def better_at(config: Config, monitor: str) -> str | None:
    """Return whether a monitored value is better at its "max" or its "min"; None for one that is not known."""
    return monitors(config).get(monitor)


def task_objective(metrics: Container[str]) -> Objective:
    """Return what ranks runs that have these metrics, and where it is better."""
    return next((objective for objective in OBJECTIVES if objective[0] in metrics), (DEFAULT_MONITOR, "min"))


def cross_problems(config: Config) -> Iterator[Problem]:
    """Yield the settings that fight each other, whatever the data."""
    optimizer = config.optimizer
    if config.name is not None and ("/" in config.name or config.name in (".", "..")):
        yield Problem(f"name must be the name of one folder, got '{config.name}'", "output_dir=FOLDER name=NAME")
    if isinstance(optimizer, SGDConfig) and optimizer.nesterov and not optimizer.momentum:
        yield Problem("optimizer.nesterov=true needs momentum, but optimizer.momentum is 0", "optimizer.momentum=0.9")
    yield from _watching_problems(config)
    metric = config.metric
    if isinstance(metric, CodeMetricConfig) and (f"val/{metric.name}" in BETTER_AT or not _WORD.match(metric.name)):
        yield Problem(f"metric.name must be a word that no other metric has, got '{metric.name}'", "metric.name=mine")
    yield from _layer_problems(config.model)
    yield from batching_problems(config)
    yield from _data_section_problems(config.data)
    yield from mask_problems(config)
    yield from sequence_problems(config)
    yield from fold_problems(config)
    yield from tracker_problems(config)
    yield from transfer_problems(config)
    yield from augmentation_problems(config)


def _watching_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with when to look, and at what."""
    trainer = config.trainer
    if trainer.validate_every and trainer.validate_every_steps:
        yield Problem(
            "trainer.validate_every and trainer.validate_every_steps are both set", "trainer.validate_every=null"
        )
    if not trainer.validate_every and not trainer.validate_every_steps:
        yield Problem(
            "trainer.validate_every and trainer.validate_every_steps are both null", "trainer.validate_every=1"
        )
    better = better_at(config, DEFAULT_MONITOR if trainer.monitor == "auto" else trainer.monitor)
    if better is None:
        yield Problem(
            f"trainer.monitor must be one of auto, {', '.join(monitors(config))}, got '{trainer.monitor}'",
            f"trainer.monitor={nearest_metric(trainer.monitor, monitors(config)) or 'auto'}",
        )
    elif trainer.mode not in ("auto", better):
        yield Problem(f"trainer.mode={trainer.mode} contradicts trainer.monitor={trainer.monitor}", "trainer.mode=auto")


def _layer_problems(model: ModelConfig) -> Iterator[Problem]:
    if isinstance(model, MLPConfig) and not model.hidden and (model.norm != "none" or model.residual):
        yield Problem("model.norm and model.residual are for hidden layers, but model.hidden is []", "model=linear")
    if isinstance(model, CNNConfig) and isinstance(model.kernel_size, list):
        yield from _kernel_problems(model, model.kernel_size)


def _kernel_problems(model: CNNConfig, kernel_size: Sequence[int | list[int]]) -> Iterator[Problem]:
    given, blocks = len(kernel_size), len(model.channels)
    if given != blocks:
        text = f"model.kernel_size must be one number, or one for each of {blocks} blocks, got {given}"
        yield Problem(text, "model.kernel_size=3")
    for kernels, channels in zip(kernel_size, model.channels, strict=False):
        if isinstance(kernels, int):
            continue
        if any(k % 2 == 0 for k in kernels) or model.padding != "same":
            text = f"model.kernel_size={kernels} side by side leave maps of different sizes"
            yield Problem(f"{text}: they must be odd, with model.padding=same", "model.kernel_size=[[3,5,7]]")
        if channels < len(kernels):
            yield Problem(f"model.channels={channels} is too few for {len(kernels)} kernels side by side")


def _data_section_problems(data: DataConfig) -> Iterator[Problem]:
    if isinstance(data, (VisionConfig, TorchvisionConfig)) and not data.root:
        yield Problem(
            f"data={data.kind} needs the folder of its files, but data.root is null",
            "data.root=FOLDER, or set the environment variable NNKIT_DATA",
        )
    if isinstance(data, IdxConfig) and (data.test_path is None) != (data.test_target_path is None):
        yield Problem("data.test_path and data.test_target_path go together", "data.test_target_path=LABELS")
    if isinstance(data, (TableConfig, SeriesConfig, TextConfig)):
        yield from _delimiter_problems(data.delimiter)
    if isinstance(data, TableConfig):
        yield from _table_problems(data)


def _delimiter_problems(delimiter: str) -> Iterator[Problem]:
    is_character = len(delimiter) == 1 and delimiter.isascii() and delimiter not in '"\r\n\0'
    if delimiter not in ("auto", "tab", "\\t", "whitespace") and not is_character:
        text = f"data.delimiter must be auto, tab, whitespace or one ASCII character, got {delimiter!r}"
        yield Problem(text, "data.delimiter=auto")


def _table_problems(data: TableConfig) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for role, columns in data.roles.items():
        for column in columns:
            if column in seen:
                yield Problem(f"column {column} is both data.{seen[column]} and data.{role}", "leave one out")
            seen.setdefault(column, role)
    for column in sorted({*data.numeric} & {*data.categorical}):
        yield Problem(f"column {column} is in data.numeric and in data.categorical", "leave one out")
    if data.target_separator is not None and (len(data.targets) > 1 or data.task not in ("auto", "multilabel")):
        yield Problem(
            "data.target_separator is for one column of labels, with data.task=multilabel", "data.target_separator=null"
        )
    if data.split_column is not None and (data.val_path or data.test_path):
        yield Problem("data.split_column and data.val_path or data.test_path both fix the parts", "leave one out")
    yield from _text_problems(data)


def _text_problems(data: TableConfig) -> Iterator[Problem]:
    """Yield what is wrong with the words that say what stands in a text file."""
    comment, names = data.comment or "", data.names or []
    if comment.strip('"') != comment:
        yield Problem(f"data.comment must not begin or end with a quote, got {comment}", "data.comment=null")
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        yield Problem(f"data.names has {double} twice", "one name a column")


def unread_problems(config: Config, composed: Composed) -> Iterator[Problem]:
    """Yield the settings that the user named and that nobody reads."""
    for key, by in unread_settings(config).items():
        named = [t for t in composed.typed if t == key or t.startswith(key + ".")]
        if key == "regularization.dropout" and config.regularization.dropout and "regularization" in composed.typed:
            named.append("regularization")
        for name in named:
            text = f"{name} is set, but {by} does not read it{composed.place(name)}"
            yield Problem(text, _read_with(name, config))


def _read_with(name: str, config: Config) -> str:
    """Return what to type for a setting that nobody reads: first what lets it be read, for it was wanted."""
    first, _, rest = name.partition(".")
    tracker = word_with(rest.partition(".")[0], config) if first == "tracker" else ""
    with_it = READ_WITH.get(name, tracker)
    return f"{with_it}, or leave {name} out" if with_it else f"leave {name} out"


def unread_settings(config: Config) -> dict[str, str]:
    """Return the settings and groups that nobody reads, with what does not read them."""
    model = config.model
    shared = {"init", "activation", "regularization.dropout"} - model.reads
    unread = dict.fromkeys(shared, f"model={model.kind}")
    if isinstance(model, MLPConfig) and not model.hidden:
        unread = dict.fromkeys(("activation", "regularization.dropout"), "model.hidden=[]")
    if isinstance(model, CNNConfig) and model.pooling == "none":
        unread["model.pool_size"] = "model.pooling=none"
    if isinstance(model, RECURRENT) and not model.dense:
        unread["activation"] = "model.dense=[]"
    if isinstance(model, (LinearConfig, NaiveConfig, *RECURRENT)):
        unread["trainer.activation_checkpointing"] = f"model={model.kind}"
    if config.trainer.on_nonfinite != "rollback":
        of_rollbacks = ("trainer.rollback_factor", "trainer.max_rollbacks")
        unread |= dict.fromkeys(of_rollbacks, f"trainer.on_nonfinite={config.trainer.on_nonfinite}")
    parts = (unread_of_sequences, unread_of_folds, unread_of_transfer, unread_of_trackers, unread_of_augmentation)
    for others in parts:
        unread |= others(config)
    return unread | _unread_data(config)


def _unread_data(config: Config) -> dict[str, str]:
    """Return the settings of the data, and of what follows from it, that nobody reads, and why."""
    data, unread = config.data, unread_of_masks(config.data)
    if isinstance(config.model, MLPConfig) and getattr(data, "categories", "") != "embedding":
        unread["model.embedding_size"] = f"data={data.kind} without data.categories=embedding"
    if isinstance(data, TableConfig) and data.missing_numeric != "constant":
        unread["data.fill_value"] = f"data.missing_numeric={data.missing_numeric}"
    for part in ("val", "test"):
        if getattr(data, f"{part}_path", None) is not None:
            unread[f"data.{part}_fraction"] = f"data.{part}_path"
    if isinstance(data, ImagesConfig) and data.in_memory is True:
        unread |= dict.fromkeys(("data.workers", "data.worker_timeout_s"), "data.in_memory=true")
    elif isinstance(data, ImagesConfig) and data.workers == 0:
        unread["data.worker_timeout_s"] = "data.workers=0"
    if isinstance(data, ImagesConfig) and Path(data.path).expanduser().is_dir():
        of_tables = ("path_column", "target", "split_column", "root")
        unread |= {f"data.{name}": "a folder of pictures" for name in of_tables}
    path = data.path if isinstance(data, (TableConfig, SeriesConfig, TextConfig)) else None
    if isinstance(path, str) and path.lower().endswith((".parquet", ".pq")):
        of_text = ("delimiter", "header", "names", "comment", "encoding")
        unread |= {f"data.{name}": "a Parquet file" for name in of_text}
    return unread


@final
@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the second stage needs to know of the data beside its spec.

    Attributes:
        train: number of training samples.
        smallest_target: the smallest value of a regression target; 0 for classification.
        devices: the devices that this machine has.
        computes_fp16: whether its processor does.
        has_segments: whether some training samples go on where others end.
        is_bytes: whether the values of pictures are 0 to 255.
    """

    train: int
    smallest_target: float
    devices: tuple[str, ...]
    computes_fp16: bool = True
    has_segments: bool = False
    is_bytes: bool = True


def data_problems(config: Config, spec: DataSpec, facts: DataFacts) -> Iterator[Problem]:
    """Yield what in the words does not fit the data or this machine; looked at before the model is built."""
    yield from _loss_problems(config, spec, facts)
    yield from segmentation_problems(config, spec)
    yield from _model_problems(config, spec)
    yield from transfer_data_problems(config, spec)
    yield from sequence_data_problems(config, spec, train=facts.train, has_segments=facts.has_segments)
    yield from _trainer_problems(config, spec, facts)
    yield from augmentation_data_problems(config, spec, is_bytes=facts.is_bytes)


def _loss_problems(config: Config, spec: DataSpec, facts: DataFacts) -> Iterator[Problem]:
    loss, data, classes = config.loss, config.data.kind, spec.num_classes
    right = "cross_entropy" if classes else "mse"
    if spec.task == "multilabel":
        if loss.kind not in ("auto", "bce", "code"):
            yield Problem(f"loss={loss.kind} is not for labels, but data={data} has {spec.num_targets}", "loss=bce")
    elif loss.kind == "bce" and (classes != 2 or spec.is_per_step):
        what = f"{classes} classes" if classes else "a regression target"
        yield Problem(f"loss=bce needs one output, but data={data} has {what}", f"loss={right}")
    elif loss.kind in ("cross_entropy", "focal") and not classes:
        yield Problem(f"loss={loss.kind} needs classes, but data={data} has a regression target", f"loss={right}")
    elif loss.kind in ("mse", "mae", "huber", "poisson") and classes:
        yield Problem(
            f"loss={loss.kind} needs a regression target, but data={data} has {classes} classes", f"loss={right}"
        )
    elif loss.kind == "poisson":
        if facts.smallest_target < 0:
            yield Problem(f"loss=poisson needs counts >= 0, but data={data} has {facts.smallest_target}", "loss=mse")
        if spec.task == "forecast":
            yield Problem("loss=poisson is for a count a sample, not for a forecast", "loss=mse")
        elif getattr(config.data, "target_scaling", "none") == "standard":
            yield Problem(
                "loss=poisson needs counts as they are, but data.target_scaling=standard", "data.target_scaling=none"
            )
    if spec.task != "regression" and getattr(config.data, "target_scaling", "none") == "standard":
        what = f"{classes} classes" if classes else f"{spec.num_targets} labels"
        text = f"data.target_scaling=standard is for numbers, but data={data} has {what}"
        yield Problem(text, "data.target_scaling=auto")
    weights = loss.class_weights if isinstance(loss, (CrossEntropyConfig, FocalConfig)) else "none"
    given = len(weights) if isinstance(weights, list) else 0
    if classes and given not in (0, classes):
        yield Problem(
            f"loss.class_weights must have {classes} numbers, one a class of data={data}, got {given}",
            "loss.class_weights=balanced",
        )


def _model_problems(config: Config, spec: DataSpec) -> Iterator[Problem]:
    model, given = config.model, spec.inputs[0]
    columns = sum(len(each.sizes) for each in spec.inputs if each.kind == "categories")
    widths = model.embedding_size if isinstance(model, MLPConfig) else "auto"
    if isinstance(widths, list) and len(widths) != columns:
        text = f"model.embedding_size must have one width for each of {columns} columns, got {len(widths)}"
        yield Problem(text, "model.embedding_size=auto")
    if any(each.kind == "categories" for each in spec.inputs) and not isinstance(model, (MLPConfig, CodeModelConfig)):
        yield Problem(f"model={model.kind} takes no categories to embed", "data.categories=one_hot, or model=mlp")
        return
    if not isinstance(model, CNNConfig) or spec.has_lengths or spec.is_per_step or spec.is_per_pixel:
        return
    if given.kind == "features":
        yield Problem(
            f"model=cnn expects images or series, got {given.shape[0]} features from data={config.data.kind}",
            "model=mlp",
        )
        return
    for size in given.shape[1:] if given.kind == "image" else given.shape[:1]:
        sizes = map_sizes(
            size,
            blocks=len(model.channels),
            kernel_size=model.kernel_size,
            stride=model.stride,
            padding=model.padding,
            pool_size=model.pool_size if model.pooling != "none" else None,
        )
        if min(sizes) < 1:
            fitting = next(i for i, s in enumerate(sizes, 1) if s < 1)
            yield Problem(
                f"model.channels has {len(sizes)} blocks, but {fitting} of them leave nothing of {size} positions",
                "fewer channels, or model.pooling=none",
            )
            return


def _trainer_problems(config: Config, spec: DataSpec, facts: DataFacts) -> Iterator[Problem]:
    trainer, batching = config.trainer, config.batching
    metrics = METRICS[spec.task]
    own = [config.metric.name] if isinstance(config.metric, CodeMetricConfig) else []
    names = ["auto", "val/loss", *(f"val/{m}" for m in (*metrics, *own))]
    if trainer.decision_threshold != 0.5 and (spec.num_classes != 2 or spec.task != "classification"):
        what = f"{spec.num_classes} classes" if spec.task == "classification" else f"task {spec.task}"
        yield Problem(
            f"trainer.decision_threshold is for two classes, but data={config.data.kind} has {what}",
            "trainer.decision_threshold=0.5",
        )
    if batching.sampler == "balanced" and spec.task != "classification":
        yield Problem(f"batching.sampler=balanced is for classes, not for {spec.task}", "batching.sampler=each_once")
    if trainer.monitor not in names:
        yield Problem(
            f"trainer.monitor must be one of {', '.join(names)} for {spec.task}, got '{trainer.monitor}'",
            f"trainer.monitor={nearest_metric(trainer.monitor, names[1:]) or 'auto'}",
        )
    yield from device_problems(config.trainer, facts.devices, computes_fp16=facts.computes_fp16)
    yield from step_problems(config, facts.train)
    if facts.train == 1 and getattr(config.model, "norm", "none") == "batch":
        yield Problem("model.norm=batch needs at least 2 training samples, got 1", "model.norm=layer")
