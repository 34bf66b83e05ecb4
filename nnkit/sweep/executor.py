"""Who trains the trials: this process, one after the other. Others can take its place (pool.py)."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Protocol, final

from nnkit.errors import FolderInUseError
from nnkit.sweep.trials import Outcome, Trial
from nnkit.sweep.work import Judge, Terms, note_failure, outcome_of, run_trial
from nnkit.train.stopping import Signals


class Executor(Protocol):
    """Trains trials, each in a folder of its own, and tells how each ended, in the order in which they end."""

    def free(self) -> int:
        """How many trials can start now."""

    def start(self, trial: Trial, folder: Path) -> None:
        """Begin a trial, or go on with it."""

    def wait(self) -> Outcome | None:
        """Return how the next trial ended; None where none is running."""

    def close(self) -> None:
        """Stop whatever still runs, at once."""


@final
class InProcess:
    """One trial after the other, in this process. A trial that fails does not stop the others."""

    def __init__(self, signals: Signals, terms: Terms, judge: Judge) -> None:
        """Take the signals that stop a trial, what each is held to, and whom each validation is told."""
        self._signals, self._terms, self._judge = signals, terms, judge
        self._ended: deque[Outcome] = deque()

    def free(self) -> int:
        """How many trials can start now."""
        return 0 if self._ended else 1

    def start(self, trial: Trial, folder: Path) -> None:
        """Train a trial to its end."""
        run_trial(trial, folder, self._signals, self._terms, self._judge)
        self._ended.append(ended(trial, folder))

    def wait(self) -> Outcome | None:
        """Return how the trial ended."""
        return self._ended.popleft() if self._ended else None

    def close(self) -> None:
        """Nothing runs between two calls."""


def ended(trial: Trial, folder: Path, died: str = "") -> Outcome:
    """Return how a trial ended, by its folder.

    Args:
        trial: which.
        folder: of its run, which nobody else writes into any more.
        died: how its process died, where it did; then that is noted.
    """
    outcome = outcome_of(trial, folder)
    if died and (outcome is None or outcome.status in ("running", "lost")):
        note_failure(trial, folder, died)
        outcome = outcome_of(trial, folder)
    if outcome is None:
        return Outcome(trial, folder, "failed", error="it left no run.json")
    if outcome.status == "running":  # by now somebody else has taken the folder
        raise FolderInUseError(f"{folder} is in use by another process")
    return outcome
