"""What is measured beside the loss, and from where on the second of two classes is predicted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from nnkit.config.schema import Config
from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.data.preprocess import Preprocess
from nnkit.data.scaling import Scale
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.forecast import ForecastMetrics
from nnkit.metrics.language import LanguageMetrics
from nnkit.metrics.multilabel import MultilabelMetrics
from nnkit.metrics.own import InUnits, WithOwn
from nnkit.metrics.regression import RegressionMetrics
from nnkit.metrics.segmentation import SegmentationMetrics
from nnkit.metrics.threshold import best_threshold
from nnkit.objective.predictions import predicted_classes, predicted_labels, predicted_values, probabilities
from nnkit.train.device import worded_while_measuring
from nnkit.train.loop import outputs_of
from nnkit.train.run import Metrics, Run


def metrics_of(config: Config, preprocess: Preprocess, threshold: float | None = None) -> Metrics:
    """Return what is measured beside the loss.

    Args:
        config: its sections loss and metric.
        preprocess: for the task, and the units of a regression target.
        threshold: with two classes, the probability from which the second one is predicted; None as it is before it
            has been tuned.
    """
    spec = preprocess.spec
    if threshold is None:
        threshold = untuned_threshold(config)
    in_units: InUnits | None = None
    found: Metrics
    if spec.task == "language":
        found = LanguageMetrics()
    elif spec.task in ("classification", "tagging"):
        found = ClassificationMetrics(spec.num_classes, partial(predicted_classes, threshold=threshold))
    elif spec.task == "segmentation":
        found = SegmentationMetrics(spec.num_classes, predicted_classes)
    elif spec.task == "multilabel":
        found = MultilabelMetrics(spec.num_targets, predicted_labels)
    else:
        scale = preprocess.target
        sizes = scale.size if scale is not None else (1.0,) * spec.num_targets
        predict: Callable[[Tensor], Tensor] = partial(predicted_values, log_rate=config.loss.kind == "poisson")
        found = RegressionMetrics(sizes, predict)
        in_units = partial(_in_units, predict=predict, scale=scale)
    if spec.task == "forecast":
        sizes = preprocess.target.size if preprocess.target is not None else (1.0,) * len(spec.target.names)
        found = ForecastMetrics(sizes, partial(predicted_values, log_rate=config.loss.kind == "poisson"))
    own = config.metric
    return WithOwn(found, own.code, own.kwargs, own.name, in_units) if isinstance(own, CodeMetricConfig) else found


def _in_units(
    outputs: Tensor, target: Tensor, *, predict: Callable[[Tensor], Tensor], scale: Scale | None
) -> tuple[Tensor, Tensor]:
    """Return outputs and target of a regression (B, K), or of a forecast (B, h * K), in the target's own units."""
    values = predict(outputs)
    if scale is None:
        return values, target
    given = [x.reshape(len(x), -1, len(scale.size)) for x in (values, target)]
    if values.device.type == "mps":  # it has no float64, in which a scale is undone
        undone = [scale.undo(x.cpu()).float().to(x.device) for x in given]  # pragma: no cover
        return undone[0].flatten(1), undone[1].flatten(1)  # pragma: no cover - needs a Mac
    return scale.undo(given[0]).flatten(1), scale.undo(given[1]).flatten(1)


def untuned_threshold(config: Config) -> float:
    """Return the threshold between two classes before it has been tuned: as wanted, or 0.5 where a metric is named."""
    wanted = config.trainer.decision_threshold
    return 0.5 if isinstance(wanted, str) else wanted


def decision_threshold(run: Run, config: Config) -> float:
    """Return the threshold between two classes: as wanted, or as it is best on validation."""
    wanted = config.trainer.decision_threshold
    if not isinstance(wanted, str):
        return wanted
    with worded_while_measuring(run.val):
        batches, found = zip(*outputs_of(run, run.val), strict=True)
    target, weight = (torch.cat([getattr(batch, name) for batch in batches]) for name in ("target", "weight"))
    return best_threshold(probabilities(torch.cat(found))[:, 1], target, weight, wanted)
