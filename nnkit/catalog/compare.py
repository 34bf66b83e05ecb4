"""What a run has set differently from the options' files, and what two runs differ in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from nnkit.config.options import PRIMARY, config_dir, find_groups, search_dirs
from nnkit.config.origin import flatten
from nnkit.config.suggest import spell
from nnkit.storage import read_bytes

AUTO = "auto"


def typed_words(values: Mapping[str, Any]) -> list[str]:
    """Return the words that, behind `nnkit train`, make these settings out of the options' files.

    A setting whose file says auto, or whose value is worked out, holds a pick and is left out; so is what a fold does
    not read.

    Args:
        values: of a run's config.yaml, not checked.

    Raises:
        ConfigError: an option stands in two of the config folders.
    """
    primary = _loaded(config_dir() / PRIMARY)
    options = {
        name: str(option) for entry in primary["defaults"] if isinstance(entry, dict) for name, option in entry.items()
    }
    groups = find_groups(search_dirs())
    words: list[str] = []
    for name, value in values.items():
        if not isinstance(value, dict):
            words += _differing({name: value}, primary, "")
            continue
        files, chosen = groups.get(name, {}), options.get(name, "")
        kind = value.get("kind")
        if isinstance(kind, str) and kind in files and kind != chosen:
            words += [] if chosen == AUTO and kind != "code" else [f"{name}={kind}"]
            chosen = kind
        defaults = _loaded(files[chosen]) if chosen in files else primary.get(name, {})  # cv stands in the primary
        unread = ("kind", "final") if name == "cv" and value.get("fold") is not None else ("kind",)
        words += _differing({key: found for key, found in value.items() if key not in unread}, defaults, f"{name}.")
    return words


def _differing(values: Mapping[str, Any], defaults: Mapping[str, Any], prefix: str) -> list[str]:
    known = dict(flatten(defaults))
    picks = {key for key, default in known.items() if default == AUTO or (isinstance(default, str) and "$" in default)}
    return [
        f"{prefix}{key}={spell(value)}"
        for key, value in flatten(values)
        if key not in picks and value != known.get(key, None if value != {} else {})
    ]


def _loaded(path: Path) -> dict[str, Any]:
    found = yaml.safe_load(read_bytes(path))
    return found if isinstance(found, dict) else {}


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the leaves in which two nests of values differ, by key; None stands for what one of them lacks."""
    a, b = dict(flatten(first)), dict(flatten(second))
    return {key: (a.get(key), b.get(key)) for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)}
