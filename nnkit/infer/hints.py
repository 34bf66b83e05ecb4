"""Hints for who uses a run: settings of the training, such as data.on_bad, are not theirs to give."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nnkit.errors import ConfigError, DataError, NnkitError, Problem

# Of window and horizon, which are settings of data as well, and of its parts.
SMALLER = ("make them smaller", "make it smaller", "larger fractions")
OF_LENGTH = (*SMALLER, "data.segment", "data.season")


@contextmanager
def hinting(
    instead: str = "", *, on_bad: str = "", path: str = "", longer: str = "", found: str = ""
) -> Iterator[None]:
    """Replace hints at settings of `data`.

    Args:
        instead: what the user can do in this place.
        on_bad: the same, where the hint was to leave out rows that cannot be read.
        path: the same, where it was to name another file.
        longer: the same, where there are too few steps.
        found: the same, where it was a file of a name like that of one that is not there: {} stands for its path.

    Raises:
        DataError, ConfigError: with the same texts.
    """
    ours = {"data.on_bad": on_bad, "data.path": path, **dict.fromkeys(OF_LENGTH, longer)}

    def reworded(hint: str) -> str:
        if found and (near := re.fullmatch(r"did you mean (/.*)\?", hint)):
            return found.replace("{}", shlex.quote(near[1]))
        if "data." not in hint and not hint.startswith(SMALLER):
            return hint
        return next((own for word, own in ours.items() if own and word in hint), instead)

    with _reworded(lambda problem: Problem(problem.text, reworded(problem.hint))):
        yield


@contextmanager
def calling(path: Path, name: str) -> Iterator[None]:
    """Replace a path in messages by what the user knows it as. Raises: DataError, ConfigError."""
    with _reworded(lambda problem: Problem(problem.text.replace(str(path), name), problem.hint)):
        yield


@contextmanager
def in_python() -> Iterator[None]:
    """Put the hints into the text of an error, for whom no command shows them; flags become arguments, or are left out.

    Raises: what is raised within.
    """
    try:
        yield
    except NnkitError as error:
        told = [(problem.text, _as_argument(problem.hint)) for problem in error.problems]
        lines = [f"{text}\nhint: {hint}" if hint else text for text, hint in told]
        error.args = (("\n" if any(hint for _, hint in told) else "; ").join(lines),)
        raise


def _as_argument(hint: str) -> str:
    """Return a hint without what only a command understands."""
    if "--trust" in hint:
        return "trust=True, where you know where the run is from"
    return "" if "--" in hint else hint


@contextmanager
def _reworded(change: Callable[[Problem], Problem]) -> Iterator[None]:
    try:
        yield
    except (DataError, ConfigError) as error:
        kind = DataError if isinstance(error, DataError) else ConfigError
        raise kind(*map(change, error.problems)) from error
