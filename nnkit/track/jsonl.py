"""metrics.jsonl: one line an event."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import final

from nnkit.errors import StorageError
from nnkit.storage import LineFile, read_bytes
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record

METRICS = "metrics.jsonl"


def read_events(folder: Path, count: int | None = None) -> Iterator[Record]:
    """Yield the first events of a run, or all, but for lines that are damaged. Raises: StorageError.

    A value that was not finite is nan.
    """
    for line in _lines(folder)[:count] if count != 0 else ():
        try:
            values = dict(json.loads(line))
            step, epoch = int(values.pop("step")), int(values.pop("epoch"))
            found = {str(name): math.nan if value is None else float(value) for name, value in values.items()}
            yield Record(step, epoch, found)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue


def lost_events(folder: Path, count: int) -> str | None:
    """Return what is missing of the events that a save has counted, in words; None where all can be read."""
    found = 0
    with suppress(StorageError):
        found = sum(1 for _ in read_events(folder, count))
    if found == count:
        return None
    return f"{folder / METRICS} has {found} of {count} events that were written; the curves go without the others"


def _lines(folder: Path) -> list[bytes]:
    return read_bytes(folder / METRICS).splitlines()


@final
class JsonLines:
    """Writes each event as one JSON object: step, epoch, and the values; a value that is not finite is null.

    A line that the file system refuses waits, and with it those behind it; no save counts it before it is written.
    """

    def __init__(self) -> None:
        """Start without a file; `start` opens it."""
        self._file: LineFile | None = None
        self._waiting: list[str] = []

    def start(self, info: RunInfo) -> None:
        """Open the file, cut back to the events that a save has counted. Raises: StorageError.

        A lost line is an empty one, as saves count lines.
        """
        self._file = LineFile(info.folder / METRICS, keep_lines=info.records)
        for _ in range(info.records - len(_lines(info.folder))):
            self._file.append("")

    def write(self, record: Record) -> None:
        """Add one line, at once where the file system lets it."""
        values = {name: value if math.isfinite(value) else None for name, value in record.values.items()}
        self._waiting.append(json.dumps({"step": record.step, "epoch": record.epoch, **values}))
        with suppress(StorageError):
            self._write()

    def _write(self) -> None:
        assert self._file is not None
        while self._waiting:
            self._file.append(self._waiting[0])
            del self._waiting[0]

    def sync(self) -> None:
        """Make all lines so far survive a power loss. Raises: StorageError."""
        assert self._file is not None
        self._write()
        self._file.sync()

    def warn(self, text: str) -> None:
        """Nothing to do: it stands in run.log."""

    def go_back(self, records: int) -> None:
        """Cut the file back to its first lines, all of which a save has counted. Raises: StorageError."""
        assert self._file is not None
        self._waiting.clear()
        self._file.close()
        self._file = LineFile(self._file.path, keep_lines=records)

    def close(self, status: str) -> None:  # noqa: ARG002 - the status stands in run.json
        """Close the file; no save has counted what still waits."""
        if self._file is not None:
            with suppress(StorageError):
                self._write()
            with suppress(StorageError):
                self._file.close()
