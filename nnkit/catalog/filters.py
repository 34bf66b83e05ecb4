"""Words that choose runs: KEY=VALUE, KEY!=VALUE, KEY<VALUE and the like, of columns, metrics and settings."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, final

from nnkit.catalog.entry import COLUMNS, STATUSES, Entry
from nnkit.config.cross import BETTER_AT
from nnkit.config.fields import all_keys, sections
from nnkit.config.suggest import spell
from nnkit.config.synonyms import SYNONYMS, nearest
from nnkit.errors import ConfigError, Problem

PARTS = ("train", "val", "test", "baseline")
TIMES = ("started", "ended")
_FORM = re.compile(r"^([^=<>!\s]+)\s*(<=|>=|!=|==|=|<|>)\s*(.*)$", re.DOTALL)
_OUTER_COMMA = re.compile(r",(?![^\[]*\])")


@final
@dataclass(frozen=True, slots=True)
class Filter:
    """One condition.

    Attributes:
        key: of a column, a metric or a setting; a section alone is its kind.
        sign: =, !=, <, <=, > or >=.
        texts: the values, of which one is enough; * and ? stand for anything in them.
        number: of the only text, where it is one.
    """

    key: str
    sign: str
    texts: tuple[str, ...]
    number: float | None

    def takes(self, entry: Entry) -> bool:
        """Tell whether a run fulfils it; one that has no such value fulfils nothing but !=."""
        value = entry.value(self.key)
        if self.sign in ("=", "!="):
            return any(_is(value, text, self.key) for text in self.texts) == (self.sign == "=")
        if self.key in TIMES:
            text = self.texts[0].replace(" ", "T")
            return isinstance(value, str) and _compare(value[: len(text)], text, self.sign)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return is_number and self.number is not None and _compare(value, self.number, self.sign)


def _is(value: Any, text: str, key: str) -> bool:
    if isinstance(value, list) and any(_is(member, text, key) for member in value):
        return True
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _number(text)
        return fnmatchcase(spell(value), text) if number is None else number == value
    if key in TIMES and isinstance(value, str) and "*" not in text:
        return value.startswith(text.replace(" ", "T"))
    spelled = spell(value)
    return spelled == text or (any(sign in text for sign in "*?") and "[" not in text and fnmatchcase(spelled, text))


def _compare(value: Any, than: Any, sign: str) -> bool:
    if sign in ("<", "<="):
        return bool(value < than or (sign == "<=" and value == than))
    return bool(value > than or (sign == ">=" and value == than))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def looks_like_filter(word: str) -> bool:
    """Tell whether a word is of the form of a filter."""
    return _FORM.match(word) is not None


def read_filters(words: Sequence[str], entries: Sequence[Entry]) -> list[Filter]:
    """Return the filters that words stand for.

    Args:
        words: of the command line.
        entries: the runs; they may have metrics and settings of the user's own.

    Raises:
        ConfigError: with every word that is none, each with the nearest that is one.
    """
    filters: list[Filter] = []
    problems: list[Problem] = []
    known = known_keys(entries) if words else set()
    for word in words:
        match = _FORM.match(word)
        if match is None:
            hint = "KEY=VALUE; quote words with < or >: the shell takes them for files"
            problems.append(Problem(f"{word} is neither a filter nor a folder", hint))
            continue
        key, sign, text = match[1], match[2].replace("==", "="), match[3]
        if key not in known:
            problems.append(key_problem(key, known, "a filter", word[len(key) :]))
        elif (problem := _value_problem(key, sign, text, entries)) is not None:
            problems.append(problem)
        else:
            texts = tuple(_OUTER_COMMA.split(text)) if sign in ("=", "!=") else (text,)
            filters.append(Filter(key, sign, texts, _number(text)))
    if problems:
        raise ConfigError(*problems)
    return filters


def chosen(entries: Iterable[Entry], filters: Sequence[Filter]) -> list[Entry]:
    """Return the runs that fulfil all filters."""
    return [entry for entry in entries if all(condition.takes(entry) for condition in filters)]


def known_keys(entries: Sequence[Entry]) -> set[str]:
    """Return every key that a run can have: columns, metrics, settings, and sections for their kind."""
    sections_of_kinds = {name for name, kinds in sections().items() if "" not in kinds}
    metrics = {f"{part}/{name.partition('/')[2]}" for part in PARTS for name in BETTER_AT}
    own = {key for part in {id(part): part for entry in entries for part in entry.parts}.values() for key in part}
    own.update(name for entry in entries for name in entry.metrics)
    return {*COLUMNS, *all_keys(), *sections_of_kinds, *metrics, *own}


def key_problem(key: str, known: Collection[str], role: str, rest: str = "") -> Problem:
    """Return what to say of a key that no run can have.

    Args:
        key: what was written.
        known: what could have been.
        role: what it was to be, such as "a filter".
        rest: what stood behind it; carried into the hint.
    """
    last = re.split(r"[./]", key)[-1]
    by_last = [name for name in sorted(known, key=_preference) if re.split(r"[./]", name)[-1] == last]
    meant = SYNONYMS.get(key.lower(), "").partition("=")[0]
    near = by_last[0] if by_last else meant if meant in known else nearest(key, known)
    hint = (
        f"did you mean {near}{rest}?" if near else f"status, model, val/accuracy, optimizer.lr, …: {role} is a setting"
    )
    return Problem(f"{key} is not {role}: no run has it", hint)


def _preference(name: str) -> tuple[bool, bool, str]:
    """Validation before the other parts, sections in the order of their names."""
    return "/" in name, not name.startswith("val/"), name


def _value_problem(key: str, sign: str, text: str, entries: Sequence[Entry]) -> Problem | None:
    """Return what is wrong with a value; a mistyped status or kind would find nothing, silently."""
    if not text and sign not in ("=", "!="):
        return Problem(f"{key}{sign} needs a value", f"{key}{sign}0")
    if sign not in ("=", "!="):
        if key in TIMES or _number(text) is not None:
            return None
        return Problem(f"{key}{sign}{text}: {text} is not a number", f"{key}{sign}0.5, or {key}={text}")
    section = key.removesuffix(".kind")
    choices = STATUSES if key == "status" else tuple(sections().get(section, ()))
    if not choices or "" in choices:
        return None
    choices = (*choices, *{str(found) for entry in entries if (found := entry.value(key)) is not None})
    for word in _OUTER_COMMA.split(text):
        if word not in choices and not any(sign in word for sign in "*?"):
            near = nearest(word, choices)
            hint = f"did you mean {key}{sign}{near}?" if near else f"one of {', '.join(dict.fromkeys(choices))}"
            return Problem(f"{key}{sign}{word}: no run can have {section} {word}", hint)
    return None
