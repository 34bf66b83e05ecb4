"""One trial, in whatever process: a new run, or one that goes on. Its run.json says how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from nnkit.assemble import prepare
from nnkit.config.cross import Objective
from nnkit.config.schema import Config
from nnkit.ending import cause_of
from nnkit.ending import note_failure as note_end
from nnkit.errors import DataError, DataWorkerError, DivergenceError, NnkitError, OutOfMemoryError
from nnkit.facts import now
from nnkit.folds import cross_validate, fold_sizes, read_cv
from nnkit.lock import FolderLock
from nnkit.run import resume, train
from nnkit.runs import CHECKPOINTS, CONFIG, FINISHED, PREPROCESS, RUN, read_run, write_config, write_run
from nnkit.spec import Task
from nnkit.storage import make_folder, remove_folder
from nnkit.sweep.trials import Outcome, Trial, objective_among
from nnkit.track.jsonl import METRICS
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record, TrainState
from nnkit.train.stopping import Signals

OF_TIME = ("budget", "max_time_s")  # reasons to end
TESTS = ("test/", "baseline/")  # metrics that rank no trial
# Other settings can end otherwise: a smaller batch, another worker, a lower rate.
OF_SETTINGS = (OutOfMemoryError.exit_code, DataWorkerError.exit_code, DivergenceError.exit_code)


@final
@dataclass(frozen=True, slots=True)
class Score:
    """A validation of a trial.

    Attributes:
        trial: its number.
        epoch: from 1.
        name: of the objective.
        mode: whether its "max" or its "min" is better.
        value: of it.
    """

    trial: int
    epoch: int
    name: str
    mode: str
    value: float

    @property
    def loss(self) -> float:
        """The value, lower being better."""
        return -self.value if self.mode == "max" else self.value


@final
@dataclass(frozen=True, slots=True)
class Terms:
    """What every trial of a sweep is held to.

    Attributes:
        objective: what is told of each validation; None for the metric of the task.
        deadline: by time.monotonic, from which a trial stops at its next step; None for never.
    """

    objective: Objective | None = None
    deadline: float | None = None


Judge = Callable[[Score], bool]  # takes a validation, and tells whether the trial shall stop


@final
class Judged:
    """A sink that tells each validation, and the reason to stop that may follow from it."""

    def __init__(self, trial: int, terms: Terms, judge: Judge) -> None:
        """Take a trial's number, what it is held to, and whom to ask."""
        self._trial, self._terms, self._judge = trial, terms, judge
        self._is_pruned = False

    def start(self, info: RunInfo) -> None:
        """Nothing to get ready."""

    def write(self, record: Record) -> None:
        """Tell a validation."""
        name, mode = objective_among(record.values, self._terms.objective)
        if name in record.values:
            score = Score(self._trial, record.epoch, name, mode, record.values[name])
            self._is_pruned = self._judge(score) or self._is_pruned

    def sync(self) -> None:
        """Nothing waits."""

    def warn(self, text: str) -> None:
        """Nothing to do: it stands in run.log."""

    def go_back(self, records: int) -> None:
        """Nothing to do: what has been told stays told."""

    def close(self, status: str) -> None:
        """Nothing to finish."""

    def stop(self, _: TrainState) -> str | None:
        """Return why the trial shall stop."""
        if self._is_pruned:
            return "pruned"
        deadline = self._terms.deadline
        return "budget" if deadline is not None and time.monotonic() >= deadline else None


def run_trial(trial: Trial, folder: Path, signals: Signals, terms: Terms, judge: Judge) -> None:
    """Train one trial in `folder`, or go on with it; whatever goes wrong in it stands in its run.json.

    Raises:
        FolderInUseError: another process trains it.
        StorageError: not even run.json can be written.
    """
    make_folder(folder)
    started = now()
    with FolderLock(folder):
        judged = Judged(trial.number, terms, judge)
        try:
            if trial.config.cv.is_on:  # the winner alone is trained beyond its folds
                cross_validate(without_final(trial.config), folder, (), signals, test=False)
            elif _has_begun(folder):  # as its words say: its folder may be a stranger's
                resume(trial.config, folder, [judged], signals, test=False, stop=judged.stop)
            else:
                train(trial.config, folder, [judged], signals, test=False, stop=judged.stop)
        except Exception as error:  # noqa: BLE001 - a bug in one trial must not cost the others
            note_failure(trial, folder, error, started)


def check_data(config: Config) -> Task:
    """Check that a trial fits its data, as its training will, and return its task. Raises: ConfigError, DataError."""
    if config.cv.is_on:
        fold_sizes(config)
    return prepare(config).spec.task


def without_final(config: Config) -> Config:
    """Return the config of a cross-validation whose folds are all that is trained."""
    return replace(config, cv=replace(config.cv, final="none"))


def _has_begun(folder: Path) -> bool:
    """Tell whether a run can go on; where it cannot, the folder is made ready for a new one."""
    if any((folder / CHECKPOINTS).glob("step-*")) and (folder / RUN).exists():
        return True
    for path in folder.iterdir():
        if path.is_dir():
            remove_folder(path)
    return False


def note_failure(trial: Trial, folder: Path, error: Exception | str, started: str = "") -> None:
    """Note in the trial's folder why it failed, where the run has not done so itself.

    Args:
        trial: which.
        folder: of it.
        error: why, or how its process died.
        started: when, of one that may have failed before it could say so itself; now by default.

    Raises:
        StorageError: the file system refused.
    """
    said = str(error) or type(error).__name__
    if isinstance(error, Exception) and not isinstance(error, NnkitError):
        said = f"{type(error).__name__}: {error}"
    try:
        facts = read_run(folder)
    except DataError:  # it never began
        write_config(folder, trial.config)
        facts = {"started": started or now(), "ended": now()}
    if isinstance(error, Exception) and facts.get("status") != "failed":  # or the run has noted it itself
        note_end(folder, trial.config, None, error, None)
    cause = cause_of(error) if isinstance(error, Exception) else {"exit_code": 1}
    write_run(folder, {**facts, "status": "failed", "error": said, **cause})


def outcome_of(trial: Trial, folder: Path) -> Outcome | None:
    """Return how a trial stands by its folder alone; None where it has not begun, or has written nothing readable."""
    if not (folder / CONFIG).exists():
        return None
    try:
        facts = read_run(folder)
    except DataError:
        return None
    status = str(facts["status"])
    metrics = facts.get("metrics") or {} if status in FINISHED else {}
    if facts.get("steps") == 0 and facts.get("reason") in OF_TIME:  # it was over before it began to learn
        metrics = {}
    metrics = {name: value for name, value in metrics.items() if not name.startswith(TESTS)}
    epochs = int(facts.get("epochs", 0))
    folds = read_cv(folder) if trial.config.cv.is_on else None
    if folds is not None:  # whatever becomes of the run that the winner is trained to beyond them
        status, metrics = "completed", _of_folds(folds)
        epochs = sum(int(fold["epochs"]) for fold in folds["each"])
    seconds, code = float(facts.get("seconds", 0.0)), facts.get("exit_code")
    if status != "failed":
        return Outcome(trial, folder, status, metrics, epochs, seconds)
    return Outcome(
        trial,
        folder,
        status,
        metrics,
        epochs,
        seconds,
        error=str(facts.get("error", "")),
        hint=str(facts.get("hint", "")),
        exit_code=code if isinstance(code, int) else 1,
        has_begun=_has_learned(folder, code),
    )


def _has_learned(folder: Path, code: object) -> bool:
    """Tell whether a failed run came as far as to validate, or to save; or failed at what another one may not."""
    if code in OF_SETTINGS:
        return (folder / PREPROCESS).exists()
    is_told = (folder / METRICS).exists() and (folder / METRICS).stat().st_size > 0
    return is_told or any((folder / CHECKPOINTS).glob("step-*"))


def _of_folds(folds: Mapping[str, Any]) -> dict[str, float]:
    """Return what ranks a cross-validated trial, in the place of the metrics of one validation part."""
    found: dict[str, float] = {}
    for name, each in folds["metrics"].items():
        found |= {f"val/{name}": float(each["mean"]), f"val/{name}_sd": float(each["sd"])}
    return found
