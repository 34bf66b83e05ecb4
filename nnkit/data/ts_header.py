"""The head of a file of series in the format `.ts`: lines of @words, up to @data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from nnkit.errors import DataError, Problem

Labels = Literal["none", "classes", "values"]
_FLAGS = ("timestamps", "missing", "univariate", "equallength", "classlabel", "targetlabel")
_COUNTS = {"dimensions": "dimensions", "dimension": "dimensions", "serieslength": "serieslength"}
_WORDS = (*_FLAGS, *_COUNTS, "problemname", "data")


@final
@dataclass(frozen=True, slots=True)
class TsHeader:
    """What the first lines say.

    Attributes:
        first: number of lines before the first one of values.
        labels: what stands behind the last colon of each line of values: nothing, a class, or a value to be predicted.
        classes: the names of the classes, in order.
        dimensions: how many channels each series has; None where nobody has said so.
        length: how many steps each series has; None where nobody has said so.
        is_equal: whether all series are said to have one length.
        notes: words that mean nothing here.
    """

    first: int
    labels: Labels
    classes: tuple[str, ...]
    dimensions: int | None
    length: int | None
    is_equal: bool
    notes: tuple[str, ...]


def read_header(lines: Sequence[bytes], name: str) -> TsHeader:
    """Return what the head of a file says; capitals do not matter, and comments (#) may be in any encoding.

    Raises:
        DataError: all that is wrong with it, together: no @data, time stamps, a flag or a number that is none.
    """
    found: dict[str, list[str]] = {}
    problems: list[Problem] = []
    notes: list[str] = []
    first = 0
    for number, raw in enumerate(lines, 1):
        line = raw.decode("utf-8", "replace").strip()
        if not line or line.startswith("#"):
            continue
        if not line.startswith("@"):
            problems.append(Problem(f"{name}, line {number}: '{short(line)}' stands before @data", "is it a .ts file?"))
            break
        word, *values = line[1:].split() or [""]
        key = word.lower()
        if key == "data":
            first = number
            break
        if key not in _WORDS:
            notes.append(f"{name}, line {number}: @{word} is not known, and left alone")
        elif trouble := _trouble(key, values):
            problems.append(Problem(f"{name}, line {number}: @{word} {trouble}"))
        found[_COUNTS.get(key, key)] = values
    if not first and not problems:
        problems.append(Problem(f"{name} has no line @data", "is it a .ts file?"))
    problems += _across(found, name)
    if problems:
        raise DataError(*problems)
    return _header(found, first, tuple(notes))


def short(text: str) -> str:
    """Return a text as it is shown in a message: its beginning alone, where it is long."""
    return text if len(text) <= 40 else text[:37] + "..."


def _trouble(key: str, values: Sequence[str]) -> str:
    """Return what is wrong with what follows a word; empty where it is right."""
    value = values[0] if values else ""
    if key in _FLAGS and value.lower() not in ("true", "false"):
        return f"must be true or false, got '{short(value)}'"
    if key in _COUNTS and not (value.isascii() and value.isdecimal() and len(value) < 10 and int(value)):
        return f"must be a whole number from 1, got '{short(value)}'"
    if key == "classlabel" and len(set(values)) < len(values):
        double = next(each for each in values if values.count(each) > 1)
        return f"has '{double}' twice"
    return ""


def _is(found: dict[str, list[str]], key: str) -> bool:
    return "".join(found.get(key, [])[:1]).lower() == "true"


def _across(found: dict[str, list[str]], name: str) -> list[Problem]:
    """Return what does not go together."""
    problems = []
    if _is(found, "timestamps"):
        hint = "write the values alone, at even steps, and @timestamps false"
        problems.append(Problem(f"{name} has time stamps (@timestamps true), which cannot be used", hint))
    if _is(found, "classlabel") and _is(found, "targetlabel"):
        problems.append(Problem(f"{name} has both @classlabel true and @targetlabel true", "set one to false"))
    dimensions = found.get("dimensions", ["1"])
    if _is(found, "univariate") and dimensions != ["1"]:
        text = f"{name} is @univariate true, but has @dimensions {' '.join(dimensions)}"
        problems.append(Problem(text, "set @univariate false"))
    return problems


def _header(found: dict[str, list[str]], first: int, notes: tuple[str, ...]) -> TsHeader:
    labels: Labels = "classes" if _is(found, "classlabel") else "values" if _is(found, "targetlabel") else "none"
    is_equal = _is(found, "equallength")
    dimensions = int(found["dimensions"][0]) if "dimensions" in found else 1 if _is(found, "univariate") else None
    # archives give a series length even where lengths vary: then it is the longest
    length = int(found["serieslength"][0]) if "serieslength" in found and is_equal else None
    return TsHeader(first, labels, tuple(found.get("classlabel", [])[1:]), dimensions, length, is_equal, notes)
