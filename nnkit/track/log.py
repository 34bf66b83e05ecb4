"""run.log: what happened and when, in words, with every traceback."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import final

from nnkit.errors import StorageError
from nnkit.secrets import redacted
from nnkit.storage import LineFile
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record

LOG = "run.log"


@final
class RunLog:
    """Lines with a time stamp, kept over resumes. No run ends because its log cannot be written.

    Attributes:
        refused: why a line is missing; empty where none is.
    """

    def __init__(self, folder: Path) -> None:
        """Open the log of a run folder."""
        self._file: LineFile | None = None
        self.refused = ""
        try:
            self._file = LineFile(folder / LOG)
        except StorageError as error:
            self.refused = str(error)

    def note(self, text: str) -> None:
        """Add a text; each of its lines gets the time."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        for line in redacted(text).rstrip().splitlines():
            try:
                if self._file is not None:
                    self._file.append(f"{stamp}  {line}")
            except StorageError as error:
                self.refused = str(error)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with suppress(StorageError):
                self._file.close()


@final
class LoggedWarnings:
    """A sink that notes warnings in run.log."""

    def __init__(self, log: RunLog) -> None:
        """Take the log."""
        self._log = log

    def start(self, info: RunInfo) -> None:
        """Nothing to get ready."""

    def write(self, record: Record) -> None:
        """Nothing to say of it: metrics.jsonl has it."""

    def sync(self) -> None:
        """Nothing to do: no save counts the lines of a log."""

    def warn(self, text: str) -> None:
        """Note a warning."""
        self._log.note(f"warning: {text}")

    def go_back(self, records: int) -> None:
        """Nothing to do: a log keeps what has been."""

    def close(self, status: str) -> None:
        """Nothing to do: the log is closed by whoever has opened it."""
