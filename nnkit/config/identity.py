"""Which settings decide a run's result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from nnkit.config.fields import leaves, sections
from nnkit.config.marks import Resume
from nnkit.config.origin import flatten
from nnkit.config.schema import Config, to_plain

# Settings that may change in a run, but not between runs that are compared: they decide what the scores are worth.
LIMITS = ("trainer.max_epochs", "trainer.max_steps", "trainer.max_time_s", "trainer.patience")


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not `live`; one that the schema does not know is among them.

    Args:
        settings: flat, by key.
    """
    live = _live(tuple((name, str(settings.get(f"{name}.kind", ""))) for name in sections()))
    return {key: value for key, value in settings.items() if key not in live}


@cache
def _live(kinds: tuple[tuple[str, str], ...]) -> frozenset[str]:
    known = leaves({name: {"kind": kind} if kind else {} for name, kind in kinds})
    return frozenset(key for key, leaf in known.items() if leaf.mark is Resume.LIVE)


def identity(config: Config) -> str:
    """Return the SHA-256 of all settings that decide a run's result."""
    kept = decisive(dict(flatten(to_plain(config))))
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
