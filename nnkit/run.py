"""Training a checked config in a folder, from the start or from where it stopped. Knows no Hydra and no terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, final

from nnkit.assemble import Prepared, assemble, prepare
from nnkit.baseline import baseline_notes
from nnkit.changes import check_changes, check_saved, check_there, resumed, told, told_of_schedule
from nnkit.command import Command
from nnkit.config.schema import Config
from nnkit.data.guard import examine
from nnkit.data.report import Report
from nnkit.ending import circumstances, note_failure, noting_bugs, ways_on
from nnkit.errors import CheckpointError, DataError, DivergenceError
from nnkit.facts import facts_of, now, size_of, title_of, told_before
from nnkit.final import OF_THE_END, Result, best_weights, finite_ones, metrics_of_part, metrics_of_test, outcome_of
from nnkit.runs import (
    CHECKPOINTS,
    CONFIG,
    DATA,
    PREPROCESS,
    PREPROCESS_SUM,
    RUN,
    begun,
    config_bytes,
    read_run,
    run_bytes,
    write_run,
)
from nnkit.scoring import decision_threshold, metrics_of, untuned_threshold
from nnkit.storage import json_bytes, remove_folder, remove_temporaries, write_files
from nnkit.track.jsonl import JsonLines, lost_events
from nnkit.track.log import LoggedWarnings, RunLog
from nnkit.tracking import trackers
from nnkit.train import checkpoints, gradients
from nnkit.train.device import worded_norms, worded_out_of_memory
from nnkit.train.loop import evaluate, fit, note_score, save_at_last, write_record
from nnkit.train.persist import persistently
from nnkit.train.run import Run
from nnkit.train.sink import RunInfo, Sink, warn
from nnkit.train.state import TrainState
from nnkit.train.stopping import Signals, Stop, never, stop_when
from nnkit.train.watch import endured
from nnkit.warm_start import look_for_start, start

STATUS_OF_REASON = {"patience": "stopped_early", "signal": "interrupted", "pruned": "pruned"}
STATUS_OF_REASON |= {"budget": "stopped_early"}


def train(
    config: Config,
    folder: Path,
    sinks: Sequence[Sink] = (),
    signals: Signals | None = None,
    *,
    test: bool = True,
    stop: Stop = never,
    command: Command | None = None,
) -> Result:
    """Train a new run in `folder`, which is there, empty but for its lock, and locked by the caller.

    Args:
        config: checked.
        folder: of the run.
        sinks: watchers beside metrics.jsonl.
        signals: asked before each step.
        test: whether to look at the test set at the end; a sweep does so for its winner alone.
        stop: asked before each step for one more reason to end.
        command: that the user typed, for the record.

    Raises:
        ConfigError, DataError: the words do not fit the data, or the data is bad; nothing was written.
        OutOfMemoryError, DataWorkerError: the data does not fit in memory, or cannot be read; run.log says more.
        NnkitError: the run failed after it had begun; run.json and run.log say why.
    """
    with noting_bugs(folder, config, command), worded_out_of_memory(config):
        prepared = prepare(look_for_start(config))
        report = examine(prepared.source, prepared.splits, prepared.preprocess)
    return train_prepared(prepared, folder, sinks, signals, test=test, stop=stop, report=report, command=command)


def train_prepared(
    prepared: Prepared,
    folder: Path,
    sinks: Sequence[Sink] = (),
    signals: Signals | None = None,
    *,
    test: bool = True,
    stop: Stop = never,
    report: Report | None = None,
    known: Mapping[str, float] | None = None,
    command: Command | None = None,
    more: Mapping[str, Any] | None = None,
) -> Result:
    """Train a new run as `train` does, on data that is at hand.

    Args:
        prepared: data and picks.
        folder: of the run.
        sinks: watchers beside metrics.jsonl.
        signals: asked before each step.
        test: whether to look at the test set at the end.
        stop: asked before each step for one more reason to end.
        report: of the data, to be told and kept; None where that has been done.
        known: metrics that stand beside the run's own: those of its folds.
        command: that the user typed, for the record.
        more: that run.json shall say.

    Raises: as `train`.
    """
    job = _new_job(prepared, folder, command, report, test=test, known=known or {}, more=more)
    return _go(job, sinks, stop_when(prepared.config.trainer, signals, also=stop))


def _new_job(
    prepared: Prepared,
    folder: Path,
    command: Command | None,
    report: Report | None,
    *,
    test: bool,
    known: Mapping[str, float],
    notes: Sequence[str] = (),
    more: Mapping[str, Any] | None = None,
) -> _Job:
    """Write what a run is before its first step; config.yaml comes last, for it makes the folder a run."""
    started, preprocess = now(), json_bytes(prepared.preprocess.to_plain())
    with noting_bugs(folder, prepared.config, command), worded_out_of_memory(prepared.config):
        run = assemble(prepared, folder / CHECKPOINTS)
        origin = start(run, prepared, begun(folder))
    typed = {} if command is None else {"command": command.line()}
    facts = {"status": "running", "started": started, **typed, **facts_of(run, prepared)}
    facts |= {PREPROCESS_SUM: sha256(preprocess).hexdigest(), **origin.facts, **(more or {})}
    data = {} if report is None else {DATA: json_bytes(report.to_plain())}
    files = {PREPROCESS: preprocess, **data, RUN: run_bytes(facts), CONFIG: config_bytes(prepared.config)}
    write_files(folder, files)
    state = TrainState(_planned_steps(run), sums=run.metrics.zero(run.device))
    job = _Job(folder, prepared, run, state, facts, command, tuple(notes), test=test, report=report, known=dict(known))
    return replace(job, origin=tuple(origin.lines), doubts=tuple(origin.warnings))


def resume(
    config: Config,
    folder: Path,
    sinks: Sequence[Sink] = (),
    signals: Signals | None = None,
    *,
    changes: Mapping[str, Any] | None = None,
    test: bool = True,
    stop: Stop = never,
    known: Mapping[str, float] | None = None,
    command: Command | None = None,
) -> Result:
    """Go on with the run in `folder`, which is locked by the caller, as if it had never stopped.

    Where nothing has been saved it starts from its beginning: that is the very same run.

    Args:
        config: the run's own, perhaps with settings that may change.
        folder: of the run.
        sinks: watchers beside metrics.jsonl.
        signals: asked before each step.
        changes: what differs from the run's own config, for the record.
        test: whether to look at the test set at the end.
        stop: asked before each step for one more reason to end.
        known: metrics that stand beside the run's own: those of its folds.
        command: that the user typed, for the record.

    Raises:
        CheckpointError: what has been saved is damaged.
        DataError: the data is not what it was.
        NnkitError: the run failed.
    """
    if not checkpoints.resumable(folder / CHECKPOINTS):
        job = _begun_again(config, folder, command, changes or {}, test=test, known=known or {})
        return _go(job, sinks, stop_when(job.prepared.config.trainer, signals, also=stop))
    remove_temporaries(folder)
    facts = read_run(folder)
    _, weights, plain, skipped = checkpoints.newest(folder / CHECKPOINTS)
    with noting_bugs(folder, config, command), worded_out_of_memory(config):
        prepared = prepare(config)
        run = assemble(prepared, folder / CHECKPOINTS)
    _check_same(prepared, facts, folder)
    try:
        state = run.load_plain(weights, plain)
    except (LookupError, RuntimeError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"the checkpoint of {folder} does not fit its config: {error}") from error
    ends = stop_when(prepared.config.trainer, signals, seconds_before=state.seconds, also=stop)
    if changes:
        check_changes(prepared.config, state, facts["status"], changes, ends(state))
    run.checkpoints.resumed(state.step, None if state.best is None else state.best.step)
    notes = [f"skipped a damaged checkpoint: {text}" for text in skipped]
    notes += [*told(changes or {}), *told_of_schedule(run.scheduler.kind, state.total_steps, _planned_steps(run))]
    facts = {**facts, **facts_of(run, prepared), "resumed": resumed(facts, folder, state.step, changes or {})}
    facts = {key: value for key, value in facts.items() if key not in OF_THE_END} | {"status": "running"}
    # The record comes last: it may name settings that the config.yaml of an older nnkit lacks.
    write_files(folder, {CONFIG: config_bytes(prepared.config), RUN: run_bytes(facts)})
    job = _Job(folder, prepared, run, state, facts, command, tuple(notes), test=test, known=dict(known or {}))
    return _go(job, sinks, ends)


def _begun_again(
    config: Config,
    folder: Path,
    command: Command | None,
    changes: Mapping[str, Any],
    *,
    test: bool,
    known: Mapping[str, float],
) -> _Job:
    """Make ready a run that was stopped before its first save."""
    facts = begun(folder)
    check_saved(facts, folder, config)
    with noting_bugs(folder, config, command), worded_out_of_memory(config):
        prepared = prepare(config)
        if "data_fingerprint" in facts:
            _check_same(prepared, facts, folder)
        report = examine(prepared.source, prepared.splits, prepared.preprocess)
    remove_temporaries(folder)
    remove_folder(folder / CHECKPOINTS)
    notes = ["nothing had been saved: the run started from its beginning"]
    notes += told(changes)
    more: dict[str, Any] = {name: facts[name] for name in ("started", "command") if name in facts}
    more["resumed"] = resumed(facts, folder, 0, changes)
    return _new_job(prepared, folder, command, report, test=test, known=known, notes=notes, more=more)


def _check_same(prepared: Prepared, facts: Mapping[str, Any], folder: Path) -> None:
    if not prepared.source.is_of(facts):
        raise DataError(f"the data of {folder} has changed since the run started", hint="nnkit train starts a new run")


@final
@dataclass(frozen=True, slots=True)
class _Job:
    """One run on its way."""

    folder: Path
    prepared: Prepared
    run: Run
    state: TrainState
    facts: dict[str, Any]
    command: Command | None = None
    notes: tuple[str, ...] = ()
    test: bool = True
    report: Report | None = None  # of the data; only of a new run
    known: dict[str, float] = field(default_factory=dict)  # metrics of its folds
    origin: tuple[str, ...] = ()  # what a new run's first values are, in words
    doubts: tuple[str, ...] = ()  # why they may be worth less than they seem


def _go(job: _Job, sinks: Sequence[Sink], stop: Stop) -> Result:
    log = RunLog(job.folder)
    watching: list[Sink] = [JsonLines(), LoggedWarnings(log), *sinks]
    tracked = trackers(job.prepared.config, job.folder, lambda text: warn(watching, text))
    sinks = [*watching, tracked]
    status, has_ended = "failed", False
    try:
        for line in circumstances(job.prepared.config):
            log.note(line)
        log.note(f"from step {job.state.step}" + (f": {job.command.line()}" if job.command else ""))
        for note in (*job.notes, *(f"warning: {text}" for _, text in (job.report.warnings if job.report else ()))):
            log.note(note)
        _tell(job, sinks, log)
        with worded_out_of_memory(job.prepared.config), worded_norms(job.prepared.config):
            result = _finish(job, sinks, _trained(job, sinks, stop))
        status = result.status
        check_there(job.folder)
        facts = {**job.facts, **outcome_of(result)}
        persistently(lambda: write_run(job.folder, facts), lambda text: warn(sinks, text))
        has_ended = True
        ended = f"{status} ({result.reason}) after {result.epochs} epochs, {result.steps} steps: {result.metrics}"
        log.note("\n".join([ended, *endured(job.state)]))
        tracked.metrics = result.metrics
        for line in ways_on(job.prepared.config, job.folder, job.command) if status == "interrupted" else ():
            log.note(line)
    except BaseException as error:
        given = None if has_ended else job.facts  # whatever comes now, run.json says how the run has ended
        noted = note_failure(job.folder, job.prepared.config, job.command, error, given)
        status = status if has_ended else noted
        raise
    finally:
        for sink in sinks:
            sink.close(status)
        log.close()
    return replace(result, untold=frozenset(tracked.failed))


def _tell(job: _Job, sinks: Sequence[Sink], log: RunLog) -> None:
    """Let all that watch know what begins, and what to doubt of it."""
    info = _info(job)
    lost = lost_events(job.folder, info.records)
    for note in info.notes:
        log.note(note)
    for sink in sinks:
        sink.start(info)
    refused = f"{log.refused}; the run goes on without" if log.refused else None
    for text in filter(None, (*job.doubts, lost, refused)):
        warn(sinks, text)


def _trained(job: _Job, sinks: Sequence[Sink], stop: Stop) -> str:
    """Train, and return why it ended; a network without parameters has nothing to learn, and is saved as it is."""
    if job.run.parameters.names:
        try:
            return fit(job.run, job.state, sinks, stop)
        finally:
            job.run.train.close()
    save_at_last(job.run, job.state, sinks)
    return "nothing_to_learn"


def _finish(job: _Job, sinks: Sequence[Sink], reason: str) -> Result:
    """Look at the test set, once, with the best weights; an interrupted run leaves it alone."""
    run, state = job.run, job.state
    if state.best is None and reason != "signal":
        write_record(state, sinks, note_score(run, state, evaluate(run, run.val)))
        persistently(run.checkpoints.point_best, lambda text: warn(sinks, text))
        if state.best is None:
            raise DivergenceError(f"{run.monitor} was never finite", hint="try a smaller optimizer.lr")
    status = STATUS_OF_REASON.get(reason, "completed")
    metrics: dict[str, float] = {}
    notes = [*job.notes, *endured(state)]
    threshold = untuned_threshold(job.prepared.config)
    if reason != "signal":
        run.load_validated(best_weights(run, job.folder))
        threshold = decision_threshold(run, job.prepared.config)
        run.metrics = metrics_of(job.prepared.config, job.prepared.preprocess, threshold)
        metrics = metrics_of_part(run, job.prepared, "train") | metrics_of_part(run, job.prepared, "val")
        if job.test and len(job.prepared.splits.test):
            metrics |= metrics_of_test(run, job.prepared)
            notes += baseline_notes(job.prepared)
        notes = [*notes, *([text] if (text := gradients.warning(run)) else [])]
        metrics, left_out = finite_ones(metrics)
        notes += left_out
        metrics |= job.known
    best = None if state.best is None else {**asdict(state.best), "monitor": run.monitor}
    speed = state.samples / state.seconds if state.seconds else 0.0
    return Result(
        folder=job.folder,
        status=status,
        reason=reason,
        epochs=state.epoch,
        steps=state.step,
        seconds=state.seconds,
        samples_per_second=speed,
        best=best,
        metrics=metrics,
        notes=tuple(notes),
        threshold=threshold,
        title=title_of(job.prepared.config),
    )


def _info(job: _Job) -> RunInfo:
    trainer, state = job.run.trainer, job.state
    title = title_of(job.prepared.config)
    batches = f", batches of {job.prepared.config.batching.batch_size}" if job.prepared.fits else ""
    picks = (
        f"{size_of(job.run, state.epoch)}, loss {job.prepared.config.loss.kind}{batches}, "
        f"watching {job.run.monitor}, {trainer.device} in {trainer.precision} with {trainer.threads} thread(s)"
    )
    return RunInfo(
        folder=job.folder,
        title=title,
        max_epochs=trainer.max_epochs,
        steps_per_epoch=len(job.run.train),
        monitor=job.run.monitor,
        picks=picks,
        step=state.step,
        epoch=state.epoch,
        records=state.records,
        notes=(*job.origin, *told_before(job.run, job.prepared, job.state.step)),
        report=job.report,
    )


def _planned_steps(run: Run) -> int:
    by_epochs = run.trainer.max_epochs * len(run.train)
    return by_epochs if run.trainer.max_steps is None else min(run.trainer.max_steps, by_epochs)
