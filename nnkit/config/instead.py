"""What to type instead of a value that Hydra's grammar does not take, or of several where one is asked for."""

from __future__ import annotations

import re
import shlex

from nnkit.config.words import SWEEP, in_quotes
from nnkit.errors import Problem

_SWEPT = re.compile(r"^(choice|range|interval|tag|glob|sort|shuffle|int|float)\(")
NO_REASON = "None"  # what the grammar says where it knows of no way on
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"))


def unreadable(word: str, reason: str) -> Problem:
    """Word what Hydra's grammar does not take: a value, or a function of a sweep.

    Args:
        word: in Hydra's form.
        reason: what the grammar says of it.
    """
    key, _, value = word.lstrip("+").partition("=")
    if _SWEPT.match(value):
        is_open = any(value.count(left) != value.count(right) for left, right in _BRACKETS)
        unsaid = "a bracket is missing, or one too many" if is_open else "it cannot be read"
        said = unsaid if is_open or reason == NO_REASON else reason
        hint = f"{key}=choice(1,2), range(1,9,2), interval(0.1,0.5) or tag(log, interval(1e-4,1e-1))"
        return Problem(f"{key}={value} is no space to sweep over: {said}", hint)
    return Problem(f"{key}={value} cannot be read as a value", _readable(key, value))


def _readable(key: str, value: str) -> str:
    """Return what to type in place of a value that Hydra's grammar does not take."""
    bare = value.strip(", ")
    if bare and bare != value and not set(bare) & set(",()[]{}'\""):
        return f"{key}={bare}"
    if not value:
        return f"{key}=VALUE"
    word = f"{key}={in_quotes(value)}"
    is_plain = not set(word) & set('"$`!') and "\\\\" not in word  # between double quotes the shell leaves it alone
    return f'quote it: "{word}"' if is_plain else f"quote it: {shlex.quote(word)}"


def instead_of_several(word: str) -> str:
    """Return what to type in place of several values: a list, a number whose point was typed as a comma, a sweep."""
    from nnkit.config.fields import takes_float, takes_lists  # the schema, which a right command line does not need

    key, _, value = word.partition("=")
    if re.fullmatch(r"[+-]?0,\d+", value) and takes_float(key):
        return f"{word.replace(',', '.')}, with a point; or a sweep: {SWEEP}"
    listed = f"'{key}=[{value}]'"
    if set(value) & set("()[]'\"") or (lists := takes_lists(key)) == "never":
        return SWEEP
    return listed if lists == "always" else f"{listed}, or a sweep: {SWEEP}"
