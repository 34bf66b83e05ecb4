"""All runs below a folder, from the folders themselves; an index of them saves reading the files that have not changed.

The index is a convenience and never the truth: one that is missing, damaged or of another format is made again.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, final

import yaml

from nnkit.catalog.entry import Entry, kept
from nnkit.config.origin import flatten
from nnkit.config.plain_yaml import parsed
from nnkit.errors import ConfigError, DataError, StorageError
from nnkit.regular import open_regular
from nnkit.runs import SWEEP, Place, read_config, read_facts, status_now, walk
from nnkit.storage import read_bytes, read_json, write_bytes

INDEX = ".runs-index"
FORMAT = 2  # 1: it did not tell what changed while a run went on
OF_A_SWEEP = {"objective": str, "mode": str, "planned": int, "best": str}
_SECTION = re.compile(rb"^(?=\w+:)", re.MULTILINE)
TAIL = 16384  # bytes of metrics.jsonl in which its last line is looked for


@final
@dataclass(frozen=True, slots=True)
class Catalog:
    """The runs and sweeps below a folder.

    Attributes:
        root: the folder.
        entries: every run, trial and fold, in no order.
        sweeps: what sweep.json says of each sweep, by its folder relative to the root; empty where it says nothing yet.
    """

    root: Path
    entries: Sequence[Entry]
    sweeps: Mapping[str, Mapping[str, Any]]


@final
@dataclass(slots=True)
class _Index:
    """What was read before: for each folder its signature and what it held; equal sections of settings stand once."""

    runs: dict[str, tuple[list[int], dict[str, Any], list[int]]] = field(default_factory=dict)
    sweeps: dict[str, tuple[list[int], dict[str, Any]]] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)  # of the parts, by their text
    seen: dict[int, tuple[int, dict[str, Any]]] = field(
        default_factory=dict
    )  # by id of a section, kept so that it stays

    def number(self, part: dict[str, Any]) -> int:
        """Return the number of a section's flat settings; they are taken in where they are new."""
        text = json.dumps(part, sort_keys=True)
        if text not in self.numbers:
            self.numbers[text] = len(self.parts)
            self.parts.append(part)
        return self.numbers[text]

    def number_of(self, name: str, section: dict[str, Any]) -> int:
        """Return the number of a section, which runs that have the same one share as an object."""
        known = self.seen.get(id(section))
        if known is None:
            part = {key: _plain(value) for key, value in flatten({name: section})}
            known = self.seen[id(section)] = (self.number(part), section)
        return known[0]


def load(root: Path, *, keeps_index: bool = True) -> Catalog:
    """Return all runs below a folder.

    Args:
        root: the folder.
        keeps_index: whether to write an index into it, where it may be written.
    """
    old = _read(root / INDEX)
    new = _Index(parts=old.parts, numbers={json.dumps(part, sort_keys=True): i for i, part in enumerate(old.parts)})
    entries: list[Entry] = []
    length, changed, places = len(str(root)) + 1, 0, set()
    for place in walk(root):
        name, signature = place.path[length:] or ".", list(place.signature)
        places.add(name)
        known = (old.sweeps if place.kind == "sweep" else old.runs).get(name)
        is_new = known is None or known[0] != signature
        changed += is_new
        if place.kind == "sweep":
            new.sweeps[name] = (signature, _sweep_facts(Path(place.path))) if is_new else old.sweeps[name]
            continue
        new.runs[name] = (signature, *_facts(Path(place.path), new)) if is_new else old.runs[name]
        entries.append(_entry(place, name, place.above[length:], new))
    is_other = changed or len(places) != len(old.runs) + len(old.sweeps)
    if keeps_index and is_other and "." not in places:
        _write(root / INDEX, new)
    return Catalog(root, entries, {name: facts for name, (_, facts) in new.sweeps.items()})


def _entry(place: Place, name: str, above: str, index: _Index) -> Entry:
    _, facts, numbers = index.runs[name]
    status = facts["status"]
    if status == "running":
        folder = Path(place.path)
        status, facts = status_now(folder, status), {**facts, **progress(folder)}
    return Entry(name, place.kind, status, facts, [index.parts[number] for number in numbers], above)


def _facts(folder: Path, index: _Index) -> tuple[dict[str, Any], list[int]]:
    """Return what is kept of a run's files, and the numbers of its settings; "damaged" where one cannot be read."""
    facts: dict[str, Any] = {}
    numbers: list[int] = []
    errors = []
    try:
        facts = kept(read_facts(folder))
    except DataError as error:
        errors.append(str(error))
    try:
        numbers = _numbers(read_config(folder, _in_pieces), index)
    except (ConfigError, RecursionError) as error:
        errors.append(str(error))
    if errors:
        facts |= {"status": "damaged", "error": "; ".join(errors)}
    return facts if "epochs" in facts else {**progress(folder), **facts}, numbers


def _in_pieces(data: bytes) -> Any:
    """Return plain YAML, each of its sections parsed once for all runs that have the same: YAML is slow to read.

    Raises: as `parsed`.
    """
    pieces = _SECTION.split(data)
    values: dict[str, Any] = {}
    try:
        for piece in pieces[1:]:
            values.update(_piece(piece))
    except (yaml.YAMLError, ValueError, TypeError):  # not as we write it: what stands in one section leans on another
        return parsed(data)
    return values if values and not pieces[0] else parsed(data)


@lru_cache(maxsize=4096)
def _piece(data: bytes) -> dict[str, Any]:
    return dict(parsed(data))


def _numbers(values: Mapping[str, Any], index: _Index) -> list[int]:
    """Return the numbers of all sections; settings of no section are one of their own."""
    alone = {str(key): _plain(value) for key, value in values.items() if not isinstance(value, dict)}
    sections = ((str(key), value) for key, value in values.items() if isinstance(value, dict))
    return [index.number(alone), *(index.number_of(key, value) for key, value in sections)]


def _plain(value: Any) -> Any:
    """Return a setting as JSON can hold it: a date, or whatever else YAML knows, becomes text."""
    if isinstance(value, (list, tuple)):
        return [_plain(member) for member in value]
    if value is None or isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def _sweep_facts(folder: Path) -> dict[str, Any]:
    try:
        facts = dict(read_json(folder / SWEEP))
    except (StorageError, ValueError, TypeError, RecursionError):
        return {}
    return {key: facts[key] for key, kind in OF_A_SWEEP.items() if isinstance(facts.get(key), kind)}


def progress(folder: Path) -> dict[str, Any]:
    """Return how far a run has come by the last whole line of its metrics.jsonl; nothing where there is none."""
    try:
        with open_regular(folder / "metrics.jsonl") as file:
            file.seek(-min(TAIL, file.seek(0, 2)), 2)
            lines = file.read().splitlines()
    except OSError:
        return {}
    for line in reversed(lines):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            last = dict(json.loads(line))
            return kept({"epochs": last.get("epoch"), "steps": last["step"], "seconds": last.get("time/seconds")})
    return {}


def _read(path: Path) -> _Index:
    """Return what an index holds; nothing where it is missing, damaged or of another format."""
    try:
        head, _, body = read_bytes(path).partition(b"\n")
        if head != _head(body):
            return _Index()
        found = json.loads(body)
        return _Index(found["runs"], found["sweeps"], found["parts"])
    except (StorageError, ValueError, KeyError, TypeError, RecursionError):
        return _Index()


def _write(path: Path, index: _Index) -> None:
    used = {number for _, _, numbers in index.runs.values() for number in numbers}
    if len(used) < len(index.parts) / 2:  # those of runs that are gone
        index = _without(index, used)
    body = json.dumps(
        {"runs": index.runs, "sweeps": index.sweeps, "parts": index.parts}, separators=(",", ":")
    ).encode()
    try:
        write_bytes(path, _head(body) + b"\n" + body)
    except StorageError:
        return  # a folder of somebody else, a full disk: then the next call reads the files again


def _without(index: _Index, used: set[int]) -> _Index:
    places = {number: place for place, number in enumerate(sorted(used))}
    runs = {name: (sig, facts, [places[n] for n in numbers]) for name, (sig, facts, numbers) in index.runs.items()}
    return _Index(runs, index.sweeps, [index.parts[number] for number in places])


def _head(body: bytes) -> bytes:
    return f"nnkit {FORMAT} {hashlib.sha256(body).hexdigest()}".encode()
