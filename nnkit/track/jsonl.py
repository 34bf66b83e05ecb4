"""metrics.jsonl: one line an event."""

from __future__ import annotations

import json
import math
from typing import final

from nnkit.storage import LineFile
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record

METRICS = "metrics.jsonl"


@final
class JsonLines:
    """Writes each event as one JSON object: step, epoch, and the values; a value that is not finite is null."""

    def __init__(self) -> None:
        """Start without a file; `start` opens it."""
        self._file: LineFile | None = None

    def start(self, info: RunInfo) -> None:
        """Open the file, cut back to the events that a save has counted."""
        self._file = LineFile(info.folder / METRICS, keep_lines=info.records)

    def write(self, record: Record) -> None:
        """Add one line."""
        assert self._file is not None
        values = {name: value if math.isfinite(value) else None for name, value in record.values.items()}
        self._file.append(json.dumps({"step": record.step, "epoch": record.epoch, **values}))

    def sync(self) -> None:
        """Make all lines so far survive a power loss."""
        assert self._file is not None
        self._file.sync()

    def warn(self, text: str) -> None:
        """Nothing to do: it stands in run.log."""

    def go_back(self, records: int) -> None:
        """Cut the file back to its first lines. Raises: StorageError."""
        assert self._file is not None
        self._file.close()
        self._file = LineFile(self._file.path, keep_lines=records)

    def close(self, status: str) -> None:  # noqa: ARG002 - the status stands in run.json
        """Close the file."""
        if self._file is not None:
            self._file.close()
