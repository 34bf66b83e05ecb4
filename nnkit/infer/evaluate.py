"""`nnkit eval`: what a finished run is worth on rows with labels."""

# N rows, M steps of all rows

from __future__ import annotations

from typing import Any

from torch import Tensor

from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.data.batches import Samples, spans
from nnkit.data.ragged import Ragged
from nnkit.data.sequences import Sequences
from nnkit.data.source import Array, Rows, Source, class_numbers, numbers_of
from nnkit.infer import measures
from nnkit.infer.answers import Answers, answers, answers_of
from nnkit.infer.bootstrap import intervals
from nnkit.infer.evaluation import Evaluation
from nnkit.infer.finished import Finished
from nnkit.infer.forecasts import evaluate_forecast
from nnkit.infer.language import evaluate_language
from nnkit.infer.own import not_measured, own_value, with_own
from nnkit.infer.segmentation import evaluate_masks
from nnkit.scoring import metrics_of

__all__ = ["Evaluation", "evaluate", "predicted"]


def evaluate(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Measure a run on rows of a source, with the weights of the rows where there are such.

    Args:
        run: opened.
        source: with the classes, or the labels, of the run.
        rows: at least one.

    Raises:
        DataError: a cell is missing where none may.
    """
    if run.spec.task == "language":
        return evaluate_language(run, source, rows)
    if run.spec.task == "forecast":
        return evaluate_forecast(run, source, rows)
    if run.spec.is_per_pixel:
        return evaluate_masks(run, source, rows)
    found, own = _answered(run, source, rows)
    target, lengths = _truth(source, rows)
    weight = None if source.weight is None else source.weight[rows]
    if lengths is not None:
        weight = None if weight is None else weight.repeat(lengths)
    bounds = intervals(
        run.spec.task,
        target,
        found.scores,
        found.predicted,
        seed=run.config.seed,
        weight=weight,
        group=None if lengths is None else rows.repeat(lengths),
    )
    table, words = run.preprocess.table, run.preprocess.sequences
    given = source.inputs[0]
    return Evaluation(
        numbers_of(source, rows),
        with_own(_measured(run, target, found, weight), own),
        bounds,
        target,
        found,
        unseen=table.unseen(given[rows]) if table is not None else {},
        lengths=lengths,
        unknown=words.unknown(given[rows]) if words is not None else {},
        tokens=int(given.lengths[rows].sum()) if words is not None else 0,
        notes=not_measured(run),
    )


def _answered(run: Finished, source: Source, rows: Rows) -> tuple[Answers, dict[str, float | None]]:
    """Return the answers, and the metric of the user's own; a mean of answers, of networks or of views, has none."""
    if len(run.looks) > 1:
        return answers_of(run, source, rows), {}
    samples = run.samples(source, rows)
    outputs = run.outputs_of(samples)
    return answers(run, outputs), _own(run, outputs, samples)


def predicted(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Return what a run says of rows of a source, beside the truth; nothing is measured but a forecast.

    Args:
        run: opened; not of a language.
        source: with the classes, or the labels, of the run.
        rows: at least one.

    Raises:
        DataError: a cell is missing where none may.
    """
    if run.spec.task == "forecast":
        return evaluate_forecast(run, source, rows)
    if run.spec.is_per_pixel:
        return evaluate_masks(run, source, rows)
    found = answers_of(run, source, rows)
    target, lengths = _truth(source, rows)
    return Evaluation(numbers_of(source, rows), {}, {}, target, found, lengths=lengths)


def _truth(source: Source, rows: Rows) -> tuple[Array, Rows | None]:
    """Return the target of rows (N, …), or of all their steps (M,) and then the steps of each row (N,)."""
    lengths = source.target.lengths[rows] if isinstance(source.target, Sequences) else None
    return class_numbers(source.target, rows), lengths


def _own(run: Finished, outputs: Tensor, samples: Samples) -> dict[str, float | None]:
    """Return the metric of the user's own, by its name, from outputs in order; none where the run has none."""
    if not isinstance(run.config.metric, CodeMetricConfig):
        return {}
    metrics = metrics_of(run.config, run.preprocess, run.threshold)
    sums = metrics.zero(outputs.device)
    weight = samples.weight.cpu()
    if isinstance(samples.target, Ragged):
        target, weight = samples.target.flat().cpu(), weight.repeat_interleave(samples.target.lengths)
    else:
        target = samples.target.cpu()
    for start, stop in spans(len(outputs), run.config.batching.eval_batch_size):
        metrics.add(sums, outputs[start:stop], target[start:stop], weight[start:stop])
    return own_value(run, metrics.compute(sums))


def _measured(run: Finished, target: Any, found: Answers, weight: Any) -> dict[str, Any]:
    names = run.spec.target
    if run.spec.task == "multilabel":
        return measures.multilabel(target, found.probabilities, found.predicted, names.names, weight)
    if run.spec.task == "regression":
        return measures.regression(target, found.predicted, names.names, weight)
    return measures.classification(target, found.probabilities, found.predicted, names.classes, weight)
