"""From composed values to a checked Config, or to every problem at once, each with its key, its place and a hint."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache, reduce
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import TypeAdapter, ValidationError

from nnkit.config.cross import BETTER_AT, cross_problems, unread_problems, unread_settings
from nnkit.config.cross_sequences import as_typed
from nnkit.config.fields import (
    Leaf,
    choices_of,
    describe,
    leaves,
    plain_types,
    section_of,
    sections,
    subsections,
    takes_list,
)
from nnkit.config.meant import EXAMPLES, meant_value
from nnkit.config.origin import NEWEST, Composed, flatten
from nnkit.config.schema import Config
from nnkit.config.suggest import key_hint, spell
from nnkit.config.synonyms import nearest, nearest_metric
from nnkit.config.written import written_problems
from nnkit.errors import ConfigError, Problem

COMMAND_KEPT = "run.json keeps the command that it was begun with"
YES, NO = ("yes", "y", "on", "t", "1"), ("no", "n", "off", "f", "0")
MOST_TOLD = 30  # problems of one config; what is to be typed instead of each is looked for in all settings


@cache
def _adapter() -> TypeAdapter[Config]:
    return TypeAdapter(Config)


def check(composed: Composed) -> Config:
    """Return the checked config.

    Args:
        composed: values with their origin; values read from a run folder have none.

    Raises:
        ConfigError: with every problem of this stage.
    """
    try:
        config = _validated(composed.values)
    except ValidationError as error:
        raise ConfigError(*_problems(error, composed), *_problems_behind(error, composed)) from None
    config = as_typed(config, composed)
    problems = [
        *_name_problems(config, composed),
        *cross_problems(config),
        *unread_problems(config, composed),
        *written_problems(composed),
    ]
    if problems:
        raise ConfigError(*problems)
    return config


def check_written(values: dict[str, Any], path: Path) -> Config:
    """Return the checked config of a run's file.

    Raises:
        ConfigError: it names the file, as no word of a command would mend it.
    """
    try:
        return check(Composed(values))
    except ConfigError as error:
        mend = f"mend {path.name} in the run folder; {COMMAND_KEPT}"
        told = [(p.text, mend if "=" in p.hint else p.hint) for p in error.problems]
        raise ConfigError(*(Problem(f"{path}: {text}", hint) for text, hint in told)) from error


def _name_problems(config: Config, composed: Composed) -> Iterator[Problem]:
    """Yield a name that a new run must not have; one that was begun with it still goes on."""
    if config.name == NEWEST and "name" in composed.typed:
        yield Problem(
            f"name={NEWEST} is taken: where a run is asked for it means the newest run{composed.place('name')}",
            "name=latest",
        )


def read_by(composed: Composed, key: str) -> bool:
    """Whether somebody reads a setting or group; yes as long as the config is wrong for other reasons."""
    try:
        config = _validated(composed.values)
    except ValidationError:
        return True
    unread = unread_settings(config)
    if key == "regularization":  # an option that brings dropout, where nothing drops out
        return not ("regularization.dropout" in unread and config.regularization.dropout)
    return not any(key == name or key.startswith(name + ".") for name in unread)


def _validated(values: Mapping[str, Any]) -> Config:
    return _adapter().validate_json(json.dumps(values, default=_as_mapping))


def _problems_behind(error: ValidationError, composed: Composed) -> list[Problem]:
    """Return what would be wrong without the keys that do not exist, so that one look shows everything."""
    values = copy.deepcopy(composed.values)
    for item in error.errors(include_url=False):
        if item["type"] != "unexpected_keyword_argument":
            return []
        key = _key(item["loc"], composed.values)
        *above, name = [key] if key in values else key.split(".")  # a file may have a dot in a name at its top
        reduce(lambda section, part: section[part], above, values).pop(name)
    config = _validated(values)
    return [*cross_problems(config), *unread_problems(config, composed)]


def _as_mapping(value: object) -> dict[str, str]:
    """Stand for what JSON lacks (a date, bytes): no setting takes a mapping, so its key is reported."""
    return {type(value).__name__: str(value)}


def _problems(error: ValidationError, composed: Composed) -> list[Problem]:
    known = leaves(composed.values)
    found: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        if not item["loc"]:  # it is no JSON, before any setting is looked at
            return _undecodable(composed)
        for key, value in _leaves_of(_key(item["loc"], composed.values), item["type"], item["input"]):
            if key not in found:
                if len(found) == MOST_TOLD:
                    return [*found.values(), Problem(f"and {error.error_count() - MOST_TOLD} more")]
                found[key] = _problem(key, item["type"], value, known, composed)
    hints = " ".join(problem.hint for problem in found.values())
    told = {key for key in found if re.search(rf"did you mean {re.escape(key)}(?![\w.])", hints)}
    misspelled = {f"{key} is missing" for key in told}  # and so it is not missing
    return [problem for problem in found.values() if problem.text.partition(":")[0] not in misspelled]


def _leaves_of(key: str, kind: str, value: Any) -> list[tuple[str, Any]]:
    """Return the keys that are wrong: of a section that does not exist each setting, for it is what was meant."""
    is_section = kind == "unexpected_keyword_argument" and "." not in key and isinstance(value, Mapping)
    return list(flatten(value, f"{key}.")) if is_section and value else [(key, value)]


def _undecodable(composed: Composed) -> list[Problem]:
    """Return the settings whose text has bytes that are no UTF-8, as in old names of files."""
    wrong = [key for key, value in flatten(composed.values) if re.search("[\ud800-\udfff]", f"{key}{value}")]
    hint = "rename the file, or give it another name by a link: ln -s"
    return [Problem(f"{key} has bytes that are no UTF-8{composed.place(key)}", hint) for key in wrong]


def _key(loc: tuple[int | str, ...], values: Mapping[str, Any]) -> str:
    """Return the dotted key of a location; the union tags that pydantic puts in between are left out."""
    name, *rest = [str(part) for part in loc]
    if name not in sections():
        return name
    if rest and "" not in sections()[name] and section_of(values, name) is not None:
        rest = rest[1:]
    key = f"{name}.{rest[0]}" if rest else name
    return f"{key}.{rest[1]}" if key in subsections() and len(rest) > 1 else key


def _problem(key: str, kind: str, value: Any, known: Mapping[str, Leaf], composed: Composed) -> Problem:
    place = composed.place(key)
    section = key.partition(".")[0]
    if kind == "unexpected_keyword_argument":
        owner = _owner(section, composed) if "." in key else "nnkit"
        return Problem(f"{key} is not a setting of {owner}{place}", key_hint(key, composed.values, value, sections()))
    if kind == "missing":
        return Problem(f"{key} is missing: {_expected(key, known)}{place}", EXAMPLES.get(key, f"{key}=…"))
    if kind.startswith("union_tag"):
        return _wrong_kind(section, value, composed.place(f"{section}.kind"))
    if key == "cv":  # it has no options
        return Problem(f"cv must be a section, got {_shown(value)}{place}", f"cv.folds={value}, or another of cv.*")
    if key in sections():
        option = value if isinstance(value, str) else "OPTION"
        return Problem(
            f"{key} must be a section, got {_shown(value)}{place}", f"in a file: defaults: [override /{key}: {option}]"
        )
    if key in subsections():
        return Problem(f"{key} must be a section, got {_shown(value)}{place}", f"{section}={key.rpartition('.')[2]}")
    at = composed.values.get(section)
    value = at.get(key.rpartition(".")[2], value) if isinstance(at, Mapping) else composed.values.get(key, value)
    text = f"{key} must be {_expected(key, known)}, got {_shown(value)}{place}"
    return Problem(text, _value_hint(key, value, known.get(key), composed.default(key)))


def _owner(section: str, composed: Composed) -> str:
    at = composed.values.get(section)
    kind = at.get("kind") if isinstance(at, Mapping) and "" not in sections().get(section, {}) else None
    if section not in sections():
        return "nnkit"
    return f"{section}={composed.choices.get(section, kind)}" if kind else section


def _wrong_kind(section: str, value: Any, place: str) -> Problem:
    kinds = [k for k in sections()[section] if k]
    got = value.get("kind") if isinstance(value, Mapping) else value
    if got is None:
        return Problem(f"{section} has no kind{place}", f"{section}.kind is one of {', '.join(kinds)}")
    near = nearest(str(got), kinds)
    hint = f"did you mean {near}?" if near else ""
    return Problem(f"{section}.kind must be one of {', '.join(kinds)}, got {_shown(got)}{place}", hint)


def _expected(key: str, known: Mapping[str, Leaf]) -> str:
    return describe(known[key].annotation) if key in known else "a section"


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else spell(value)


def _meant(key: str, value: Any, leaf: Leaf, default: Any) -> str | None:
    """Return what was meant by a word of another kind: yes for true, ten for a number; None where nobody can tell."""
    types, word = plain_types(leaf.annotation), str(value).lower()
    if bool in types and word in (*YES, *NO):
        return f"{key}={spell(word in YES)}"
    if key == "batching.batch_size" and word in ("auto", "max", "largest"):
        return "batching.auto_batch_size=true"
    if all(get_origin(each) is Literal for each in types) and isinstance(value, str) and value:
        return f"one of {', '.join(f'{key}={each}' for each in choices_of(leaf.annotation))}"
    if isinstance(value, str) and default is not None and {int, float} & {*types}:
        number = "a number" if float in types else "a whole number"
        return (
            f"{key}={default}, or {number}" if isinstance(default, str) else f"{number}, such as {key}={spell(default)}"
        )
    return None


def _value_hint(key: str, value: Any, leaf: Leaf | None, default: Any) -> str:
    if leaf is None:
        return ""
    if (said := meant_value(key, value, spell(value), leaf)) is not None:
        return said
    if key == "trainer.monitor":
        return f"{key}={nearest_metric(spell(value), BETTER_AT) or 'auto'}"
    words = choices_of(leaf.annotation)
    near = nearest(value, words) if words and isinstance(value, str) else None
    if near:
        return f"{key}={near}"
    if (meant := _meant(key, value, leaf, default)) is not None:
        return meant
    if takes_list(leaf.annotation) and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"'{key}=[{spell(value)}]'"
    if takes_list(leaf.annotation) and isinstance(value, str) and value and not words:
        return f"'{key}=[{value}]'"
    if words and value in ("", None):
        return f"{key}={words[0]}"
    return f"{key}={spell(default)}" if default is not None else f"give a value: {key}=…"
