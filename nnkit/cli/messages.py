"""Errors, warnings and notes on standard error. Plain text in a pipe; colours on a terminal, unless NO_COLOR is set."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from nnkit.errors import NnkitError
from nnkit.secrets import redacted, redacted_words

LONGEST = 3_000  # signs of one message
_RED, _YELLOW, _CYAN, _END = "\x1b[1;31m", "\x1b[1;33m", "\x1b[36m", "\x1b[0m"


def show_error(error: NnkitError) -> None:
    """Print every problem of an error, each with its hint."""
    for problem in error.problems:
        print(f"{_coloured('error:', _RED)} {_shown(problem.text)}", file=sys.stderr)
        if problem.hint:
            print(f"{_coloured('hint:', _CYAN)} {_shown(problem.hint)}", file=sys.stderr)


def note(text: str) -> None:
    """Print one line for the user's attention."""
    print(f"{_coloured('note:', _CYAN)} {_shown(text)}", file=sys.stderr)


def warn(text: str) -> None:
    """Print one line on what looks wrong, though it stops nothing."""
    print(f"{_coloured('warning:', _YELLOW)} {_shown(text)}", file=sys.stderr)


def note_overruled(words: Sequence[str]) -> None:
    """Tell which words decide nothing, as another value of the same setting stands behind them."""
    last: dict[str, str] = {}
    for word in words:
        key, equals, _ = word.lstrip("+").partition("=")
        if equals and not word.startswith("-"):
            if last.get(key, word) != word:
                note("{} overrules {}".format(*redacted_words((word, last[key]))))
            last[key] = word


def show_usage(text: str, argv: Sequence[str]) -> int:
    """Print how a command is used, and return the exit code: without words it is an error, where help is asked none."""
    print(text, file=sys.stdout if argv else sys.stderr)
    return 0 if argv else 2


def show_traceback() -> None:
    """Print the traceback of the error that is being handled."""
    print(redacted(traceback.format_exc()), end="", file=sys.stderr)


def printable(text: str) -> str:
    """Return a text of a file without what a terminal would obey."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "?" for sign in text)


def _shown(text: str) -> str:
    """Return a text, which may come out of a stranger's file, as it is shown: lines stay lines, and secrets hidden."""
    shown = redacted(text)  # before it is cut: half a secret is not known as one
    cut = shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"
    return "\n".join(printable(line) for line in cut.split("\n"))


def _coloured(text: str, colour: str) -> str:
    plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    return text if plain else f"{colour}{text}{_END}"
