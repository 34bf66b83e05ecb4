"""Run folders: making, finding and reading them. No torch here: a wrong RUN is told at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, final

import yaml

from nnkit.config.schema import Config, to_plain
from nnkit.errors import ConfigError, DataError, StorageError
from nnkit.storage import is_locked, make_folder, read_bytes, reporting, write_bytes, write_json

CONFIG, RUN, SWEEP, CHECKPOINTS, PREPROCESS = "config.yaml", "run.json", "sweep.json", "checkpoints", "preprocess.json"
DATA, CV = "data.json", "cv.json"
FORMAT = 2  # 1: the fingerprint of the data left out its parts, and preprocess.json told less


def default_name(config: Config) -> str:
    """Return the run's name: the user's, or <model>-<data>."""
    return config.name or f"{config.model.kind}-{config.data.kind}"


def fold_name(number: int) -> str:
    """Return the name of a fold's folder, which lies in that of its run."""
    return f"fold-{number}"


def timestamp() -> str:
    """Return the time of day with microseconds, as a folder's name."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def new_folder(config: Config) -> Path:
    """Make the folder of a new run: <output_dir>/<name>/<time>. Raises: StorageError."""
    folder = (Path(config.output_dir).expanduser() / default_name(config) / timestamp()).absolute()
    make_folder(folder)
    return folder


def write_config(folder: Path, config: Config) -> None:
    """Write config.yaml: plain data that `yaml.safe_load` reads. Raises: StorageError."""
    write_bytes(folder / CONFIG, yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True).encode())


def read_config(folder: Path) -> dict[str, Any]:
    """Return the values of a run's config.yaml, not checked. Raises: ConfigError."""
    path = folder / CONFIG
    try:
        values = yaml.safe_load(read_bytes(path))
    except (StorageError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read: {' '.join(str(error).split())}", hint="is this a run folder?"
        ) from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no settings", hint="is this a run folder?")
    return values


def write_run(folder: Path, facts: dict[str, Any]) -> None:
    """Write run.json. Raises: StorageError."""
    write_json(folder / RUN, {"format": FORMAT, **facts})


def read_run(folder: Path) -> dict[str, Any]:
    """Return run.json; its status is "lost" when the run should be alive but nobody holds its lock.

    Raises:
        DataError: it is missing, damaged, or of a newer format.
    """
    path = folder / RUN
    try:
        facts = json.loads(read_bytes(path))
        if facts["format"] > FORMAT:
            raise DataError(
                f"{path} has format {facts['format']}, newer than this nnkit's {FORMAT}", hint="update nnkit"
            )
        if facts["status"] == "running" and not is_locked(folder):
            facts["status"] = "lost"
    except (StorageError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="is this a run folder?") from error
    return dict(facts)


@final
@dataclass(frozen=True, slots=True)
class Found:
    """A run folder and what its run.json says."""

    folder: Path
    facts: dict[str, Any]


def find_runs(output_dir: Path) -> Sequence[Found]:
    """Return every readable run below a folder, the newest last; the folds of a run are a part of it."""
    found = []
    for path in output_dir.glob(f"**/{RUN}"):
        if path.parent.name.startswith("fold-") and (path.parent.parent / RUN).is_file():
            continue
        try:
            found.append(Found(path.parent, read_run(path.parent)))
        except DataError:
            continue
    return sorted(found, key=lambda run: str(run.facts.get("started", "")))


def find_run(word: str, output_dir: Path) -> Path:
    """Return the run folder that RUN on the command line names.

    Args:
        word: a run folder, a sweep folder (its best run), or "last" (the newest below `output_dir`; after a sweep its
            best run).
        output_dir: where "last" looks.

    Raises:
        ConfigError: it names no run.
    """
    if word == "last":
        runs = find_runs(output_dir)
        if not runs:
            raise ConfigError(f"there is no run in {output_dir}", hint="nnkit train")
        return _of_sweep(runs[-1]).absolute()
    folder = Path(word).absolute()
    with reporting("read", folder):  # a name that is too long, a folder of somebody else
        if (folder / CONFIG).is_file():
            return folder
        if (folder / SWEEP).is_file():
            return _best_trial(folder)
        hint = _hint_at_runs(folder)
    raise ConfigError(f"{word} is not a run folder: it has no {CONFIG}", hint=hint)


def _of_sweep(newest: Found) -> Path:
    """Return the best trial of the sweep that a run has ended in, or the run itself."""
    sweep = newest.folder.parent
    if newest.facts["status"] in ("completed", "stopped_early", "failed") and (sweep / SWEEP).is_file():
        return _best_trial(sweep)
    return newest.folder


def _best_trial(folder: Path) -> Path:
    try:
        best = dict(json.loads(read_bytes(folder / SWEEP))).get("best")
    except (StorageError, ValueError, TypeError) as error:
        raise ConfigError(f"{folder / SWEEP} cannot be read: {error}") from error
    if best is None:
        raise ConfigError(f"the sweep {folder} has no finished trial")
    return folder / str(best)


def _hint_at_runs(folder: Path) -> str:
    """Name a run that is near: around a folder or file, or the newest of those directly below."""
    around = next((path for path in folder.parents if (path / CONFIG).is_file()), None)
    if around is not None:
        return f"did you mean {around}?"
    below = sorted(path.parent for path in folder.glob(f"*/{RUN}"))
    return f"it holds runs: {below[-1]}" if below else "last, or a folder below outputs/"
