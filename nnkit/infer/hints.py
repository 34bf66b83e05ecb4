"""Hints for who uses a run: settings of the training, such as data.on_bad, are not theirs to give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nnkit.errors import ConfigError, DataError, Problem

SMALLER = "make them smaller"  # window and horizon, which are settings of data as well


@contextmanager
def hinting(instead: str = "", *, on_bad: str = "") -> Iterator[None]:
    """Replace hints at settings of `data`.

    Args:
        instead: what the user can do in this place.
        on_bad: the same, where the hint was to leave out rows that cannot be read.

    Raises:
        DataError, ConfigError: with the same texts.
    """

    def reworded(hint: str) -> str:
        if "data." not in hint and not hint.startswith(SMALLER):
            return hint
        return on_bad if "data.on_bad" in hint and on_bad else instead

    try:
        yield
    except (DataError, ConfigError) as error:
        kind = DataError if isinstance(error, DataError) else ConfigError
        raise kind(*(Problem(p.text, reworded(p.hint)) for p in error.problems)) from error
