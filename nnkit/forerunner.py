"""The run that model.from_run names: what an heir takes over of its settings, and where the data of the two differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard, get_args

from nnkit.assemble import Prepared
from nnkit.config.cross_transfer import is_side
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.data import ImagesConfig, MasksConfig, PixelScaling
from nnkit.config.sections.model import PretrainedConfig
from nnkit.errors import StorageError
from nnkit.runs import PREPROCESS, read_config, read_facts
from nnkit.storage import read_json

LARGEST_SIDE = 4096  # what is taken over; a larger one is typed
CLASSES = "classes"
SPLITS = ("val_fraction", "test_fraction", "split_seed", "limit", CLASSES)
# What makes no other rows of the same data.
READING = (
    "scaling",
    "target_scaling",
    "size",
    "resize",
    "channels",
    "cache",
    "in_memory",
    "workers",
    "worker_timeout_s",
)
SHOWN = 5  # classes


def heir_of(config: Config, folder: Path) -> Config:
    """Return a config whose pictures are made as those of a run were, where they are made by `auto`.

    Raises:
        ConfigError: its config.yaml is missing, or damaged.
    """
    before = read_config(folder)
    model, section, data = config.model, config.data, _part(before, "data")
    if isinstance(model, PretrainedConfig) and model.input_size == "auto":
        side, arch = _part(before, "model").get("input_size"), _part(before, "model").get("arch")
        if arch == model.arch and side == "none":
            model = replace(model, input_size="none")
        elif arch == model.arch and _is_size(side) and is_side(model.arch, side):
            model = replace(model, input_size=side)
    if getattr(section, "scaling", "") == "auto":
        scaling = data.get("scaling")
        is_possible = scaling in get_args(PixelScaling) and (
            scaling != "weights" or isinstance(model, PretrainedConfig)
        )
        if is_possible and scaling != "auto":
            section = replace(section, scaling=scaling)  # type: ignore[arg-type]
    if isinstance(section, ImagesConfig | MasksConfig) and section.size == "auto":
        size = data.get("size")
        if isinstance(size, list) and len(size) == 2 and all(map(_is_size, size)):
            section = replace(section, size=size)
    return replace(config, model=model, data=section)


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and 1 <= value <= LARGEST_SIDE


def differences(prepared: Prepared, folder: Path) -> Iterator[str]:
    """Yield what a run meets otherwise than the one whose weights it takes, in words: each makes these worth less.

    Args:
        prepared: the new run's data and config.
        folder: of the earlier run.

    Raises:
        ConfigError, DataError: its config.yaml or run.json is missing, or damaged.
    """
    config, before, facts = prepared.config, read_config(folder), read_facts(folder)
    data = _part(before, "data")
    there, here = data.get("scaling"), getattr(config.data, "scaling", None)
    if there is not None and here is not None and there != here:
        told = f"{folder} learned with data.scaling={there}, and this run has data.scaling={here}"
        yield f"{told}: its layers are for other numbers"
    if prepared.source.is_of(facts) or _is_of_same_files(config, data):
        yield from _seen_before(config, before, folder)
    try:
        plain = read_json(folder / PREPROCESS)
    except (StorageError, ValueError):  # it is looked at for its words alone: the weights are whole
        yield f"{folder / PREPROCESS} cannot be read: whether classes and words are the same, nobody knows"
        return
    yield from _other_words(prepared, _part({PREPROCESS: plain}, PREPROCESS), folder)


def _is_of_same_files(config: Config, data: Mapping[str, Any]) -> bool:
    """Tell whether a section reads what another one has read, perhaps more or less of it."""
    ours = _part(to_plain(config), "data")
    here, there = ours.get(CLASSES), data.get(CLASSES)
    if isinstance(here, list) and isinstance(there, list) and set(here).isdisjoint(there):
        return False
    return all(data.get(name) == ours[name] for name in ours if name not in (*SPLITS, *READING))


def _seen_before(config: Config, before: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield why a run on the same data has learned from rows that are now held out."""
    cv, data = _part(before, "cv"), _part(before, "data")
    too_good = "what is measured on them is too good"
    if config.cv.folds is not None:
        yield f"{folder} has learned from rows of the same data that the folds hold out: {too_good}"
        return
    changed = [name for name in SPLITS if hasattr(config.data, name) and data.get(name) != getattr(config.data, name)]
    keys = [f"data.{name}" for name in changed] + (["cv.folds"] if cv.get("folds") is not None else [])
    if keys:
        told = f"{folder} has learned from the same data, split otherwise ({', '.join(keys)})"
        yield f"{told}, perhaps from rows of the validation or the test: {too_good}"


def _other_words(prepared: Prepared, plain: Mapping[str, Any], folder: Path) -> Iterator[str]:
    """Yield what has another meaning by the same number: words, and classes."""
    sequences, inputs = prepared.preprocess.sequences, plain.get("inputs")
    first = inputs[0] if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict) else {}
    if sequences is not None and first.get("vocabulary", []) != list(sequences.vocabulary):
        yield f"{folder} has another vocabulary: its embeddings are those of other words"
    classes, ours = plain.get("classes"), list(prepared.spec.target.classes)
    if isinstance(classes, list) and len(classes) == len(ours) and classes != ours and ours != first.get("vocabulary"):
        shown = ", ".join(map(str, classes[:SHOWN])) + (", …" if len(classes) > SHOWN else "")
        yield f"{folder} has other classes ({shown}): its last layer begins with what it knows of these"
