"""What a new run starts from: weights that were learned before. A run that goes on has its own, and needs none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, final

import torch

from nnkit.assemble import Prepared
from nnkit.config.schema import Config
from nnkit.config.sections.model import DEFAULT_WEIGHTS, PretrainedConfig, TrainableConfig
from nnkit.errors import CheckpointError, ConfigError
from nnkit.forerunner import differences, heir_of
from nnkit.models.pretrained import is_published, published, published_file, read_published
from nnkit.models.weights import Taken, Weights, read_weights, some, take, weights_path
from nnkit.runs import CHECKPOINTS, find_run, fold_name, read_config
from nnkit.train import checkpoints
from nnkit.train.run import Run

FACT = "started_from"  # in run.json
MOST_KEPT = 50  # names, in run.json


@final
@dataclass(frozen=True, slots=True)
class Start:
    """What a run has started from.

    Attributes:
        facts: for run.json; empty where its first values are its own.
        lines: for the user.
        warnings: why they may be worth less than they seem, for the user.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    lines: Sequence[str] = ()
    warnings: Sequence[str] = ()


def look_for_start(config: Config) -> Config:
    """Look for what a new run shall start from, before any data is read: a weights file that is published is fetched.

    Returns:
        The config, with the folder of the run that model.from_run names: what is the last one now may not be so later.
        What is `auto` of its pictures is as that run had it.

    Raises:
        ConfigError: model.from_run names no run, or one without a network of its own.
        CheckpointError: the file is not there, or cannot be fetched; or the run has saved nothing.
    """
    model, path = config.model, weights_path(config.model)
    if path is not None and not path.exists():
        hint = "model.weights=FILE, a .safetensors or .pth file"
        if isinstance(model, PretrainedConfig):
            hint += f"; or {DEFAULT_WEIGHTS}, or none"
        raise CheckpointError(f"model.weights={path} is not there", hint=hint)
    if isinstance(model, TrainableConfig) and model.from_run is not None:
        folder = find_run(model.from_run, Path(config.output_dir).expanduser(), links="followed")
        _check_network(folder)
        return heir_of(replace(config, model=replace(model, from_run=str(folder))), folder)
    if isinstance(model, PretrainedConfig) and model.takes_published:
        published_file(model.arch)
    return config


def _check_network(folder: Path) -> None:
    """Check that a run has a network that was saved. Raises: ConfigError, CheckpointError."""
    fold = folder / fold_name(0)
    if fold.is_dir() and not (folder / CHECKPOINTS).is_dir():
        told = f"model.from_run={folder} has no network of its own: it was cross-validated, and its folds have theirs"
        raise ConfigError(told, hint=f"model.from_run={fold}")
    checkpoints.pointed(folder / CHECKPOINTS, "best")


def start(run: Run, prepared: Prepared, before: Mapping[str, Any] | None = None) -> Start:
    """Give a new run's network the weights that its config names, where it names such.

    Args:
        run: wired; its network has its first values.
        prepared: of the run, with every pick.
        before: its run.json, where it has begun once and saved nothing.

    Raises:
        ConfigError: model.from_run names no run.
        StorageError, CheckpointError: the weights cannot be read, are damaged, hold code, or none of them fits; or they
            are no longer what the run has begun with.
    """
    config = prepared.config
    found = _found(config)
    if found is None:
        return Start()
    origin, place, weights = found
    known = (before or {}).get(FACT)
    if isinstance(known, dict) and known.get("sha256") != weights.sha256:
        told = f"{origin} has changed since the run started from its weights: their SHA-256 was {known.get('sha256')}"
        raise CheckpointError(told, hint="nnkit train starts a new run")
    taken = take(run.model, weights.tensors, origin, is_kin=_is_kin(config, place))
    if run.average is not None:
        with torch.no_grad():
            run.average.copy_(run.parameters.values)
    first, *others = taken.lines()
    kept = {name: taken.skipped[name] for name in list(taken.skipped)[:MOST_KEPT]}
    facts = {
        "path": str(place),
        "sha256": weights.sha256,
        "loaded": len(taken.loaded),
        "skipped": kept,
        "new": list(taken.new[:MOST_KEPT]),
    }
    warnings = [*_frozen_anew(run, taken, origin), *_other_pictures(config, place, weights)]
    warnings += differences(prepared, place) if place.is_dir() else ()
    return Start({FACT: facts}, [f"weights of {origin}: {first}", *others], warnings)


def _is_kin(config: Config, place: Path) -> bool:
    """Tell whether weights are of a run whose network is of the same kind: other sizes are what the user wants."""
    before = read_config(place).get("model") if place.is_dir() else None
    names = ("kind", "arch", "code")
    return isinstance(before, dict) and all(before.get(name) == getattr(config.model, name, None) for name in names)


def _other_pictures(config: Config, place: Path, weights: Weights) -> Iterator[str]:
    """Yield that a file is torchvision's own, where it was named by its path and the pictures are made otherwise."""
    model, scaling = config.model, getattr(config.data, "scaling", "weights")
    if not isinstance(model, PretrainedConfig) or weights_path(model) is None or scaling == "weights":
        return
    if is_published(model.arch, weights.sha256):
        told = f"{place} is torchvision's own, learned on pictures of other statistics than data.scaling={scaling}"
        yield f"{told}; data.scaling=weights has theirs, and model.weights={DEFAULT_WEIGHTS} takes their size, too"


def _frozen_anew(run: Run, taken: Taken, origin: str) -> Iterator[str]:
    """Yield what is frozen though nobody has learned it."""
    frozen = {} if run.frozen is None else run.frozen.opens
    if anew := [name for name in taken.new if name in frozen]:
        told = f"{len(anew)} of {len(frozen)} frozen tensors are not in {origin}, and keep first values that nobody has"
        yield f"{told} learned: {some(anew)}"


def _found(config: Config) -> tuple[str, Path, Weights] | None:
    """Return what the weights are, in words, where they lie, and what they hold; None where there are none."""
    model, path = config.model, weights_path(config.model)
    if path is not None:
        return str(path), path, read_weights(path)
    if isinstance(model, TrainableConfig) and model.from_run is not None:
        folder = find_run(model.from_run, Path(config.output_dir).expanduser(), links="followed")
        best = checkpoints.pointed(folder / CHECKPOINTS, "best")
        sha256 = checkpoints.read_manifest(best)["sha256"][checkpoints.WEIGHTS]
        return f"run {folder}", folder, Weights(checkpoints.read_weights(best), sha256)
    if isinstance(model, PretrainedConfig) and model.takes_published:
        place, weights = read_published(model.arch)
        return f"{model.arch}, {published(model.arch).name}", place, weights
    return None
