"""Errors, warnings and notes on standard error. Plain text in a pipe; colours on a terminal, unless NO_COLOR is set."""

from __future__ import annotations

import os
import sys

from nnkit.errors import NnkitError

_RED, _YELLOW, _CYAN, _END = "\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[0m"


def show_error(error: NnkitError) -> None:
    """Print every problem of an error, each with its hint."""
    for problem in error.problems:
        print(f"{_coloured('error:', _RED)} {problem.text}", file=sys.stderr)
        if problem.hint:
            print(f"{_coloured('hint:', _CYAN)} {problem.hint}", file=sys.stderr)


def note(text: str) -> None:
    """Print one line for the user's attention."""
    print(f"{_coloured('note:', _CYAN)} {text}", file=sys.stderr)


def warn(text: str) -> None:
    """Print one line on what looks wrong, though it stops nothing."""
    print(f"{_coloured('warning:', _YELLOW)} {text}", file=sys.stderr)


def _coloured(text: str, colour: str) -> str:
    plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    return text if plain else f"{colour}{text}{_END}"
