"""What a finished run is worth: its parts, measured with the best weights."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from nnkit.assemble import Prepared, assemble, measured, prepare
from nnkit.baseline import baseline
from nnkit.config.schema import Config
from nnkit.runs import CHECKPOINTS, read_run, write_run
from nnkit.scoring import metrics_of
from nnkit.train import checkpoints
from nnkit.train.loop import evaluate
from nnkit.train.run import Run


def metrics_of_part(run: Run, prepared: Prepared, part: Literal["train", "val", "test"]) -> dict[str, float]:
    """Return PART/NAME of every metric over a part, with the weights that the network has."""
    batches = measured(run.train.samples, prepared.config) if part == "train" else getattr(run, part)
    return {f"{part}/{key}": value for key, value in evaluate(run, batches).items()}


def test_metrics(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return the metrics over the test part, beside those of knowing nothing."""
    known_nothing = {f"baseline/{key}": value for key, value in baseline(run, prepared).items()}
    return metrics_of_part(run, prepared, "test") | known_nothing


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
    metrics = test_metrics(run, prepared) if len(prepared.splits.test) else {}
    write_run(folder, {**facts, "metrics": {**facts["metrics"], **metrics}})
    return metrics


def best_weights(run: Run, folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of the best validation, from memory or from disk. Raises: CheckpointError."""
    if run.checkpoints.best_weights is not None:
        return run.checkpoints.best_weights
    return checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "best"))
