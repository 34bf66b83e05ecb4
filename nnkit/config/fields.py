"""The schema as data: which keys there are, what each expects, and its mark for resume."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, final, get_args, get_origin, get_type_hints

import annotated_types
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from nnkit.config.marks import Resume
from nnkit.config.schema import Config

UNIONS = (Union, types.UnionType)
_EXACT = ConfigDict(strict=True, allow_inf_nan=False)


@final
@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting: its full key, its annotation, its mark, and whether it must be given."""

    key: str
    annotation: Any
    mark: Resume | None
    required: bool


@cache
def hints(cls: type) -> dict[str, Any]:
    """Return the annotations of a schema class by field name, marks and ranges included."""
    return get_type_hints(cls, include_extras=True)


def options(annotation: Any) -> dict[str, type]:
    """Return the dataclasses that a section may be, by their kind; a section without kinds has one, named ""."""
    found: dict[str, type] = {}
    is_union = any(isinstance(item, FieldInfo) and item.discriminator for item in _metadata(annotation))
    for member in _union_members(_bare(annotation)):
        if isinstance(member, type) and is_dataclass(member):
            kind = hints(member).get("kind") if is_union else None
            names = get_args(_bare(kind)) if kind is not None else ("",)
            found.update(dict.fromkeys(names, member))
    return found


@cache
def sections() -> dict[str, dict[str, type]]:
    """Return the sections of the config and, for each, its dataclasses by kind."""
    by_name = {name: options(annotation) for name, annotation in hints(Config).items() if name != "return"}
    return {name: found for name, found in by_name.items() if found}


@cache
def subsections() -> frozenset[str]:
    """Return the sections within sections, such as tracker.wandb."""
    classes = [(name, cls) for name, kinds in sections().items() for cls in set(kinds.values())]
    return frozenset(f"{name}.{key}" for name, cls in classes for key in hints(cls) if _within(cls, key) is not None)


def section_of(values: Mapping[str, Any], name: str) -> type | None:
    """Return the dataclass that the values of section `name` ask for; None when its kind is unknown."""
    section, found = values.get(name), sections()[name]
    kind = section.get("kind", "") if isinstance(section, Mapping) and "" not in found else ""
    return found.get(kind) if isinstance(kind, str) else None


def leaves(values: Mapping[str, Any]) -> dict[str, Leaf]:
    """Return every setting that exists under the kinds chosen in `values`, by key."""
    found = {leaf.key: leaf for leaf in _leaves_of(Config, "") if leaf.key not in sections()}
    for name in sections():
        cls = section_of(values, name)
        if cls is not None:
            found.update({leaf.key: leaf for leaf in _leaves_of(cls, name + ".")})
    return found


@cache
def keys_under(section: str, kind: str) -> frozenset[str]:
    """Return every setting of a section that exists under one of its kinds, by key."""
    return frozenset(leaf.key for leaf in _leaves_of(sections()[section][kind], f"{section}."))


@cache
def all_keys() -> frozenset[str]:
    """Return every setting that exists under any kinds."""
    found = {leaf.key for leaf in _leaves_of(Config, "") if leaf.key not in sections()}
    for name, kinds in sections().items():
        found.update(leaf.key for cls in set(kinds.values()) for leaf in _leaves_of(cls, name + "."))
    return frozenset(found)


def takes_float(key: str) -> bool:
    """Tell whether a setting is a number that need not be whole, under any kinds."""
    return any(float in types for types in _types_of(key))


def takes_lists(key: str) -> Literal["always", "too", "never"]:
    """Tell whether a setting is a list under all kinds that have it, or may also be something else."""
    each = [get_origin(one) is list for types in _types_of(key) for one in types if one is not type(None)]
    return "never" if not any(each) else "always" if all(each) else "too"


def _types_of(key: str) -> Iterator[list[Any]]:
    """Yield the types of a setting under each kind that has it."""
    section, dot, _ = key.partition(".")
    classes = {*sections().get(section, {}).values()} if dot else {Config}
    for cls in classes:
        found = (leaf for leaf in _leaves_of(cls, section + dot if dot else "") if leaf.key == key)
        yield from (plain_types(leaf.annotation) for leaf in found)


def leaf_of(known: Mapping[str, Leaf], key: str) -> Leaf:
    """Return the setting of that key, or the one that it is an entry of: model.kwargs for model.kwargs.width.

    Raises:
        KeyError: it is neither.
    """
    while key and key not in known:
        key = key.rpartition(".")[0]
    return known[key]


@cache
def _leaves_of(cls: type, prefix: str) -> tuple[Leaf, ...]:
    return tuple(_found_in(cls, prefix))


def _found_in(cls: type, prefix: str) -> Iterator[Leaf]:
    for field in fields(cls):
        annotation = hints(cls)[field.name]
        inner = _within(cls, field.name)
        if prefix and inner is not None:
            yield from _leaves_of(inner, f"{prefix}{field.name}.")
            continue
        marks = [m for m in _metadata(annotation) if isinstance(m, Resume)]
        required = field.default is MISSING and field.default_factory is MISSING
        yield Leaf(prefix + field.name, annotation, marks[0] if marks else None, required)


def _within(cls: type, name: str) -> type | None:
    """Return the dataclass that a field of a section is; None for a setting."""
    inner = _bare(hints(cls)[name])
    return inner if isinstance(inner, type) and is_dataclass(inner) else None


def plain_types(annotation: Any) -> list[Any]:
    """Return the types among which a setting may choose, without ranges."""
    return _union_members(_bare(annotation))


def describe(annotation: Any) -> str:
    """Return what a setting expects, in words: "a number in [0, 1)", "one of max, avg, none"."""
    inner, metadata = _bare(annotation), _metadata(annotation)
    said = next((item.description for item in metadata if isinstance(item, FieldInfo) and item.description), None)
    if said is not None:
        return said
    origin = get_origin(inner)
    if origin is Literal:
        names = [str(a) for a in get_args(inner)]
        return names[0] if len(names) == 1 else "one of " + ", ".join(names)
    if origin is list:
        return f"a list, each {describe(get_args(inner)[0])}"
    if origin in UNIONS:
        return " or ".join(describe(member) for member in get_args(inner))
    if origin is dict:
        return "settings by name"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    return words.get(inner, str(inner)) + _range_text(metadata)


def choices_of(annotation: Any) -> list[str]:
    """Return the words that a setting takes by name, such as ["max", "avg", "none"]."""
    members = _union_members(_bare(annotation))
    return [str(word) for m in members if get_origin(m) is Literal for word in get_args(m)]


def takes_list(annotation: Any) -> bool:
    """Tell whether a list is among the values that a setting takes."""
    return any(get_origin(m) is list for m in _union_members(_bare(annotation)))


def takes(annotation: Any, value: Any) -> bool:
    """Tell whether a setting takes a value, as far as its type and range say."""
    try:
        TypeAdapter(annotation, config=_EXACT).validate_json(json.dumps(value))
    except (ValidationError, TypeError):  # a date is no JSON
        return False
    return True


def least_length(annotation: Any) -> int:
    """Return how many entries a list of a setting must have; 0 where it takes none, or any number of them."""
    found = [annotation, *(get_args(_bare(annotation)) if get_origin(_bare(annotation)) in UNIONS else ())]
    rules = (rule for each in found for rule in _rules(each))
    return max((int(rule.min_length) for rule in rules if isinstance(rule, annotated_types.MinLen)), default=0)


def upper_end(annotation: Any) -> float | None:
    """Return the largest number that a setting takes, or what it must stay below; None for no end."""
    rules = [rule for each in (annotation, *get_args(_bare(annotation))) for rule in _rules(each)]
    ends = [getattr(rule, name, None) for rule in rules for name in ("le", "lt")]
    return next((float(end) for end in ends if end is not None), None)


def _rules(annotation: Any) -> Iterator[Any]:
    """Yield the ranges and lengths on a type."""
    for item in _metadata(annotation):
        yield from item.metadata if isinstance(item, FieldInfo) else [item]


def _bare(annotation: Any) -> Any:
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _metadata(annotation: Any) -> list[Any]:
    if get_origin(annotation) is not Annotated:
        return []
    inner, *own = get_args(annotation)
    return [*_metadata(inner), *own]


def _union_members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in UNIONS:
        return [inner for member in get_args(annotation) for inner in _union_members(_bare(member))]
    return [annotation]


def _range_text(metadata: list[Any]) -> str:
    found: dict[str, Any] = {}
    for item in metadata:
        for rule in item.metadata if isinstance(item, FieldInfo) else [item]:
            for name in ("ge", "gt", "le", "lt"):
                if isinstance(rule, getattr(annotated_types, name.title())):
                    found[name] = getattr(rule, name)
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    if low is not None and high is not None:
        return f" in {'[' if 'ge' in found else '('}{low}, {high}{']' if 'le' in found else ')'}"
    if low is not None:
        return f" {'>=' if 'ge' in found else '>'} {low}"
    return "" if high is None else f" {'<=' if 'le' in found else '<'} {high}"
