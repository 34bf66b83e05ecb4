"""What trackers are told of a run: who it is, where it belongs, and its settings without secrets."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nnkit.config.origin import flatten
from nnkit.config.schema import Config, to_plain
from nnkit.config.suggest import spell
from nnkit.errors import StorageError
from nnkit.runs import CONFIG, FOLDS, JOURNAL, MLFLOW, read_run
from nnkit.secrets import HIDDEN, is_secret, redacted
from nnkit.storage import read_json, write_json
from nnkit.track.jsonl import read_events
from nnkit.track.trackers import mlflow, tensorboard, wandb
from nnkit.track.trackers.hosted import Trackers
from nnkit.track.trackers.start import Start
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record

TRACKER = "tracker.json"
SHORTEST_ID, LONGEST_ID = 8, 64


def trackers(config: Config, folder: Path, warn: Callable[[str], None]) -> Trackers:
    """Return the sink that tells a run's trackers; without any it does nothing.

    Args:
        config: of the run.
        folder: of it.
        warn: tells the user what goes wrong.
    """
    return Trackers(partial(_start, config, folder, warn), config.tracker.chosen, warn, _history)


def _history(info: RunInfo) -> Sequence[Record]:
    """Return the events of a run before it goes on: a tracker may not have heard of them."""
    try:
        return list(read_events(info.folder, info.records))
    except StorageError:  # what it lacks costs no training
        return ()


def where_to_look(config: Config, folder: Path, failed: Container[str] = ()) -> Iterator[str]:
    """Yield what to type to look at what trackers have been told of a run, or of the runs in a folder.

    Args:
        config: of it.
        folder: of the run, or of a sweep.
        failed: names of trackers that have not been told all.
    """
    for name in config.tracker.chosen:
        if name == "tensorboard" and any(folder.rglob(f"{tensorboard.FOLDER}/*tfevents*")):
            yield f"tracker=tensorboard: tensorboard --logdir {shlex.quote(str(folder))}"
        elif name == "wandb":
            yield from _of_wandb(config, folder, failed)
        elif name == "mlflow" and name not in failed:
            yield _of_mlflow(config)


def _of_wandb(config: Config, folder: Path, failed: Container[str]) -> Iterator[str]:
    offline = sorted(folder.rglob(f"{wandb.FOLDER}/offline-run-*"))
    if offline:
        places = {each.parent for each in offline}
        levels = len(offline[0].relative_to(folder).parts) - 2
        pattern = "/".join([shlex.quote(str(folder)), *["*"] * levels, wandb.FOLDER, "offline-run-*"])
        place = shlex.quote(str(offline[0])) if len(offline) == 1 else pattern
        append = "--append " if len(offline) > len(places) else ""  # a run that went on, in parts
        yield f"tracker=wandb is offline; to send it: wandb sync {append}{place}"
    elif "wandb" not in failed:
        yield f"tracker=wandb was sent to the project {config.tracker.wandb.project}"


def _of_mlflow(config: Config) -> str:
    uri = mlflow.uri_of(config.tracker.mlflow.uri, _store(config))
    place = mlflow.folder_of(uri)
    if place is not None:
        return f"tracker=mlflow: {mlflow.ALLOW_FOLDERS}=true mlflow ui --backend-store-uri {shlex.quote(str(place))}"
    if urlsplit(uri).scheme in mlflow.PORTS or uri.startswith("databricks"):
        return f"tracker=mlflow was sent to {redacted(uri)}"
    return f"tracker=mlflow: mlflow ui --backend-store-uri {shlex.quote(redacted(uri))}"


def _store(config: Config) -> str:
    """Return the folder beside the runs that MLflow has where it is told no other place."""
    return str(Path(config.output_dir).expanduser().absolute() / MLFLOW)


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
        store=_store(config),
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
