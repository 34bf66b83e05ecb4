"""Did you mean: from a wrong word to the nearest right one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nnkit.config.fields import Leaf, all_keys, keys_under, leaves, sections, takes
from nnkit.config.synonyms import ELSEWHERE, SYNONYMS, nearest

ONE_LETTER = 0.85  # how like each other words of five letters and more are that differ by one left out, or put in


def key_hint(key: str, values: Mapping[str, Any], value: Any = None, groups: Collection[str] = ()) -> str:
    """Return the hint for a key that is not a setting.

    Tried in this order: an everyday synonym, the same last word in another section, the same key under another option
    of its group, a key of its section that differs by a letter, the same last word under an option of another group,
    the nearest key by its full path (also under another option), the nearest by its last word.

    Args:
        key: what was written.
        values: the composed config, for the kinds that were chosen.
        value: what was written behind the key; carried into the hint when it is a scalar.
        groups: names of the config groups.
    """
    valid, (section, dot, last) = leaves(values), key.lower().rpartition(".")
    same_last = [k for k in valid if k.rpartition(".")[2] == last and k.rpartition(".")[2] != "kind"]
    if same_last:
        return _ask(nearest(key, same_last, cutoff=0) or same_last[0], value, valid)
    meant = SYNONYMS.get(last, key)
    for target in (meant, ELSEWHERE.get(meant)):
        if target in valid:
            return _ask(target, value, valid)
    if other := _under_another_option(last if last in SYNONYMS else key):
        return other
    if last in SYNONYMS:
        return _ask(SYNONYMS[last], value, valid)
    named = [k for k in valid if not k.endswith(".kind")]  # a kind is chosen by its group
    if dot:  # a slip of one letter in its section, or a setting of another one
        siblings = [k.removeprefix(section + dot) for k in named if k.startswith(section + dot)]
        if sibling := nearest(last, siblings, cutoff=ONE_LETTER):
            return _ask(section + dot + sibling, value, valid)
        if other := _under_another_option(last):
            return other
    full = nearest(key, [*named, *groups], cutoff=0.75)
    others = [k for k in sorted(all_keys()) if not k.endswith(".kind")]
    elsewhere = nearest(key, [*named, *groups, *others], cutoff=0.75)
    if elsewhere and elsewhere != full and (other := _under_another_option(elsewhere)):
        return other
    if full:
        return _ask(full, value, valid)
    by_last = {k.rpartition(".")[2]: k for k in reversed(named)}
    close = nearest(last, [*by_last, *groups, *SYNONYMS])
    if close is None:
        return "nnkit list shows all groups and settings"
    return _ask(by_last.get(close) or SYNONYMS.get(close, close), value, valid)


def _under_another_option(key: str) -> str | None:
    """Return the hint for a setting that exists, but under options that were not chosen."""
    key = SYNONYMS.get(key, key)
    section, _, last = key.rpartition(".")
    names = [section] if section in sections() else [] if section else list(sections())
    found = []
    for name in names:
        kinds = [k for k in sections()[name] if k and f"{name}.{last}" in keys_under(name, k)]
        if kinds:
            found.append(f"{name}.{last} belongs to {' and '.join(f'{name}={kind}' for kind in kinds)}")
    return "; ".join(found) or None


def _ask(target: str, value: Any, valid: Mapping[str, Leaf]) -> str:
    is_taken = target not in valid or takes(valid[target].annotation, value)
    if "=" in target or value is None or isinstance(value, (dict, list)) or not is_taken:
        return f"did you mean {target}?"
    return f"did you mean {target}={spell(value)}?"


def spell(value: Any) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ",".join(spell(v) for v in value) + "]"
    return str(value)
