"""What trackers are told of a run: who it is, where it belongs, and its settings without secrets."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from nnkit.config.origin import flatten
from nnkit.config.schema import Config, to_plain
from nnkit.config.suggest import spell
from nnkit.errors import StorageError
from nnkit.runs import CONFIG, FOLDS, JOURNAL, MLFLOW, read_run
from nnkit.secrets import HIDDEN, is_secret, redacted
from nnkit.storage import read_json, write_json
from nnkit.track.trackers.hosted import Trackers
from nnkit.track.trackers.start import Start
from nnkit.train.sink import RunInfo

TRACKER = "tracker.json"
SHORTEST_ID, LONGEST_ID = 8, 64


def trackers(config: Config, folder: Path, warn: Callable[[str], None]) -> Trackers:
    """Return the sink that tells a run's trackers; without any it does nothing.

    Args:
        config: of the run.
        folder: of it.
        warn: tells the user what goes wrong.
    """
    return Trackers(partial(_start, config, folder, warn), config.tracker.chosen, warn)


def tell_metrics(config: Config, folder: Path, metrics: Mapping[str, float], warn: Callable[[str], None]) -> None:
    """Tell the trackers of a run that has ended final metrics that it had not looked at, and wait for them.

    Args:
        config: of the run, with every pick, as its trackers have been told.
        folder: of it, with what it is called by its trackers.
        metrics: by name.
        warn: tells the user what goes wrong.
    """
    if not config.tracker.chosen or not metrics:
        return
    facts = read_run(folder)
    tracked = trackers(config, folder, warn)
    tracked.start(RunInfo(folder, facts["title"], facts["epochs"], 0, config.trainer.monitor, step=facts["steps"]))
    tracked.metrics = metrics
    tracked.close(facts["status"])


def _start(config: Config, folder: Path, warn: Callable[[str], None], info: RunInfo, name: str) -> Start:
    identity, goes_on = _identity(folder, name, warn)
    title, group, job = place_of(folder)
    settings = to_plain(config)["tracker"][name]
    return Start(
        identity=identity,
        name=redacted(title),
        group=redacted(group),
        job=job,
        tags=[redacted(tag) for tag in config.tags],
        folder=str(folder),
        store=str(Path(config.output_dir).expanduser().absolute() / MLFLOW),
        step=info.step,
        goes_on=goes_on,
        config=settings_told(config),
        settings=settings,
        wait_s=settings["wait_s"],
    )


def _identity(folder: Path, name: str, warn: Callable[[str], None]) -> tuple[str, bool]:
    """Return the run's own name among those of a tracker, and whether it has been told there before."""
    path = folder / TRACKER
    try:
        known = dict(read_json(path))
    except (StorageError, ValueError, TypeError, RecursionError):  # it is not there, or torn: a new curve begins
        known = {}
    before = known.get(name)
    if isinstance(before, str) and SHORTEST_ID <= len(before) <= LONGEST_ID and before.isalnum() and before.isascii():
        return before, True
    identity = uuid.uuid4().hex
    try:
        write_json(path, {**known, name: identity})
    except StorageError as error:
        warn(f"{error}; a run that goes on begins a new curve with tracker={name}")
    return identity, False


def place_of(folder: Path) -> tuple[str, str, str]:
    """Return a run's name for people, what it belongs to, and whether it is a train, a trial or a fold."""
    above = folder.parent
    if folder.name.startswith(FOLDS) and (above / CONFIG).exists():
        return f"{above.name}/{folder.name}", f"{above.parent.name}/{above.name}", "fold"
    if (above / JOURNAL).exists():
        return folder.name, f"{above.parent.name}/{above.name}", "trial"
    return f"{above.name}/{folder.name}", "", "train"


def settings_told(config: Config) -> dict[str, bool | int | float | str]:
    """Return every setting by its key, without secrets; those of trackers are their own."""
    return {key: _told(key, value) for key, value in flatten(to_plain(config)) if not key.startswith("tracker.")}


def _told(key: str, value: Any) -> bool | int | float | str:
    if isinstance(value, (bool, int, float)):
        return HIDDEN if is_secret(key) and not isinstance(value, bool) else value
    return HIDDEN if is_secret(key) and value not in (None, "") else redacted(spell(value))
