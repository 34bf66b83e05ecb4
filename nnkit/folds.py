"""Cross-validation: each fold is a run of its own, and what they say together stands in the run that they lie in."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from nnkit.assemble import Prepared, assemble, fitted, prepare
from nnkit.baseline import baseline
from nnkit.command import Command
from nnkit.config.cross import METRICS
from nnkit.config.schema import Config, to_plain
from nnkit.data import Source, Splits, read, split_by
from nnkit.data.guard import examine
from nnkit.data.report import Report
from nnkit.ending import note_failure, noting_bugs
from nnkit.errors import ConfigError, DataError, NnkitError, Problem, StorageError
from nnkit.facts import facts_of_data, now, title_of
from nnkit.final import OF_THE_END, Result, finite_ones, outcome_of
from nnkit.final import look_at_test as look_at_own_test
from nnkit.infer.evaluate import evaluate, predicted
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.predictions import write_held_out
from nnkit.lock import FolderLock
from nnkit.run import resume, train_prepared
from nnkit.runs import (
    CHECKPOINTS,
    CV,
    DATA,
    FINISHED,
    PREPROCESS,
    PREPROCESS_SUM,
    RUN,
    begun,
    fold_name,
    read_run,
    write_config,
    write_run,
)
from nnkit.scoring import untuned_threshold
from nnkit.storage import json_bytes, make_folder, read_json, remove_folder, remove_temporaries, write_bytes, write_json
from nnkit.track.log import RunLog
from nnkit.train.checkpoints import resumable
from nnkit.train.device import worded_out_of_memory
from nnkit.train.sink import Sink
from nnkit.train.stopping import Signals
from nnkit.usercode import sections_with_code
from nnkit.warm_start import look_for_start

HELD_OUT, FORMAT, RESUMED = "predictions-oof.csv", 1, "resumed"


@final
@dataclass(frozen=True, slots=True)
class Fold:
    """One fold that has ended.

    Attributes:
        number: from 0, repeat after repeat.
        facts: its run.json; the metrics test/… are of the rows that it holds out.
    """

    number: int
    facts: Mapping[str, Any]

    @property
    def held_out(self) -> dict[str, float]:
        """The metrics of the rows that it holds out, by their name alone."""
        metrics: Mapping[str, float] = self.facts["metrics"]
        return {key.removeprefix("test/"): value for key, value in metrics.items() if key.startswith("test/")}


def _silent(*_: object) -> None:
    """Tell nobody."""


@final
@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of a cross-validation.

    Attributes:
        data: what is in the data, before the first fold.
        fold: each fold, as soon as it has ended.
        sinks: watchers of each fold.
    """

    data: Callable[[Report], None] = _silent
    fold: Callable[[Fold], None] = _silent
    sinks: Sequence[Sink] = ()


def cross_validate(
    config: Config,
    folder: Path,
    sinks: Sequence[Sink] = (),
    signals: Signals | None = None,
    *,
    test: bool = True,
    watch: Watch | None = None,
    changes: Mapping[str, Any] | None = None,
    command: Command | None = None,
) -> Result:
    """Train all folds in folders of their own within `folder`, then the run itself as `cv.final` says.

    What has been begun there goes on: a fold that has ended is left as it is, one that was stopped goes on from its
    checkpoint. cv.json has the metrics of each fold on the rows that it holds out, with their mean and standard
    deviation, and predictions-oof.csv what each says of these rows.

    Args:
        config: checked, with folds.
        folder: of the run, locked by the caller; empty but for its lock, or with a cross-validation that was stopped.
        sinks: watchers of the run's own training.
        signals: asked before each step.
        test: whether to look at the test set at the end.
        watch: who is told of the folds.
        changes: what differs from the run's own config where it goes on, for the record of the run and of its folds.
        command: that the user typed, for the record.

    Returns:
        That of the run's own training, with the metrics cv/NAME and cv/NAME_sd beside its own. Where there is none,
        epochs, steps and seconds are those of all folds.

    Raises:
        ConfigError, DataError: the folds or one of their trainings cannot be, or the data has changed; nothing was
            written.
        NnkitError: a training failed; run.json says why.
    """
    watch = watch or Watch()
    with noting_bugs(folder, config, command), worded_out_of_memory(config):
        whole = prepare(config if begun(folder) else look_for_start(config))
        _check_same(whole.source, folder)
        job = _Job(whole, folder, signals, watch, command, dict(changes or {}))
        _checked_folds(whole)
    remove_temporaries(folder)
    _begin(job)
    log = RunLog(folder)
    try:
        folds = _trained_folds(job, log)
        if len(folds) < config.cv.count:
            return _ended(job, folds, "interrupted", "signal")
        known = _summed_up(job, folds)
        if signals is not None and signals.number:
            return _ended(job, folds, "interrupted", "signal")
        if whole.config.cv.final != "refit":
            tested = _tested(whole, folder) if test else {}
            return _ended(job, folds, "completed", "folds", known | tested)
    except BaseException as error:
        note_failure(folder, whole.config, command, error, _facts(job))
        raise
    finally:
        log.close()
    if _has_checkpoint(folder):
        return resume(whole.config, folder, sinks, signals, changes=changes, test=test, known=known, command=command)
    more = {name: value for name, value in begun(folder).items() if name == RESUMED}
    return train_prepared(whole, folder, sinks, signals, test=test, known=known, command=command, more=more)


def _tested(whole: Prepared, folder: Path) -> dict[str, float]:
    """Return what the ensemble of a run's folds is worth on the test part, beside what knowing nothing is."""
    if not whole.config.cv.is_ensemble or not len(whole.splits.test):
        return {}
    run = open_run(folder, trust=_runs_code(whole.config))
    found = evaluate(run, whole.source, whole.splits.test).metrics
    measured = {f"test/{name}": found[name] for name in METRICS[whole.spec.task]}
    known_nothing = baseline(assemble(whole, None), whole)
    return finite_ones(measured | {f"baseline/{name}": value for name, value in known_nothing.items()})[0]


def look_at_test(config: Config, folder: Path) -> dict[str, float]:
    """Return the test metrics of a run that has not looked at its test set, and add them to its run.json.

    Args:
        config: the run's own, with folds or without.
        folder: of the run, which has ended.

    Returns:
        As `nnkit.final.look_at_test`; nothing where there is no test part, or no network but those of the folds.

    Raises:
        CheckpointError: the weights are missing or damaged.
    """
    if not config.cv.is_on or config.cv.final == "refit":
        return look_at_own_test(config, folder)
    metrics = _tested(prepare(config), folder)
    facts = read_run(folder)
    write_run(folder, {**facts, "metrics": {**facts["metrics"], **metrics}})
    return metrics


def fold_sizes(config: Config) -> list[tuple[int, int, int]]:
    """Return of each fold how many rows it trains on, validates on, and holds out. Raises: as `cross_validate`."""
    return [(len(part.train), len(part.val), len(part.test)) for part in _checked_folds(prepare(config))]


@final
@dataclass(frozen=True, slots=True)
class _Job:
    """One cross-validation on its way."""

    whole: Prepared
    folder: Path
    signals: Signals | None
    watch: Watch
    command: Command | None
    changes: dict[str, Any]


def _prepared_fold(whole: Prepared, fold: int) -> Prepared:
    """Return the data of a fold. Raises: ConfigError, DataError."""
    source = None if whole.spec.task == "forecast" else whole.source  # time cuts a series anew for each fold
    return prepare(replace(whole.config, cv=replace(whole.config.cv, fold=fold)), source=source)


def _checked_folds(whole: Prepared) -> list[Splits]:
    """Return the parts of all folds. Raises: ConfigError, DataError, naming the first fold that has a problem."""
    parts: list[Splits] = []
    wrong: dict[Problem, list[int]] = {}
    count = whole.config.cv.count
    kind: type[ConfigError | DataError] = ConfigError
    for fold in range(count):
        try:
            parts.append(_prepared_fold(whole, fold).splits)
        except (ConfigError, DataError) as error:
            kind = type(error)
            for problem in error.problems:
                wrong.setdefault(problem, []).append(fold)
    if wrong:
        where = {p: "" if len(folds) == count else f" (in fold {folds[0]})" for p, folds in wrong.items()}
        raise kind(*(Problem(p.text + where[p], p.hint) for p in wrong))
    return parts


def _check_same(source: Source, folder: Path) -> None:
    """Check that the data is that of a cross-validation that goes on. Raises: DataError."""
    facts = begun(folder)
    if facts and not source.is_of(facts):
        raise DataError(f"the data of {folder} has changed since the run started", hint="nnkit train starts a new run")


def _begin(job: _Job) -> None:
    """Write what the run is, and tell what is in its data, once; config.yaml makes the folder a run."""
    whole = job.whole
    facts = {**_facts(job), "status": "running"}
    if begun(job.folder) and not _has_checkpoint(job.folder):  # one that has a network of its own notes it itself
        facts[RESUMED] = [*facts.get(RESUMED, []), {"step": 0, "changes": job.changes}]
    if whole.config.cv.is_ensemble:  # what reads rows for its networks has to know all columns that one of them reads
        section, rows = whole.config.data, np.union1d(whole.splits.train, whole.splits.val)
        scaling = getattr(section, "target_scaling", "none")
        preprocess = fitted(section, whole.source, rows, target_scaling=scaling, model=whole.config.model)
        data = json_bytes(preprocess.to_plain())
        write_bytes(job.folder / PREPROCESS, data)
        facts[PREPROCESS_SUM] = hashlib.sha256(data).hexdigest()
    write_run(job.folder, facts)
    write_config(job.folder, whole.config)
    if not (job.folder / DATA).exists():
        report = examine(whole.source, whole.splits, whole.preprocess)
        write_json(job.folder / DATA, report.to_plain())
        job.watch.data(report)


def _facts(job: _Job) -> dict[str, Any]:
    """Return what run.json says beside how it ended."""
    typed = {} if job.command is None else {"command": job.command.line()}
    before = begun(job.folder) or {"started": now(), **typed}
    return {**{name: value for name, value in before.items() if name not in OF_THE_END}, **facts_of_data(job.whole)}


def _trained_folds(job: _Job, log: RunLog) -> list[Fold]:
    """Train the folds that have not ended; fewer than all are returned where a signal came."""
    folds: list[Fold] = []
    for number in range(job.whole.config.cv.count):
        folder = job.folder / fold_name(number)
        if job.signals is not None and job.signals.number:
            break
        if not _has_ended(folder):
            try:
                _train_fold(job, number, folder)
            except NnkitError as error:
                raise type(error)(*(Problem(f"fold {number}: {p.text}", p.hint) for p in error.problems)) from error
            if not _has_ended(folder):
                break
            fold = Fold(number, read_run(folder))
            log.note(f"fold {number}: {fold.facts['status']}, {fold.held_out}")
            job.watch.fold(fold)
        folds.append(Fold(number, read_run(folder)))
    return folds


def _has_ended(folder: Path) -> bool:
    return (folder / RUN).exists() and read_run(folder)["status"] in FINISHED


def _has_checkpoint(folder: Path) -> bool:
    return bool(resumable(folder / CHECKPOINTS))


def _train_fold(job: _Job, number: int, folder: Path) -> None:
    """Train a fold, from its checkpoint where there is one. Raises: NnkitError."""
    prepared = _prepared_fold(job.whole, number)
    goes_on = _has_checkpoint(folder)
    if not goes_on and folder.exists():  # it was stopped before its first save
        remove_folder(folder)
    make_folder(folder)
    with FolderLock(folder):
        if goes_on:
            resume(prepared.config, folder, job.watch.sinks, job.signals, changes=job.changes)
        else:
            train_prepared(prepared, folder, job.watch.sinks, job.signals)


def _summed_up(job: _Job, folds: Sequence[Fold]) -> dict[str, float]:
    """Write cv.json and the predictions of all folds, and return the metrics cv/…. Raises: NnkitError."""
    metrics = summary(folds)
    cv = job.whole.config.cv
    plain = {
        "format": FORMAT,
        **{name: getattr(cv, name) for name in ("kind", "folds", "repeats", "split_seed")},
        "metrics": metrics,
        "each": [_plain(fold, cv.folds or 1) for fold in folds],
    }
    write_held_out(_answered(job, folds), job.folder / HELD_OUT)
    write_json(job.folder / CV, plain)
    means = {f"cv/{name}": found["mean"] for name, found in metrics.items()}
    return means | {f"cv/{name}_sd": found["sd"] for name, found in metrics.items()}


def summary(folds: Sequence[Fold]) -> dict[str, dict[str, float]]:
    """Return mean, standard deviation (of a sample), least and most of each metric over the folds, at least two.

    A metric that is not finite in one of them has none.
    """
    found = {}
    for name in (name for name in folds[0].held_out if all(name in fold.held_out for fold in folds)):
        values = [fold.held_out[name] for fold in folds]
        mean, sd = statistics.fmean(values), statistics.stdev(values)
        found[name] = {"mean": mean, "sd": sd, "least": min(values), "most": max(values)}
    return found


def _plain(fold: Fold, folds: int) -> dict[str, Any]:
    """Return a fold as plain data, without times: a run that was stopped has the same."""
    facts = fold.facts
    kept = {name: facts[name] for name in ("rows", "epochs", "steps", "best", "metrics")}
    return {"fold": fold.number, "repeat": fold.number // folds, "folder": fold_name(fold.number), **kept}


def _runs_code(config: Config) -> bool:
    """Whether the user trusts code of their own, which this run names: a fold's folder may name no other."""
    return bool(sections_with_code(to_plain(config)))


def _answered(job: _Job, folds: Sequence[Fold]) -> Iterator[tuple[Finished, Evaluation]]:
    """Yield what each fold says of the rows that it holds out, one fold at a time."""
    for fold in folds:
        run = open_run(job.folder / fold_name(fold.number), trust=_runs_code(job.whole.config))
        section, cv = run.config.data, run.config.cv
        source = read(section, cv) if run.spec.task == "forecast" else job.whole.source
        yield run, predicted(run, source, split_by(section, source, cv).test)


def _ended(
    job: _Job, folds: Sequence[Fold], status: str, reason: str, known: Mapping[str, float] | None = None
) -> Result:
    """Write and return how a run ended that has not been trained itself."""
    result = Result(
        folder=job.folder,
        status=status,
        reason=reason,
        epochs=sum(fold.facts["epochs"] for fold in folds),
        steps=sum(fold.facts["steps"] for fold in folds),
        seconds=sum(fold.facts["seconds"] for fold in folds),
        samples_per_second=0.0,
        best=None,
        metrics=dict(known or {}),
        threshold=untuned_threshold(job.whole.config),
        title=title_of(job.whole.config),
    )
    write_run(job.folder, {**_facts(job), **outcome_of(result)})
    return result


def read_cv(folder: Path) -> dict[str, Any] | None:
    """Return cv.json of a run; None where its folds have not ended. Raises: DataError."""
    path = folder / CV
    if not path.exists():
        return None
    try:
        return dict(read_json(path))
    except (StorageError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}", hint="is this a run folder?") from error
