"""What must not be written where others read it: secrets in settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from nnkit.config.options import config_dir
from nnkit.config.origin import Composed, flatten
from nnkit.errors import Problem
from nnkit.secrets import has_secret, hides, holder, redacted

SHOWN = "which config.yaml would show to everybody"


def word_problem(word: str) -> Problem | None:
    """Return what is wrong with a word that holds a secret: words are kept in the folders of runs and sweeps."""
    key, equals, value = word.partition("=")
    return _secret_problem(key.lstrip("+~"), value) if equals else None


def written_problems(composed: Composed) -> Iterator[Problem]:
    """Yield the settings that must not be written: what was typed, and what stands in the user's own files.

    Values out of a run folder have been written long ago, and nnkit's own options are no secrets, whatever stands in
    the environment.
    """
    typed = [name for name in composed.typed if name not in composed.files]
    files = composed.files if composed.choices else {}
    theirs = {section for section, file in files.items() if not _is_nnkits(file)}
    for key, value in flatten(composed.values):
        is_users = key.partition(".")[0] in theirs or any(_is_part(key, name) or _is_part(name, key) for name in typed)
        if is_users and (problem := _secret_problem(key, value, composed.place(key))) is not None:
            yield problem


def _is_part(key: str, whole: str) -> bool:
    return key == whole or key.startswith(f"{whole}.")


@cache  # each trial of a sweep asks for the same files
def _is_nnkits(file: Path) -> bool:
    return file.is_relative_to(config_dir())


def _secret_problem(key: str, value: Any, place: str = "") -> Problem | None:
    """Return the problem of a setting that is a secret, or whose text holds one."""
    if isinstance(value, (str, int, float)) and not isinstance(value, bool) and hides(key, str(value)):
        last = key.rpartition(".")[2]
        variable = "".join(sign if sign.isalnum() else "_" for sign in last).upper()
        hint = f"read it in your own code: os.environ['{variable}']"
        return Problem(f"{key} looks like a secret, {SHOWN}{place}", hint)
    if isinstance(value, list):
        inner = (_secret_problem(*each, place) for one in value for each in _within(key, one))
        return next((problem for problem in inner if problem is not None), None)
    if not isinstance(value, str):
        return None
    shown = f"{key}={redacted(value)}"
    if (variable_of := holder(value)) is not None:
        text = f"{shown} holds the value of the environment variable {variable_of}, {SHOWN}{place}"
        return Problem(text, f"another value; where it is none to hide, env -u {variable_of} nnkit …")
    if has_secret(value):
        text = f"{shown} holds a password or a key, {SHOWN}{place}"
        return Problem(text, "a file, or your own code that reads the environment")
    return None


def _within(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what stands in one entry of a list, with the key that it has."""
    if isinstance(value, Mapping):
        yield from flatten(value, f"{key}.")
    else:
        yield key, value
