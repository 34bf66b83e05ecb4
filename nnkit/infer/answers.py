"""From a network's outputs to answers in the user's terms: class names, labels, values in their own units."""

# N rows or steps, C classes, L labels, K target columns or channels, H horizon

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from torch import Tensor

from nnkit.data.source import Rows, Source
from nnkit.errors import ConfigError
from nnkit.infer.finished import Finished
from nnkit.infer.pixels import masks_to
from nnkit.objective.predictions import (
    label_probabilities,
    predicted_classes,
    predicted_labels,
    predicted_values,
    probabilities,
)

if TYPE_CHECKING:
    import pyarrow as pa

PREDICTION, PROBABILITY = "prediction", "probability"


@final
@dataclass(frozen=True, slots=True)
class Answers:
    """What the network says of N rows.

    Attributes:
        predicted: class numbers (N,) int64, labels (N, L) of 0 and 1, or values (N, K) float64 in the target's units;
            of a forecast (N, H, K). Where each step has an answer, N are the steps of all rows, row after row; where
            each pixel has one, (N, H, W) uint8 class numbers.
        probabilities: (N, C) or (N, L) float32; of a language (N,), of the tokens that came; None for values.
    """

    predicted: Any
    probabilities: Any

    @property
    def scores(self) -> Any:
        """What errors are measured on: the probabilities, or the values."""
        return self.predicted if self.probabilities is None else self.probabilities


def answers(run: Finished, outputs: Tensor) -> Answers:
    """Return what a run's outputs (N, …) mean."""
    task = run.spec.task
    if task in ("classification", "tagging"):
        predicted = predicted_classes(outputs, threshold=run.threshold)
        return Answers(predicted.numpy(), probabilities(outputs).numpy())
    if task == "multilabel":
        return Answers(predicted_labels(outputs).numpy(), label_probabilities(outputs).numpy())
    values = predicted_values(outputs, log_rate=run.config.loss.kind == "poisson")
    scale = run.preprocess.target
    if task == "forecast":
        values = values.unflatten(1, (-1, len(run.spec.target.names)))  # type: ignore[no-untyped-call]  # (N, H, K)
    return Answers((values.double() if scale is None else scale.undo(values)).numpy(), None)


def answers_to(run: Finished, inputs: Sequence[Any]) -> Answers:
    """Return the answers to rows as they were read; of an ensemble the mean of its members', each encoding for itself.

    With several views it is the mean over them, too.

    Args:
        run: opened.
        inputs: N rows: an encoder's array or the like.
    """
    if run.spec.is_per_pixel:
        return Answers(masks_to(run, inputs), None)
    each = [answers(one, one.outputs(one.batches(inputs))) for one in run.looks]
    return _mean(run, each) if len(each) > 1 else each[0]


def answers_of(run: Finished, source: Source, rows: Rows) -> Answers:
    """Return the answers to rows of a source, measured as in training; of an ensemble as `answers_to` does."""
    each = [answers(one, one.outputs_of(one.samples(source, rows))) for one in run.looks]
    return _mean(run, each) if len(each) > 1 else each[0]


def _mean(run: Finished, each: Sequence[Answers]) -> Answers:
    """Return the mean of probabilities or values, and what follows from it."""
    mean = np.mean([one.scores for one in each], axis=0)
    if run.spec.task == "regression":
        return Answers(mean, None)
    if run.spec.task == "multilabel":
        return Answers((mean > 0.5).astype(np.int64), mean)
    if run.spec.num_classes == 2:
        return Answers((mean[:, 1] > run.threshold).astype(np.int64), mean)
    return Answers(mean.argmax(1), mean)


def check_has_probabilities(run: Finished, hint: str) -> None:
    """Refuse a run that predicts values. Raises: ConfigError, with a hint at what to ask for instead."""
    if run.spec.task in ("regression", "forecast"):
        raise ConfigError(f"a {run.spec.task} has no probabilities", hint=hint)
    if run.spec.is_per_pixel:
        raise ConfigError("the probabilities of each pixel fit no table", hint=f"{hint}; nnkit.load has predict_proba")


def answer_columns(run: Finished, found: Answers, *, proba: bool) -> dict[str, pa.Array]:
    """Return the columns of a predictions file.

    `prediction` (for several labels or values, `prediction_<name>`) and, if asked for, `probability_<class or label>`.
    """
    columns = columns_of(run, PREDICTION, found.predicted)
    if proba and run.spec.task == "language":
        import pyarrow as pa

        return columns | {PROBABILITY: pa.array(found.probabilities)}
    if proba and found.probabilities is not None:
        names = run.spec.target.classes or run.spec.target.names
        columns |= _numbered(PROBABILITY, names, found.probabilities)
    return columns


def columns_of(run: Finished, title: str, values: Any) -> dict[str, pa.Array]:
    """Return class numbers (N,) as names under a title, or labels or values (N, K): of several, `<title>_<name>`.

    Of a forecast (N, H, K) they are those of all steps ahead, window after window, (N * H,) a channel.
    """
    import pyarrow as pa

    target = run.spec.target
    if run.spec.num_classes:
        numbers = pa.array(values.astype(np.int32))
        return {title: pa.DictionaryArray.from_arrays(numbers, pa.array(target.classes)).cast(pa.string())}
    if len(target.names) == 1 and run.spec.task == "regression":
        return {title: pa.array(values[:, 0])}
    return _numbered(title, target.names, values.reshape(-1, len(target.names)))


def _numbered(title: str, names: Sequence[str], values: Any) -> dict[str, pa.Array]:
    import pyarrow as pa

    return {f"{title}_{name}": pa.array(values[:, k]) for k, name in enumerate(names)}
