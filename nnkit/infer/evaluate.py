"""`nnkit eval`: what a finished run is worth on rows with labels."""

# N rows

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor

from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.data.batches import Samples, spans
from nnkit.data.source import Rows, Source
from nnkit.infer import measures
from nnkit.infer.answers import Answers, answers
from nnkit.infer.bootstrap import intervals
from nnkit.infer.finished import Finished
from nnkit.scoring import metrics_of


@final
@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured.

    Attributes:
        rows: (N,) the numbers of the evaluated rows in the files, from 0, of those that have the right length.
        metrics: plain values by name, as scikit-learn defines them; and the run's own metric, where it has one.
        intervals: of 95 % by bootstrap, for the metrics that have one.
        target: (N,) class numbers, or (N, L) or (N, K).
        answers: of the network.
        unseen: cells of categories that training has not, by column.
    """

    rows: Rows
    metrics: Mapping[str, Any]
    intervals: Mapping[str, list[float]]
    target: Any
    answers: Answers
    unseen: Mapping[str, int]

    def to_plain(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {"rows": len(self.rows), "metrics": dict(self.metrics), "intervals": dict(self.intervals)}


def evaluate(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Measure a run on rows of a source, with the weights of the rows where there are such.

    Args:
        run: opened.
        source: with the classes, or the labels, of the run.
        rows: at least one.

    Raises:
        DataError: a cell is missing where none may.
    """
    samples = run.samples(source, rows)
    outputs = run.outputs(run.batches_of(samples))
    found = answers(run, outputs)
    target = source.row_target[rows]
    weight = None if source.weight is None else source.weight[rows]
    bounds = intervals(run.spec.task, target, found.scores, found.predicted, seed=run.config.seed, weight=weight)
    table = run.preprocess.table
    unseen = table.unseen(source.inputs[0][rows]) if table is not None else {}
    metrics = _measured(run, target, found, weight)
    for name, value in _own(run, outputs, samples).items():
        metrics[f"own_{name}" if name in metrics else name] = value
    numbers = rows if source.numbers is None else source.numbers[rows]
    return Evaluation(numbers, metrics, bounds, target, found, unseen)


def _own(run: Finished, outputs: Tensor, samples: Samples) -> dict[str, float | None]:
    """Return the metric of the user's own, by its name, from outputs (N, …); none where the run has none."""
    section = run.config.metric
    if not isinstance(section, CodeMetricConfig):
        return {}
    metrics = metrics_of(run.config, run.preprocess, run.threshold)
    sums = metrics.zero(outputs.device)
    target, weight = samples.target.cpu(), samples.weight.cpu()
    for start, stop in spans(len(outputs), run.config.batching.eval_batch_size):
        metrics.add(sums, outputs[start:stop], target[start:stop], weight[start:stop])
    value = metrics.compute(sums)[section.name]
    return {section.name: value if math.isfinite(value) else None}


def _measured(run: Finished, target: Any, found: Answers, weight: Any) -> dict[str, Any]:
    names = run.spec.target
    if run.spec.task == "classification":
        return measures.classification(target, found.probabilities, found.predicted, names.classes, weight)
    if run.spec.task == "multilabel":
        return measures.multilabel(target, found.probabilities, found.predicted, names.names, weight)
    return measures.regression(target, found.predicted, names.names, weight)
