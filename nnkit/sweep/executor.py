"""Who trains the trials: here one after the other in this process. Others can take its place."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, final

from nnkit.errors import NnkitError
from nnkit.run import train
from nnkit.runs import CONFIG, write_config, write_run
from nnkit.storage import FolderLock, make_folder
from nnkit.sweep.trials import Outcome, Trial
from nnkit.track.log import RunLog
from nnkit.train.stopping import Signals


class Executor(Protocol):
    """Trains trials and tells how each ended, in the order in which they end."""

    def run(self, trials: Sequence[Trial], folder: Path, signals: Signals) -> Iterator[Outcome]:
        """Train the trials, each in a folder of its own below `folder`."""


@final
class InProcess:
    """One trial after the other, in this process. A trial that fails does not stop the others; a signal does."""

    def run(self, trials: Sequence[Trial], folder: Path, signals: Signals) -> Iterator[Outcome]:
        """Train the trials, each in a folder of its own below `folder`."""
        for trial in trials:
            if signals.number:
                return
            yield run_trial(trial, folder / trial.folder_name, signals)


def run_trial(trial: Trial, folder: Path, signals: Signals) -> Outcome:
    """Train one trial in `folder`; whatever goes wrong in it becomes its outcome."""
    try:
        make_folder(folder)
        with FolderLock(folder):
            try:
                result = train(trial.config, folder, (), signals, test=False)
            except NnkitError:
                _note_failure(trial, folder)
                raise
    except NnkitError as error:
        return Outcome(trial, folder, "failed", error="; ".join(problem.text for problem in error.problems))
    except Exception as error:  # noqa: BLE001 - a bug in one trial must not cost the others
        return Outcome(trial, folder, "failed", error=f"{type(error).__name__}: {error}")
    return Outcome(trial, folder, result.status, result.metrics, result.epochs, result.seconds)


def _note_failure(trial: Trial, folder: Path) -> None:
    """Note the failure that is being handled in the trial's folder, where the run has not done so itself."""
    if not (folder / CONFIG).exists():
        write_config(folder, trial.config)
        write_run(folder, {"status": "failed", "error": str(sys.exc_info()[1])})
        log = RunLog(folder)
        log.note(traceback.format_exc())
        log.close()
