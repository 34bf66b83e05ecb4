"""Where a setting came from: the command line, an experiment, or an option's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import yaml

COMMAND_LINE = "the command line"
NEWEST = "last"  # in place of a run, the newest one: no run may be called so


@final
@dataclass(frozen=True, slots=True)
class Composed:
    """A composed config that has not been checked yet.

    Attributes:
        values: plain dicts, lists and scalars.
        choices: the chosen option of each group.
        typed: keys (and groups) that the user named, on the command line or in an experiment, and where.
        files: the chosen option's file of each group.
    """

    values: dict[str, Any]
    choices: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def place(self, key: str) -> str:
        """Return where `key` was written, as " (in …)"; empty for the command line and for the unknown."""
        for name, where in self.typed.items():
            is_above = key.startswith(name + ".") and name not in self.files
            is_below = name.startswith(key + ".") and key not in self.files
            if key == name or is_above or is_below:
                return "" if where == COMMAND_LINE else f" (in {where})"
        file = self.files.get(key.partition(".")[0])
        return f" (in {file})" if file else ""

    def default(self, key: str) -> Any:
        """Return what the chosen option's file has for `key`, unless that is where the value stands; None without."""
        section, _, name = key.partition(".")
        file = self.files.get(section)
        if file is None or not any(key == typed for typed in self.typed):
            return None
        loaded = yaml.safe_load(file.read_text())
        return dict(flatten(loaded)).get(name) if isinstance(loaded, dict) else None


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf of nested mappings with its dotted key; lists are leaves."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
