"""run.log: what happened and when, in words, with every traceback."""

from __future__ import annotations

import time
from pathlib import Path
from typing import final

from nnkit.secrets import redacted
from nnkit.storage import LineFile

LOG = "run.log"


@final
class RunLog:
    """Lines with a time stamp, kept over resumes."""

    def __init__(self, folder: Path) -> None:
        """Open the log of a run folder. Raises: StorageError."""
        self._file = LineFile(folder / LOG)

    def note(self, text: str) -> None:
        """Add a text; each of its lines gets the time."""
        stamp = time.strftime("%Y-%m-%d %H:%M:%S")
        for line in redacted(text).rstrip().splitlines():
            self._file.append(f"{stamp}  {line}")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
