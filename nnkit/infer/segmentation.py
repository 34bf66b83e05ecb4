"""What masks are worth."""

# N pictures, B of a batch, C classes, H height, W width, R resamples

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.data.batches import Batch
from nnkit.data.source import Rows, Source, numbers_of
from nnkit.infer.answers import Answers
from nnkit.infer.bootstrap import Statistics, intervals_of
from nnkit.infer.evaluation import Evaluation, Masked
from nnkit.infer.finished import Finished
from nnkit.infer.own import not_measured, own_value, with_own
from nnkit.infer.pixels import mean_logits
from nnkit.infer.terms import Floats, mean_of_defined, ratio
from nnkit.metrics.segmentation import confusions
from nnkit.metrics.sums import sums_dtype
from nnkit.objective.predictions import predicted_classes
from nnkit.scoring import metrics_of


@torch.no_grad()
def evaluate_masks(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Measure a run on the masks of rows of a source, measured as in training; of an ensemble, or views, by a mean."""
    found, predicted = [], []
    is_mean = len(run.looks) > 1
    classes = run.spec.num_classes
    metrics = metrics_of(run.config, run.preprocess)
    sums = metrics.zero(run.arithmetic.device)
    for batch, outputs in _answered(run, source, rows):
        masks = predicted_classes(outputs)
        found.append(confusions(batch.target, masks, batch.weight, classes, sums_dtype(masks.device)).cpu().numpy())
        predicted.append(masks.byte().cpu().numpy())
        if isinstance(run.config.metric, CodeMetricConfig) and not is_mean:
            metrics.add(sums, outputs, batch.target, batch.weight)
    own = {} if is_mean else own_value(run, metrics.compute(sums))
    of_each = np.concatenate(found).astype(np.float64)
    statistics = mask_statistics(of_each)
    names = tuple(source.names[row] for row in rows) if source.names else ()
    return Evaluation(
        numbers_of(source, rows),
        with_own(_measures(of_each, statistics, run.spec.target.classes), own),
        intervals_of(statistics, np.arange(len(of_each)), seed=run.config.seed) if len(of_each) > 1 else {},
        source.row_target[rows],
        Answers(np.concatenate(predicted), None),
        masked=Masked(of_each, source.inputs[0][rows], names),
        notes=not_measured(run),
    )


def _answered(run: Finished, source: Source, rows: Rows) -> Iterator[tuple[Batch, Tensor]]:
    for parts in zip(*(one.answered(one.samples(source, rows)) for one in run.looks), strict=True):
        yield parts[0][0], mean_logits([outputs for _, outputs in parts])


def overlaps(confusion: Floats) -> Floats:
    """Return the intersection over union of each class (…, C), from (…, C, C); nan where a class is nowhere."""
    right = confusion.diagonal(axis1=-2, axis2=-1)
    return ratio(right, confusion.sum(-1) + confusion.sum(-2) - right)


def mask_statistics(of_each: Floats) -> Statistics:
    """Return the function from counts (R, N) to measures (R,) of masks, as the metrics of the training define them.

    Args:
        of_each: (N, C, C) the weight of each (true class, predicted class) in each picture.
    """
    pictures, size = len(of_each), of_each.shape[1]
    of_pictures = mean_of_defined(overlaps(of_each)[:, 1:])
    known = ~np.isnan(of_pictures)
    columns = np.concatenate(
        [of_each.reshape(pictures, -1), np.stack([np.where(known, of_pictures, 0), known], 1)], 1
    )  # (N, C * C + 2)

    def of(counts: Floats) -> dict[str, Floats]:
        added = counts @ columns
        confusion, (total, number) = added[:, :-2].reshape(-1, size, size), added[:, -2:].T
        iou = overlaps(confusion)
        return {
            "mean_iou": _or_one(mean_of_defined(iou)),
            "mean_dice": _or_one(mean_of_defined(2 * iou / (1 + iou))),
            "foreground_iou": _or_one(mean_of_defined(iou[:, 1:])),
            "picture_iou": _or_one(ratio(total, number)),
            "pixel_accuracy": ratio(np.trace(confusion, axis1=1, axis2=2), confusion.sum((1, 2))),
        }

    return of


def _or_one(values: Floats) -> Floats:
    """Return values with 1 where there was nothing to be found, and nothing was."""
    return np.where(np.isnan(values), 1.0, values)


def _measures(of_each: Floats, statistics: Statistics, classes: Sequence[str]) -> dict[str, Any]:
    confusion = of_each.sum(0)
    right, true, guessed = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    iou = overlaps(confusion)
    columns = {
        "iou": iou,
        "dice": ratio(2 * right, true + guessed),
        "precision": ratio(right, guessed),
        "recall": ratio(right, true),
    }
    per_class = {
        name: {
            **{key: None if np.isnan(values[k]) else float(values[k]) for key, values in columns.items()},
            "support": int(true[k]),
        }
        for k, name in enumerate(classes)
    }
    whole = statistics(np.ones((1, len(of_each))))
    values = {name: None if np.isnan(value[0]) else float(value[0]) for name, value in whole.items()}
    return {**values, "per_class": per_class, "confusion": confusion.astype(np.int64).tolist()}
