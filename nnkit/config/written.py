"""What must not be written where others read it: secrets in settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nnkit.config.origin import Composed, flatten
from nnkit.errors import Problem
from nnkit.secrets import has_secret, is_secret, redacted


def word_problem(word: str) -> Problem | None:
    """Return what is wrong with a word that holds a secret: words are kept in the folders of runs and sweeps."""
    key, equals, value = word.partition("=")
    return _secret_problem(key.lstrip("+~"), value) if equals else None


def written_problems(composed: Composed) -> Iterator[Problem]:
    """Yield the settings that must not be written. Values out of a run folder have been, long ago."""
    if composed.choices or composed.typed:
        for key, value in flatten(composed.values):
            if (problem := _secret_problem(key, value, composed.place(key))) is not None:
                yield problem


def _secret_problem(key: str, value: Any, place: str = "") -> Problem | None:
    """Return the problem of a setting that is a secret, or whose text holds one."""
    last = key.rpartition(".")[2]
    variable = "".join(sign if sign.isalnum() else "_" for sign in last).upper()
    if is_secret(key) and isinstance(value, (str, int)) and not isinstance(value, bool) and value not in ("", "null"):
        hint = f"read it in your own code: os.environ['{variable}']"
        return Problem(f"{key} looks like a secret, which config.yaml would show to everybody{place}", hint)
    if any(has_secret(text) for text in _texts(value)):
        text = (
            f"{key}={redacted(str(value))} holds a password or a key, which config.yaml would show to everybody{place}"
        )
        return Problem(text, "a file, or your own code that reads the environment")
    return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
