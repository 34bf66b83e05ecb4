"""Whether a run's config.yaml is whole: what run.json keeps of it, and what is missing since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from nnkit.config.schema import Config

SETTINGS = "settings"  # in run.json
MOST_NAMED = 5
_PARTS = ("tracker",)  # sections of sections


def names_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the names of all settings, by section and kind: `{"": "name seed", "optimizer=adam": "kind lr beta1"}`.

    Args:
        values: of a whole config, plain.
    """
    found = {"": " ".join(name for name, value in values.items() if not isinstance(value, Mapping))}
    found |= {_label(name, value): " ".join(value) for name, value in _sections(values)}
    return found


def lost_since(values: Mapping[str, Any], kept: object) -> list[str]:
    """Return the settings that a config.yaml had when its run began, and has no more.

    A section whose kind has changed by hand has other settings: that they are all there is checked with the schema.

    Args:
        values: of the config.yaml.
        kept: what `names_of` returned, as it stands in run.json; runs of before kept nothing.
    """
    if not isinstance(kept, Mapping):
        return []
    there = dict(_sections(values)) | {"": values}
    lost: list[str] = []
    for label, names in kept.items():
        if not isinstance(names, str):
            continue
        section, equals, kind = str(label).partition("=")
        now = there.get(section)
        if now is None:
            lost.append(section)
        elif (not equals or now.get("kind", kind) == kind) and not _new(now, names):
            lost += [".".join(filter(None, (section, name))) for name in names.split() if name not in now]
    return lost


def _new(now: Mapping[str, Any], names: str) -> list[str]:
    """Return the settings that were not there before: they may be others, mistyped, and are told as such."""
    return [key for key, x in now.items() if key not in ("kind", *names.split()) and not isinstance(x, Mapping)]


def cut_short(values: Mapping[str, Any], data: bytes, kept: object) -> str | None:
    """Return what a config.yaml lacks, in words; None where it is whole.

    Args:
        values: that it holds.
        data: its bytes.
        kept: what run.json keeps of it.
    """
    missing = [each.name for each in fields(Config) if _is_written(each) and each.name not in values]
    if missing:
        return f"{missing[0]} is missing"
    if not data.endswith(b"\n"):
        return "its last line has no end"
    lost = lost_since(values, kept)
    if lost:
        more = f" and {len(lost) - MOST_NAMED} more" if len(lost) > MOST_NAMED else ""
        return f"it lacks {', '.join(lost[:MOST_NAMED])}{more}, which it had when the run began"
    return None


def _sections(values: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and name in _PARTS:
            yield from ((f"{name}.{part}", inner) for part, inner in value.items() if isinstance(inner, Mapping))
        elif isinstance(value, Mapping):
            yield name, value


def _label(name: str, section: Mapping[str, Any]) -> str:
    return f"{name}={section['kind']}" if "kind" in section else name


def _is_written(setting: Field[Any]) -> bool:
    """Tell whether every config.yaml has a setting: those with a default were not in the first ones."""
    return setting.default is MISSING and setting.default_factory is MISSING
