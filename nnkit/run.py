"""Training a checked config in a folder, from the start or from where it stopped. Knows no Hydra and no terminal."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import torch

import nnkit
from nnkit.assemble import Prepared, assemble, count_parameters, measured, prepare
from nnkit.baseline import baseline, baseline_notes
from nnkit.config.schema import Config
from nnkit.data.guard import examine
from nnkit.data.report import Report
from nnkit.errors import CheckpointError, DataError, DivergenceError
from nnkit.facts import facts_of, now, title_of, told_before
from nnkit.runs import (
    CHECKPOINTS,
    CONFIG,
    DATA,
    PREPROCESS,
    RUN,
    config_bytes,
    read_run,
    run_bytes,
    write_config,
    write_run,
)
from nnkit.scoring import decision_threshold, metrics_of, untuned_threshold
from nnkit.storage import json_bytes, write_files
from nnkit.track.jsonl import JsonLines
from nnkit.track.log import RunLog
from nnkit.train import checkpoints, gradients
from nnkit.train.device import worded_out_of_memory
from nnkit.train.loop import evaluate, fit, note_score, save, write_record
from nnkit.train.run import Run
from nnkit.train.sink import RunInfo, Sink
from nnkit.train.state import TrainState
from nnkit.train.stopping import Signals, Stop, never, stop_when

STATUS_OF_REASON = {"patience": "stopped_early", "signal": "interrupted", "pruned": "pruned"}
STATUS_OF_REASON |= {"budget": "stopped_early"}
# What run.json says of an end; a run that goes on has none.
OF_THE_END = (
    "reason",
    "ended",
    "epochs",
    "steps",
    "seconds",
    "samples_per_second",
    "best",
    "metrics",
    "decision_threshold",
    "error",
)


@final
@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended.

    Attributes:
        folder: the run's folder.
        status: completed, stopped_early, interrupted or pruned.
        reason: the limit that ended it: max_epochs, max_steps, max_time_s, patience or signal; or nothing_to_learn; or
            what `stop` said.
        epochs: finished in all.
        steps: done in all.
        seconds: of training, without validation.
        samples_per_second: of training; 0 where there was none.
        best: epoch, step, monitor and value of the best validation; None before the first.
        metrics: train/…, val/…, test/… and baseline/…; empty for an interrupted run.
        notes: what the user should know.
        threshold: with two classes, the probability from which the second one is predicted.
        title: what was trained on what, in words.
    """

    folder: Path
    status: str
    reason: str
    epochs: int
    steps: int
    seconds: float
    samples_per_second: float
    best: dict[str, Any] | None
    metrics: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    threshold: float = 0.5
    title: str = ""


def train(
    config: Config,
    folder: Path,
    sinks: Sequence[Sink] = (),
    signals: Signals | None = None,
    *,
    test: bool = True,
    stop: Stop = never,
) -> Result:
    """Train a new run in `folder`, which is there, empty but for its lock, and locked by the caller.

    Args:
        config: checked.
        folder: of the run.
        sinks: watchers beside metrics.jsonl.
        signals: asked before each step.
        test: whether to look at the test set at the end; a sweep does so for its winner alone.
        stop: asked before each step for one more reason to end.

    Raises:
        ConfigError, DataError, OutOfMemoryError: the words do not fit the data, the data is bad, or it does not fit in
            memory; nothing was written.
        NnkitError: the run failed after it had begun; run.json and run.log say why.
    """
    with worded_out_of_memory(config):
        prepared = prepare(config)
        report = examine(prepared.source, prepared.splits, prepared.preprocess)
    return train_prepared(prepared, folder, sinks, signals, test=test, stop=stop, report=report)


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

    Raises: as `train`.
    """
    started = now()
    with worded_out_of_memory(prepared.config):
        run = assemble(prepared, folder / CHECKPOINTS)
    facts = {"status": "running", "started": started, **facts_of(run, prepared)}
    files = {CONFIG: config_bytes(prepared.config), PREPROCESS: json_bytes(prepared.preprocess.to_plain())}
    if report is not None:
        files[DATA] = json_bytes(report.to_plain())
    write_files(folder, {**files, RUN: run_bytes(facts)})
    state = TrainState(_planned_steps(run), sums=run.metrics.zero(run.device))
    job = _Job(folder, prepared, run, state, facts, test=test, report=report, known=dict(known or {}))
    return _go(job, sinks, stop_when(prepared.config.trainer, signals, also=stop))


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
) -> Result:
    """Go on with the run in `folder`, which is locked by the caller, as if it had never stopped.

    Args:
        config: the run's own, perhaps with settings that may change.
        folder: of the run.
        sinks: watchers beside metrics.jsonl.
        signals: asked before each step.
        changes: what differs from the run's own config, for the record.
        test: whether to look at the test set at the end.
        stop: asked before each step for one more reason to end.
        known: metrics that stand beside the run's own: those of its folds.

    Raises:
        CheckpointError: there is nothing to go on from.
        DataError: the data is not what it was.
        NnkitError: the run failed.
    """
    facts = read_run(folder)
    _, weights, plain, skipped = checkpoints.newest(folder / CHECKPOINTS)
    with worded_out_of_memory(config):
        prepared = prepare(config)
        run = assemble(prepared, folder / CHECKPOINTS)
    if not prepared.source.is_of(facts):
        raise DataError(f"the data of {folder} has changed since the run started", hint="nnkit train starts a new run")
    try:
        state = run.load_plain(weights, plain)
    except (LookupError, RuntimeError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise CheckpointError(f"the checkpoint of {folder} does not fit its config: {error}") from error
    run.checkpoints.resumed(state.step, None if state.best is None else state.best.step)
    notes = [f"skipped a damaged checkpoint: {text}" for text in skipped]
    notes += [f"{key} is now {value}" for key, value in (changes or {}).items()]
    planned = _planned_steps(run)
    if planned > state.total_steps and run.scheduler.kind not in ("none", "plateau"):
        notes.append(
            f"the {run.scheduler.kind} schedule was planned for {state.total_steps} steps; its last rate stays"
        )
    write_config(folder, prepared.config)
    begun = {key: value for key, value in facts.items() if key not in OF_THE_END}
    history = [*facts.get("resumed", []), {"step": state.step, "changes": dict(changes or {})}]
    facts = {**begun, "status": "running", **facts_of(run, prepared), "resumed": history}
    write_run(folder, facts)
    ends = stop_when(prepared.config.trainer, signals, seconds_before=state.seconds, also=stop)
    job = _Job(folder, prepared, run, state, facts, tuple(notes), test=test, known=dict(known or {}))
    return _go(job, sinks, ends)


@final
@dataclass(frozen=True, slots=True)
class _Job:
    """One run on its way."""

    folder: Path
    prepared: Prepared
    run: Run
    state: TrainState
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()
    test: bool = True
    report: Report | None = None  # of the data; only of a new run
    known: dict[str, float] = field(default_factory=dict)  # metrics of its folds


def _go(job: _Job, sinks: Sequence[Sink], stop: Stop) -> Result:
    log = RunLog(job.folder)
    sinks = [JsonLines(), *sinks]
    status = "failed"
    try:
        log.note(f"nnkit {nnkit.__version__}, torch {torch.__version__}, from step {job.state.step}")
        for note in (*job.notes, *(f"warning: {text}" for _, text in (job.report.warnings if job.report else ()))):
            log.note(note)
        info = _info(job)
        for note in info.notes:
            log.note(note)
        for sink in sinks:
            sink.start(info)
        with worded_out_of_memory(job.prepared.config):
            result = _finish(job, sinks, _trained(job, sinks, stop))
        status = result.status
        write_run(job.folder, {**job.facts, **outcome_of(result)})
        log.note(f"{status} ({result.reason}) after {result.epochs} epochs, {result.steps} steps: {result.metrics}")
        return result
    except BaseException as error:
        log.note(traceback.format_exc())
        status = "failed" if isinstance(error, Exception) else "interrupted"
        write_run(job.folder, {**job.facts, "status": status, "error": str(error) or type(error).__name__})
        raise
    finally:
        for sink in sinks:
            sink.close(status)
        log.close()


def _trained(job: _Job, sinks: Sequence[Sink], stop: Stop) -> str:
    """Train, and return why it ended; a network without parameters has nothing to learn, and is saved as it is."""
    if job.run.parameters.names:
        return fit(job.run, job.state, sinks, stop)
    save(job.run, job.state, sinks)
    return "nothing_to_learn"


def _finish(job: _Job, sinks: Sequence[Sink], reason: str) -> Result:
    """Look at the test set, once, with the best weights; an interrupted run leaves it alone."""
    run, state = job.run, job.state
    if state.best is None and reason != "signal":
        write_record(state, sinks, note_score(run, state, evaluate(run, run.val)))
        run.checkpoints.point_best()
        if state.best is None:
            raise DivergenceError(f"{run.monitor} was never finite", hint="try a smaller optimizer.lr")
    status = STATUS_OF_REASON.get(reason, "completed")
    metrics: dict[str, float] = {}
    notes = [*job.notes]
    threshold = untuned_threshold(job.prepared.config)
    if reason != "signal":
        run.load_validated(best_weights(run, job.folder))
        threshold = decision_threshold(run, job.prepared.config)
        run.metrics = metrics_of(job.prepared.config, job.prepared.preprocess, threshold)
        metrics = _measured(run, job.prepared, "train") | _measured(run, job.prepared, "val")
        if job.test and len(job.prepared.splits.test):
            metrics |= _test_metrics(run, job.prepared)
            notes += baseline_notes(job.prepared)
        notes = [*notes, *([told] if (told := gradients.warning(run)) else [])]
        if not all(math.isfinite(value) for value in metrics.values()):
            raise DivergenceError(f"a final metric is not finite: {metrics}", hint="try a smaller optimizer.lr")
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


def _measured(run: Run, prepared: Prepared, part: Literal["train", "val", "test"]) -> dict[str, float]:
    batches = measured(run.train.samples, prepared.config) if part == "train" else getattr(run, part)
    return {f"{part}/{key}": value for key, value in evaluate(run, batches).items()}


def _test_metrics(run: Run, prepared: Prepared) -> dict[str, float]:
    known_nothing = {f"baseline/{key}": value for key, value in baseline(run, prepared).items()}
    return _measured(run, prepared, "test") | known_nothing


def look_at_test(config: Config, folder: Path) -> dict[str, float]:
    """Return the test metrics of a finished run that has not looked at its test set, and add them to its run.json.

    Args:
        config: the run's own.
        folder: of the run.

    Raises:
        CheckpointError: its best weights are missing or damaged.
    """
    prepared = prepare(config)
    run = assemble(prepared, None)
    run.load_validated(best_weights(run, folder))
    facts = read_run(folder)
    run.metrics = metrics_of(prepared.config, prepared.preprocess, facts.get("decision_threshold"))
    metrics = _test_metrics(run, prepared) if len(prepared.splits.test) else {}
    write_run(folder, {**facts, "metrics": {**facts["metrics"], **metrics}})
    return metrics


def best_weights(run: Run, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the best validation, from memory or from disk. Raises: CheckpointError."""
    if run.checkpoints.best_weights is not None:
        return run.checkpoints.best_weights
    return checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "best"))


def outcome_of(result: Result) -> dict[str, Any]:
    """Return what run.json says of how a run ended."""
    return {
        "status": result.status,
        "reason": result.reason,
        "ended": now(),
        "epochs": result.epochs,
        "steps": result.steps,
        "seconds": round(result.seconds, 6),
        "samples_per_second": round(result.samples_per_second, 1),
        "best": result.best,
        "metrics": result.metrics,
        "decision_threshold": result.threshold,
    }


def _info(job: _Job) -> RunInfo:
    trainer, state = job.run.trainer, job.state
    title = title_of(job.prepared.config)
    picks = (
        f"{count_parameters(job.run.model):,} parameters, loss {job.prepared.config.loss.kind}, "
        f"watching {job.run.monitor}, {trainer.device} in {trainer.precision} with {trainer.threads} thread(s)"
    )
    return RunInfo(
        folder=job.folder,
        title=title,
        max_epochs=trainer.max_epochs,
        steps_per_epoch=len(job.run.train),
        monitor=job.run.monitor,
        picks=picks,
        epoch=state.epoch,
        records=state.records,
        notes=tuple(told_before(job.run, job.prepared, job.state.step)),
        report=job.report,
    )


def _planned_steps(run: Run) -> int:
    by_epochs = run.trainer.max_epochs * len(run.train)
    return by_epochs if run.trainer.max_steps is None else min(run.trainer.max_steps, by_epochs)
