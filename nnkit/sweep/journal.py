"""The journal of a sweep: what was asked for, and each trial's start and end, a line each. It only grows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, final

from nnkit.errors import DataError
from nnkit.runs import JOURNAL
from nnkit.storage import LineFile, read_bytes, write_bytes
from nnkit.sweep.plan import Plan
from nnkit.sweep.trials import Outcome, Trial

FORMAT = 1
SYNC_EVERY_S = 1.0  # a power loss takes no more; the trials' own folders are synced by themselves


@final
class Journal:
    """The open journal of a sweep whose folder is locked by the caller."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """Begin a journal, or go on with the one that is there.

        Args:
            folder: the sweep's.
            plan: what is asked for now.

        Raises:
            ConfigError: another sweep was begun here.
            DataError: the journal is damaged, or of another format.
            StorageError: the file system refused.
        """
        path = folder / JOURNAL
        repair(path)
        self.entries = read(path) if path.exists() else []
        if self.entries:
            _plan_of(self.entries, path).check_same(plan)
        self._file = LineFile(path)
        self._synced = time.monotonic()
        if not self.entries:
            self._append({"event": "plan", "format": FORMAT, **plan.to_plain()})
            self._file.sync()

    def started(self, trial: Trial) -> None:
        """Note that a trial starts, or goes on."""
        self._append(
            {
                "event": "start",
                "trial": trial.number,
                "folder": trial.folder_name,
                "identity": trial.identity,
                "values": dict(trial.values),
                "changed": dict(trial.changed),
            }
        )

    def ended(self, outcome: Outcome) -> None:
        """Note how a trial ended."""
        self._append({"event": "end", "trial": outcome.trial.number, "status": outcome.status, "error": outcome.error})

    def close(self) -> None:
        """Write what waits. Raises: StorageError."""
        self._file.sync()
        self._file.close()

    def _append(self, entry: Mapping[str, Any]) -> None:
        self._file.append(json.dumps(entry))
        if time.monotonic() - self._synced > SYNC_EVERY_S:
            self._file.sync()
            self._synced = time.monotonic()


def starts(entries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the first start of each trial that has begun, by number."""
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        if entry["event"] == "start":
            found.setdefault(int(entry["trial"]), entry)
    yield from (found[number] for number in sorted(found))


def read_plan(folder: Path) -> Plan:
    """Return what a sweep was asked for. Raises: DataError."""
    path = folder / JOURNAL
    return _plan_of(read(path), path)


def repair(path: Path) -> None:
    """Cut off a last line that was torn by a crash. Raises: StorageError."""
    data = read_bytes(path) if path.exists() else b""
    if data and not data.endswith(b"\n"):
        write_bytes(path, data[: data.rfind(b"\n") + 1])


def read(path: Path) -> list[dict[str, Any]]:
    """Return the whole lines of a journal. Raises: DataError, naming the line that is none; StorageError."""
    lines, entries = read_bytes(path).split(b"\n")[:-1], []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            assert isinstance(entry["event"], str)
            assert entry["event"] != "start" or _is_start(entry)
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise DataError(f"{path} is damaged in line {number}: {error}", hint="choose another name=NAME") from error
        entries.append(entry)
    return entries


def _is_start(entry: Mapping[str, Any]) -> bool:
    """Tell whether a line has what the start of a trial has."""
    texts = (entry["folder"], entry["identity"], *entry["values"].values(), *entry["changed"].values())
    return isinstance(entry["trial"], int) and all(isinstance(text, str) for text in texts)


def _plan_of(entries: list[dict[str, Any]], path: Path) -> Plan:
    head = entries[0] if entries else {}
    if head.get("event") != "plan" or head.get("format") != FORMAT:
        told = f"{path} is of format {head.get('format')}, not of this nnkit's {FORMAT}"
        raise DataError(told, hint="choose another name=NAME, or use the nnkit that began it")
    from pydantic import TypeAdapter, ValidationError

    try:
        values = {each.name: head[each.name] for each in fields(Plan)}
        return TypeAdapter(Plan).validate_json(json.dumps(values), strict=True)
    except (KeyError, ValidationError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error.errors()[0]["msg"]
        raise DataError(f"{path} is damaged in line 1: {said}", hint="choose another name=NAME") from error
