"""Rows with their labels, for an evaluation: a part of the run's own data, or new files of the same form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from nnkit.config.sections.data import ArrayConfig, DataConfig, ImagesConfig, MasksConfig, TableConfig
from nnkit.config.sections.sequences import SeriesConfig, TextConfig, TsConfig
from nnkit.data import read, read_whole, split_by
from nnkit.data.mask_pairs import folders_of_pair
from nnkit.data.sequences import Sequences
from nnkit.data.source import IGNORED, Rows, Source, check_finite
from nnkit.errors import ConfigError, DataError
from nnkit.infer.finished import Finished
from nnkit.infer.hints import hinting
from nnkit.infer.sequences import as_trained

NEW_DATA = "--data PATH evaluates on new rows"
Part = Literal["train", "val", "test", "all"]
SequenceFiles = SeriesConfig | TextConfig | TsConfig


def own_rows(run: Finished, part: Part) -> tuple[Source, Rows]:
    """Return the run's data, and the rows of a part of it.

    Raises:
        DataError: the data cannot be read, or is not what it was.
        ConfigError: the run has no such part.
    """
    section = run.config.data
    with hinting(NEW_DATA, found="put it back; or --data {} evaluates on all of its rows"):
        source = read(section, run.config.cv)
    if not source.is_of(run.facts):
        raise DataError(
            f"the data of {run.folder} has changed since the run started, so its parts are not what they were",
            hint=NEW_DATA,
        )
    if part == "all":
        return source, np.arange(len(source))
    if run.members and part != "test":
        told = f"the networks of the ensemble {run.folder} have learned from each other's {part} rows"
        raise ConfigError(told, hint="--split test, or predictions-oof.csv")
    rows: Rows = getattr(split_by(section, source, run.config.cv), part)
    if not len(rows):
        hint = NEW_DATA if run.members else "--split val"
        raise ConfigError(f"{run.folder} has no {part} part: data.{part}_fraction is null", hint=hint)
    return source, rows


def training_of(run: Finished, source: Source) -> tuple[Source, Rows] | None:
    """Return the run's own data with its training rows; None where it is not there any more, or not what it was.

    Args:
        run: opened.
        source: what is at hand; it is not read again where it is the run's own.
    """
    if source.is_of(run.facts):
        return source, split_by(run.config.data, source, run.config.cv).train
    try:
        return own_rows(run, "train")
    except (DataError, ConfigError):
        return None


def new_rows(run: Finished, path: Path) -> tuple[Source, Rows]:
    """Return all rows of new files, which have the form of the run's own data, with the run's classes.

    Raises:
        DataError: they cannot be read, or have labels that the run does not know.
        ConfigError: a column is missing, or the run's data has no form that files could have.
    """
    section = section_for(run, path)
    kinds = run.preprocess.table.kinds if run.preprocess.table is not None else None
    is_long = run.spec.task in ("language", "forecast")
    instead = "mend the file" if is_long else "nnkit predict takes rows without labels"
    with hinting(instead, path="is the path right?" if is_long else "", longer="a longer file"):
        source = read_whole(section, kinds)
    if not len(source):
        raise DataError(f"{path} holds no row")
    check_finite(source)
    if run.spec.inputs[0].kind in ("series", "tokens"):
        source = replace(source, inputs=(as_trained(run, source.inputs[0], str(path)), *source.inputs[1:]))
    elif kinds is None and source.specs[0].shape != run.spec.inputs[0].shape:
        raise DataError(f"{path} has samples of shape {source.specs[0].shape}, the run {run.spec.inputs[0].shape}")
    return _with_the_runs_labels(run, source, path), np.arange(len(source))


def section_for(run: Finished, path: Path) -> DataConfig:
    """Return the data section that reads new files as the run's own were read. Raises: ConfigError."""
    section, given, task = run.config.data, run.spec.inputs[0], run.spec.task
    if isinstance(section, TableConfig):
        changes: dict[str, Any] = {"val_path": None, "test_path": None, "split_column": None, "task": task}
        return replace(section, path=str(path), limit=None, classes=None, **changes)
    if run.spec.is_per_pixel and (isinstance(section, MasksConfig) or path.is_dir()):
        return masks_section(run, path)
    if isinstance(section, ImagesConfig) or (given.kind == "image" and (path.is_dir() or path.suffix == ".csv")):
        channels, height, width = given.shape
        settings: dict[str, Any] = {"size": [height, width], "channels": channels, "cache": None, "in_memory": True}
        if isinstance(section, ImagesConfig):
            settings |= {"root": None, "split_column": None, "limit": None, "classes": None}
            return replace(section, path=str(path), **settings)
        resize: Any = getattr(section, "resize", "squash")
        return ImagesConfig(
            kind="images", path=str(path), resize=resize, val_fraction=0.1, test_fraction=0.1, **settings
        )
    if path.suffix in (".npz", ".npy") and given.kind != "tokens" and task != "forecast":
        kind, of_array = cast(Any, given.kind), cast(Any, task)
        return ArrayConfig(kind="array", path=str(path), task=of_array, input=kind, val_fraction=0.1, test_fraction=0.1)
    if isinstance(section, SequenceFiles):
        return of_new_file(section, path)
    hint = "--split val" if task == "forecast" else "--data FILE.npz with x, y"
    raise ConfigError(f"data={section.kind} has no files of its own form, got {path}", hint=hint)


def masks_section(run: Finished, path: Path) -> MasksConfig:
    """Return the section that reads new pictures with masks as the run's own were. Raises: ConfigError."""
    section, (channels, height, width) = run.config.data, run.spec.inputs[0].shape
    arrays = path.suffix.lower() == ".npz"
    pair = (path, None) if arrays else folders_of_pair(path)
    if pair is None:
        told = f"{path} is neither an .npz file nor a folder with the folders images and masks"
        hint = f"--data {path.parent}" if path in (folders_of_pair(path.parent) or ()) else "--data FOLDER"
        raise ConfigError(told, hint=hint)
    where: dict[str, Any] = {"images": str(pair[0]), "masks": pair[1] and str(pair[1])}
    if isinstance(section, MasksConfig):
        names: dict[str, Any] = (
            {} if section.is_arrays == arrays else {"image_array": "x", "mask_array": "y", "name_array": None}
        )
        return replace(section, limit=None, **where, **names)
    sizes: dict[str, Any] = {"size": [height, width], "channels": channels}
    return MasksConfig(kind="masks", val_fraction=0.1, test_fraction=0.1, **where, **sizes)


def of_new_file(section: SequenceFiles, path: Path) -> DataConfig:
    """Return the section that reads all of a new file: every window, every segment, every text."""
    if isinstance(section, SeriesConfig):
        whole: dict[str, Any] = {"parts": None, "stride": 1, "season": 1, "val_fraction": 0.0, "test_fraction": 0.0}
        return replace(section, path=str(path), **whole)
    changes: dict[str, Any] = {"val_path": None, "test_path": None, "limit": None, "classes": None}
    if isinstance(section, TextConfig):
        changes |= {"deduplicate": False}
        if section.task == "language":
            changes |= {"val_fraction": 0.0, "test_fraction": 0.0}
    return replace(section, path=str(path), **changes)


def _with_the_runs_labels(run: Finished, source: Source, path: Path) -> Source:
    """Return the source with its classes, or labels, numbered as the run has them. Raises: DataError."""
    target = run.spec.target
    if source.task != run.spec.task:
        raise DataError(f"{path} has a target for {source.task}, but the run is for {run.spec.task}")
    if run.spec.task in ("classification", "tagging", "segmentation"):
        place = {name: number for number, name in enumerate(target.classes)}
        unknown = [name for name in source.classes if name not in place]
        if unknown:
            known = ", ".join(target.classes[:20])
            raise DataError(f"{path} has the label {unknown[0]}, which the run does not know", hint=f"labels: {known}")
        table = np.array([place[name] for name in source.classes], dtype=np.int64)
        own = source.target
        if isinstance(own, Sequences):
            return replace(source, target=replace(own, values=table[own.values]), classes=target.classes)
        if run.spec.is_per_pixel:
            table = np.concatenate([table, np.full(IGNORED + 1 - len(table), IGNORED)]).astype(np.uint8)
            return replace(source, target=table[own], classes=target.classes)
        return replace(source, target=table[own.astype(np.int64)], classes=target.classes)
    if run.spec.task in ("language", "forecast"):
        return source
    if run.spec.task == "multilabel" and source.target_names != target.names:
        unknown = [name for name in source.target_names if name not in target.names]
        if unknown:
            raise DataError(f"{path} has the label {unknown[0]}, which the run does not know")
        values = np.zeros((len(source), len(target.names)))
        for column, name in enumerate(source.target_names):
            values[:, target.names.index(name)] = source.row_target[:, column]
        return replace(source, target=values, target_names=target.names)
    if source.row_target.shape[1:] != (len(target.names),):
        raise DataError(f"{path} has {source.row_target.shape[1]} target columns, the run {len(target.names)}")
    return source
