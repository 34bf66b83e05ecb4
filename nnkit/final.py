"""How a run ended, and what its network is worth: the metrics of its parts, with the best weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, final

import torch

from nnkit.assemble import Prepared, assemble, measured, prepare
from nnkit.baseline import baseline
from nnkit.config.schema import Config
from nnkit.errors import DivergenceError
from nnkit.facts import now
from nnkit.runs import CHECKPOINTS, read_run, write_run
from nnkit.scoring import metrics_of
from nnkit.train import checkpoints
from nnkit.train.device import worded_while_measuring
from nnkit.train.loop import evaluate
from nnkit.train.run import Run

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
    "hint",
    "exit_code",
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
        untold: trackers with which something went wrong.
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
    untold: frozenset[str] = frozenset()


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


def metrics_of_part(run: Run, prepared: Prepared, part: Literal["train", "val", "test"]) -> dict[str, float]:
    """Return loss and metrics of a part, as PART/NAME, with the weights that the network has."""
    batches = measured(run.train.samples, prepared.config) if part == "train" else getattr(run, part)
    return {f"{part}/{key}": value for key, value in evaluate(run, batches).items()}


def metrics_of_test(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return loss and metrics of the test part, beside what knowing nothing is worth there."""
    with worded_while_measuring(run.test):
        known_nothing = {f"baseline/{key}": value for key, value in baseline(run, prepared).items()}
    return metrics_of_part(run, prepared, "test") | known_nothing


def finite_ones(metrics: Mapping[str, float]) -> tuple[dict[str, float], list[str]]:
    """Return the final metrics that are numbers, and what is to be said of others: that costs no finished training.

    Raises:
        DivergenceError: a loss is none.
    """
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    if any(name.endswith("/loss") for name in bad):
        told = ", ".join(f"{name} is {value}" for name, value in bad.items())
        raise DivergenceError(f"a final metric is not finite: {told}", hint="try a smaller optimizer.lr")
    notes = [f"{name} is {value}: it is left out of the metrics" for name, value in bad.items()]
    return {name: value for name, value in metrics.items() if name not in bad}, notes


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
    metrics = finite_ones(metrics_of_test(run, prepared))[0] if len(prepared.splits.test) else {}
    write_run(folder, {**facts, "metrics": {**facts["metrics"], **metrics}})
    return metrics


def best_weights(run: Run, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the best validation, from memory or from disk. Raises: CheckpointError."""
    if run.checkpoints.best_weights is not None:
        return run.checkpoints.best_weights
    return checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "best"))
