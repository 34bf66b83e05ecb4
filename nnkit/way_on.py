"""What to type once a run has ended: to go on with it, where that can help, or to train the same anew."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnkit.catalog.compare import typed_words
from nnkit.errors import ConfigError, DivergenceError, NnkitError, OutOfMemoryError
from nnkit.runs import CHECKPOINTS, CONFIG

LR = "optimizer.lr"


def code_of(error: BaseException) -> int:
    """Return the exit code of an error; 1 for a bug."""
    return error.exit_code if isinstance(error, NnkitError) else 1


def words_on(folder: Path, values: Mapping[str, Any], code: int | None = None) -> list[str]:
    """Return the words behind `nnkit` that go on with a run; none where they would end as it has ended.

    Args:
        folder: of the run.
        values: of its config.
        code: the exit code with which it has ended; None for a signal.
    """
    if not (folder / CONFIG).exists() or code == OutOfMemoryError.exit_code:
        return []
    if code != DivergenceError.exit_code:
        return ["resume", str(folder)]
    lr = _part(values, "optimizer").get("lr")
    may_change = not _part(values, "cv").get("folds")  # folds that have ended were trained with it
    if not isinstance(lr, (int, float)) or not may_change or not any((folder / CHECKPOINTS).glob("step-*/state.pt")):
        return []
    return ["resume", str(folder), f"{LR}={lr / 10:.1g}", "--allow", LR]


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def line_on(folder: Path, values: Mapping[str, Any], code: int | None = None) -> str:
    """Return what `words_on` says as it is typed; empty for none."""
    words = words_on(folder, values, code)
    return shlex.join(["nnkit", *words]) if words else ""


def line_anew(values: Mapping[str, Any], changed: Mapping[str, Any] | None = None) -> str:
    """Return what is typed to train with a run's settings in a folder of its own.

    Args:
        values: of its config.
        changed: settings to be had instead, by key.
    """
    changes = changed or {}
    try:
        words = [word for word in typed_words(values) if word.partition("=")[0] not in changes]
    except ConfigError:  # an option of the user's own stands in two folders by now
        return "nnkit train starts a new run"
    return shlex.join(["nnkit", "train", *words, *(f"{key}={value}" for key, value in changes.items())])
