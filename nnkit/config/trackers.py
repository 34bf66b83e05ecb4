"""What can be wrong with trackers: settings that nobody reads, packages that are not there, places not ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.errors import ConfigError, Problem

if TYPE_CHECKING:
    from nnkit.config.schema import Config

PACKAGES: Mapping[str, str] = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow-skinny"}  # for pip
SCHEMES = ("file", "http", "https", "sqlite", "postgresql", "mysql", "databricks")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9]*)(\+[A-Za-z0-9]+)?:")


def tracker_problems(config: Config) -> Iterator[Problem]:
    """Yield what is wrong with the settings of trackers."""
    uri = config.tracker.mlflow.uri
    found = _SCHEME.match(uri) if uri is not None else None
    if found is not None and found[1] not in SCHEMES:
        text = f"tracker.mlflow.uri must be a folder or an address with {', '.join(SCHEMES)}, got '{uri}'"
        yield Problem(text, "tracker.mlflow.uri=FOLDER, or http://HOST:PORT")


def unread_of_trackers(config: Config) -> dict[str, str]:
    """Return the settings of trackers that are not used, and why nobody reads them."""
    tracker, chosen = config.tracker, config.tracker.chosen
    names = [name for name in PACKAGES if name not in chosen]
    return {
        f"tracker.{name}.{each.name}": f"a run without tracker={name}"
        for name in names
        for each in fields(getattr(tracker, name))
        if each.name != "use"
    }


def word_with(name: str, config: Config) -> str:
    """Return the word that chooses a tracker beside those that are chosen already."""
    names = [*config.tracker.chosen, name]
    return f"tracker={name}" if len(names) == 1 else f"'tracker=[{','.join(names)}]'"


def refuse_missing(config: Config) -> None:
    """Refuse trackers whose package is not installed. Raises: ConfigError."""
    problems = [
        Problem(
            f"tracker={name} needs the package {PACKAGES[name]}",
            f"pip install {PACKAGES[name]}, or tracker.{name}.use=false",  # which a run that goes on takes, too
        )
        for name in config.tracker.chosen
        if not _is_installed(name)
    ]
    if problems:
        raise ConfigError(*problems)


def _is_installed(name: str) -> bool:
    """Tell whether a module is there; a folder of that name, such as wandb's own for runs, is none."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None


def refuse_places(values: Mapping[str, Any], folder: Path) -> None:
    """Refuse a run folder, which may be a stranger's, that sends or writes beyond itself. Raises: ConfigError."""
    problems = [
        Problem(f"{folder}: tracker.{name} {does}", f"if the run is yours: --trust; without it: {instead}")
        for name, does, instead in _beyond(values.get("tracker"))
    ]
    if problems:
        raise ConfigError(*problems)


def _beyond(section: Any) -> Iterator[tuple[str, str, str]]:
    """Yield which trackers of a plain config reach beyond the run folder, how, and what to type instead."""
    found = {name: section.get(name) for name in PACKAGES} if isinstance(section, Mapping) else {}
    used = {name: each for name, each in found.items() if isinstance(each, Mapping) and each.get("use") is True}
    if "wandb" in used and used["wandb"].get("mode") != "offline":
        yield "wandb", "sends the run to a server", "tracker.wandb.mode=offline"
    if "mlflow" in used:
        uri = used["mlflow"].get("uri")
        place = f"to {uri}" if uri else "to where MLFLOW_TRACKING_URI or its output_dir say"
        yield "mlflow", f"writes {place}", "tracker.mlflow.use=false"
