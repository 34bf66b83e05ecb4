"""What a watcher of a run must have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, final

from nnkit.data.report import Report
from nnkit.train.state import Record


@final
@dataclass(frozen=True, slots=True)
class RunInfo:
    """What a sink is told before the first step.

    Attributes:
        folder: the run's folder.
        title: such as "cnn on digits".
        max_epochs: the limit.
        steps_per_epoch: optimizer steps an epoch.
        picks: what was picked for this run, in words: loss, monitor, device, precision, threads.
        monitor: the value that decides on the best weights, such as "val/loss".
        step: steps that are done already, when a run goes on.
        epoch: epochs that are done already, when a run goes on.
        records: events that are written already, when a run goes on.
        notes: what the user should know before it starts.
        report: what is in the data; None when a run goes on, for it has been told.
    """

    folder: Path
    title: str
    max_epochs: int
    steps_per_epoch: int
    monitor: str
    picks: str = ""
    step: int = 0
    epoch: int = 0
    records: int = 0
    notes: tuple[str, ...] = ()
    report: Report | None = None


class Sink(Protocol):
    """Something that watches a run. It cannot touch the training, and bears a step that is written twice."""

    def start(self, info: RunInfo) -> None:
        """Get ready; later events follow the `info.records` ones that were committed."""

    def write(self, record: Record) -> None:
        """Take one event."""

    def sync(self) -> None:
        """Make what was written survive; a save follows. Raises: StorageError; then there is no save."""

    def warn(self, text: str) -> None:
        """Take what the user should know at once, such as a save that failed."""

    def go_back(self, records: int) -> None:
        """Forget all events behind the first `records`: the training goes on from there. Raises: StorageError."""

    def close(self, status: str) -> None:
        """Finish; the run ended with this status."""


def warn(sinks: Sequence[Sink], text: str) -> None:
    """Tell every sink what the user should know at once."""
    for sink in sinks:
        sink.warn(text)
