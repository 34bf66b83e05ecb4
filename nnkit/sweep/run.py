"""A sweep from its trials to its table: each trial's end is told at once, the winner alone sees the test set."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, final

from nnkit.assemble import prepare
from nnkit.config.check import check
from nnkit.config.cross import Objective
from nnkit.config.identity import LIMITS
from nnkit.config.origin import Composed
from nnkit.config.schema import Config
from nnkit.config.suggest import spell
from nnkit.errors import ConfigError, DataError, FolderInUseError, NnkitError, StorageError
from nnkit.final import look_at_test
from nnkit.folds import cross_validate
from nnkit.lock import FolderLock, is_locked
from nnkit.runs import SWEEP, read_config, read_run
from nnkit.storage import remove_folder, write_json
from nnkit.sweep.executor import Executor
from nnkit.sweep.failures import common_cause
from nnkit.sweep.journal import Journal, starts
from nnkit.sweep.outputs import write_best, write_table
from nnkit.sweep.pruning import Pruner
from nnkit.sweep.source import Source
from nnkit.sweep.trials import (
    Group,
    Outcome,
    Trial,
    best_of,
    objective,
    objective_among,
    plain_outcome,
    ranked,
)
from nnkit.sweep.work import TESTS, Judge, Score, Terms, outcome_of
from nnkit.track.jsonl import read_events
from nnkit.track.log import RunLog
from nnkit.tracking import tell_metrics
from nnkit.train.state import Record
from nnkit.train.stopping import Signals

FORMAT = 1
LONGEST_WAIT_S = 10.0  # for a trial that somebody else trains
WRITE_EVERY = 20.0  # times as long as writing sweep.json took, until it is written again


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """What a sweep goes by.

    Attributes:
        objective: what ranks the trials; None for the metric of their task.
        most_failures: after how many failed trials no other starts; None for never.
        timeout_s: seconds after which no other trial starts; None for never.
        retries_failed: whether trials that have failed before start anew.
        ends_running: whether the trials that run end, too, when the time is over, at their next step.
        ends_at_common_cause: whether no other trial starts once the first ones have failed before any validation, all
            for one cause, which then is the sweep's.
    """

    objective: Objective | None = None
    most_failures: int | None = None
    timeout_s: float | None = None
    retries_failed: bool = False
    ends_running: bool = False
    ends_at_common_cause: bool = False


class Watch(Protocol):
    """Who is told what happens."""

    def began(self, outcomes: Sequence[Outcome], planned: int) -> None:
        """See what an earlier process of the sweep has left."""

    def started(self, trial: Trial) -> None:
        """See a trial start."""

    def scored(self, score: Score) -> None:
        """See a validation."""

    def ended(self, outcome: Outcome, outcomes: Sequence[Outcome]) -> None:
        """See a trial's end, and all ends so far."""


@final
@dataclass(frozen=True, slots=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        folder: the sweep's folder.
        objective: the metric that ranks.
        outcomes: of the trials that were run, by number.
        groups: the finished ones by rank.
        test: the winner's test metrics, mean over its seeds; empty when there is no winner or a signal came.
        planned: how many trials there are in all.
        problem: why the winner could not be tested; empty when it could.
        ended: why not all trials were started; empty where they were, or a signal came.
        warnings: what else the user should know of its end.
        cause: of a trial that failed as all others did, so that the sweep ended; None for none.
    """

    folder: Path
    objective: Objective
    outcomes: Sequence[Outcome]
    groups: Sequence[Group]
    test: dict[str, float]
    planned: int
    problem: str = ""
    ended: str = ""
    warnings: Sequence[str] = ()
    cause: Outcome | None = None


@final
@dataclass(slots=True)
class Sweep:
    """A sweep on its way.

    Attributes:
        folder: which is there, and locked by the caller.
        source: of the trials.
        rules: what ranks them, and when no other starts.
        pruner: which of them stop early.
        watch: told what happens.
        signals: a signal ends the sweep after saving the trials that run.
        outcomes: of the trials that have ended, by number.
        fresh: of them those that this process has seen end.
        started: when, by time.monotonic.
    """

    folder: Path
    source: Source
    rules: Rules
    pruner: Pruner
    watch: Watch
    signals: Signals
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    fresh: list[Outcome] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    written: float = 0.0

    def judge(self, score: Score) -> bool:
        """Take a validation of a trial that runs, and tell whether it shall stop."""
        self.watch.scored(score)
        return self.pruner.scored(score.trial, score.epoch, score.name, score.loss)

    @property
    def terms(self) -> Terms:
        """What each trial is held to."""
        timeout = self.rules.timeout_s if self.rules.ends_running else None
        return Terms(self.rules.objective, None if timeout is None else self.started + timeout)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        timeout = self.rules.timeout_s
        return timeout is not None and time.monotonic() - self.started >= timeout

    def run(self, journal: Journal, make: Callable[[Signals, Terms, Judge], Executor]) -> SweepResult:
        """Train all trials that have not ended yet.

        Args:
            journal: open.
            make: returns who trains them.

        Raises:
            ConfigError: the trials are not those that the journal knows.
            FolderInUseError: another process trains one of them.
            StorageError: a file cannot be written.
        """
        with closing(journal):
            pending = iter(self._taken_up(journal))
            self.watch.began(list(self.outcomes.values()), self.source.planned)
            with closing(make(self.signals, self.terms, self.judge)) as executor:
                ends = self._trained(pending, journal, executor)
        return self._closed(ends if len(self.outcomes) < self.source.planned else "")

    def _trained(self, pending: Iterator[Trial], journal: Journal, executor: Executor) -> str:
        """Train trial after trial, and return why not all were started; empty where they were."""
        ends = ""
        while True:
            while not self.signals.number and executor.free() and not (ends := self._ends()):
                trial = next(pending, None) or self.source.next()
                if trial is None:
                    break
                self._start(trial, journal, executor)
            outcome = executor.wait()
            if outcome is None:
                break
            self._note(outcome, journal)
        return ends

    def _taken_up(self, journal: Journal) -> list[Trial]:
        """Take what an earlier process has left, and return the known trials that are still to be trained."""
        begun = {int(entry["trial"]): entry for entry in starts(journal.entries)}
        known = self.source.known()
        if begun and max(begun) >= self.source.planned:
            text = f"{max(begun) + 1} trials of this sweep have begun, and {self.source.planned} are asked for"
            raise ConfigError(text, hint=f"hydra.sweeper.trials={max(begun) + 1}")
        pending = []
        for trial in known:
            entry = begun.get(trial.number)
            if entry is not None and entry["identity"] != trial.identity:
                words = " ".join(f"{key}={value}" for key, value in entry["changed"].items())
                raise ConfigError(
                    f"trial {trial.number} of this sweep was another one: {words}", hint="another name=NAME"
                )
            outcome = None if entry is None else outcome_of(trial, self.folder / trial.folder_name)
            if outcome is not None:
                _check_limits(trial, outcome.folder)
            if outcome is not None and outcome.status == "failed" and self.rules.retries_failed:
                remove_folder(outcome.folder)
                outcome = None
            if outcome is not None:
                self._remember(outcome)
            if outcome is not None and (outcome.is_finished or outcome.status == "failed"):
                self.outcomes[trial.number] = outcome
                self.source.ended(outcome)
            else:
                pending.append(trial)
        self._check_data(pending)
        return pending

    def _check_data(self, pending: Sequence[Trial]) -> None:
        """Refuse to go on with other data than that of a trial that has ended. Raises: DataError."""
        for trial in pending[:1]:
            same = [o for o in self.outcomes.values() if o.is_finished and o.trial.config.data == trial.config.data]
            if same and not prepare(_settled(same[0].folder)).source.is_of(read_run(same[0].folder)):
                raise DataError(
                    f"the data of {self.folder} has changed since the sweep began", hint="another name=NAME"
                )

    def _remember(self, outcome: Outcome) -> None:
        """Let the pruner know the validations of a trial that has begun before."""
        if self.pruner.kind == "none":
            return
        for record in _events(outcome.folder):
            name, mode = objective_among(record.values, self.rules.objective)
            if name in record.values:
                score = Score(outcome.trial.number, record.epoch, name, mode, record.values[name])
                self.pruner.scored(score.trial, score.epoch, score.name, score.loss)
        self._note_end(outcome)

    def _note_end(self, outcome: Outcome) -> None:
        if outcome.status in ("completed", "stopped_early"):
            self.pruner.ended.add(outcome.trial.number)

    def _start(self, trial: Trial, journal: Journal, executor: Executor) -> None:
        folder = self.folder / trial.folder_name
        waited = time.monotonic() + LONGEST_WAIT_S
        while is_locked(folder) and not self.signals.number:  # a process that outlives the sweep's for a moment
            if time.monotonic() > waited:
                raise FolderInUseError(f"{folder} is in use by another process", hint="wait for it, or stop it first")
            time.sleep(0.05)
        journal.started(trial)
        self.watch.started(trial)
        executor.start(trial, folder)

    def _note(self, outcome: Outcome, journal: Journal) -> None:
        self.outcomes[outcome.trial.number] = outcome
        self.fresh.append(outcome)
        journal.ended(outcome)
        self.source.ended(outcome)
        self._note_end(outcome)
        self.watch.ended(outcome, list(self.outcomes.values()))
        if time.monotonic() >= self.written:
            begun = time.monotonic()
            self._write({})
            self.written = time.monotonic() + WRITE_EVERY * (time.monotonic() - begun)

    def _ends(self) -> str:
        """Return why no other trial starts; empty while others do."""
        failures = sum(outcome.status == "failed" for outcome in self.outcomes.values())
        if self.rules.most_failures is not None and failures > self.rules.most_failures:
            return f"{failures} failed"
        if self._cause() is not None:
            return "all failed before their first validation, for one cause"
        return f"hydra.sweeper.timeout_s={self.rules.timeout_s:g} was over" if self.is_over else ""

    def _cause(self) -> Outcome | None:
        """Return a trial that failed as all that ended in this process did; None where that ends nothing."""
        return common_cause(self.fresh) if self.rules.ends_at_common_cause else None

    def _closed(self, ended: str) -> SweepResult:
        """Look at the test set with the winner, and write the table."""
        outcomes = [self.outcomes[number] for number in sorted(self.outcomes)]
        groups = ranked(outcomes, self.rules.objective)
        found = objective(outcomes, self.rules.objective)
        self._write({}, ended)
        write_table(self.folder, groups, outcomes)
        if groups:
            write_best(self.folder, groups[0], found, len(outcomes))
        test: dict[str, float] = {}
        problem, warnings = "", list[str]()
        try:
            test = _test_of(groups[0], self.signals, warnings.append) if groups and not self.signals.number else {}
            self._write(test, ended)
        except Exception as error:  # noqa: BLE001 - the table stands, whatever becomes of its winner
            problem = str(error) or type(error).__name__
        return SweepResult(
            folder=self.folder,
            objective=found,
            outcomes=outcomes,
            groups=groups,
            test=test,
            planned=self.source.planned,
            problem=problem,
            ended=ended,
            warnings=warnings,
            cause=self._cause(),
        )

    def _write(self, test: dict[str, float], ended: str = "") -> None:
        outcomes = [self.outcomes[number] for number in sorted(self.outcomes)]
        groups, (name, mode) = ranked(outcomes, self.rules.objective), objective(outcomes, self.rules.objective)
        facts = {
            "format": FORMAT,
            "objective": name,
            "mode": mode,
            "planned": self.source.planned,
            "best": best_of(groups[0], mode).folder.name if groups else None,
            "test": test,
            "ended": ended,
            "trials": [plain_outcome(outcome) for outcome in outcomes],
        }
        write_json(self.folder / SWEEP, facts)


def _check_limits(trial: Trial, folder: Path) -> None:
    """Refuse a trial that has gone on by itself, for longer than the others. Raises: ConfigError."""
    section = read_config(folder).get("trainer", {})
    for key in LIMITS:
        name, wanted = key.removeprefix("trainer."), getattr(trial.config.trainer, key.removeprefix("trainer."))
        if section.get(name) != wanted:
            found = f"{key}={spell(section.get(name))}, and this sweep has {spell(wanted)}"
            text = f"trial {trial.number} was trained with {found}"
            raise ConfigError(text, hint=f"move {folder} away: it is trained anew")


def _events(folder: Path) -> Iterator[Record]:
    """Yield the events of a run; none where they cannot be read."""
    with suppress(StorageError):
        yield from read_events(folder)


def _test_of(winner: Group, signals: Signals, warn: Callable[[str], None]) -> dict[str, float]:
    """Return the mean test metrics of the winner's trials; none where there is no test part, or a signal came."""
    looked = [_looked(outcome, signals, warn) for outcome in winner.outcomes]
    return {name: statistics.fmean(metrics[name] for metrics in looked) for name in looked[0] if all(looked)}


def _looked(outcome: Outcome, signals: Signals, warn: Callable[[str], None]) -> dict[str, float]:
    """Return the test metrics of a trial; the test set is looked at once, also by a sweep that is run again."""
    before = {name: value for name, value in read_run(outcome.folder)["metrics"].items() if name.startswith(TESTS)}
    if before:
        return before
    with FolderLock(outcome.folder):
        config = replace(_settled(outcome.folder), cv=outcome.trial.config.cv)  # its folds alone were trained so far
        if config.cv.is_on:  # its folds have ended: what is left is the run that predicts
            metrics = cross_validate(config, outcome.folder, (), signals).metrics
            return {name: value for name, value in metrics.items() if name.startswith(TESTS)}
        metrics = look_at_test(config, outcome.folder)
        _tell(outcome, config, metrics, warn)
        return metrics


def _settled(folder: Path) -> Config:
    """Return the config of a trial with every pick: what model.from_run has decided is found nowhere else later."""
    return check(Composed(read_config(folder)))


def _tell(outcome: Outcome, config: Config, metrics: dict[str, float], warn: Callable[[str], None]) -> None:
    """Tell a trial's trackers its test metrics; what goes wrong stands in its run.log, too."""
    log = RunLog(outcome.folder)

    def told(text: str) -> None:
        log.note(f"warning: {text}")
        warn(f"trial {outcome.trial.number}: {text}")

    try:
        tell_metrics(config, outcome.folder, metrics, told)
    except NnkitError as error:
        told(f"its trackers could not be told its test metrics: {error}")
    log.close()
