"""What knowing nothing is worth: the numbers that a trained network has to beat."""

# N samples or steps, C classes, K target columns

from __future__ import annotations

from typing import Literal

from torch import Tensor

from nnkit.assemble import Prepared
from nnkit.config.schema import Config
from nnkit.config.sections.sequences import ForecastConfig
from nnkit.data.batches import Samples
from nnkit.models.naive import Naive
from nnkit.objective.aligned import aligned
from nnkit.spec import DataSpec
from nnkit.train.run import Run


def baseline(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return the test metrics of knowing nothing.

    That is the most frequent class, token or label of training, its mean, or for a forecast the last value (the last
    season, where data.season tells one) again.
    """
    sums = run.metrics.zero(run.device)
    if prepared.spec.task == "forecast":
        naive = naive_of(prepared.config, prepared.spec).to(run.device)
        for batch in run.test.epoch(0):
            run.metrics.add(sums, *aligned(naive(*batch.inputs), batch.target, batch.weight))
        return run.metrics.compute(sums)
    known = _known(run.train.samples, prepared)
    for batch in run.test.epoch(0):
        rows = batch.target.shape[:2] if batch.weight.dim() == 2 else batch.target.shape[:1]
        run.metrics.add(sums, *aligned(known.expand(*rows, -1), batch.target, batch.weight))
    return run.metrics.compute(sums)


def naive_of(config: Config, spec: DataSpec) -> Naive:
    """Return the forecast to be beaten: the last season again, where data.season tells one, or the last value."""
    section, target = config.data, spec.target
    assert isinstance(section, ForecastConfig)
    fits = section.season <= section.window
    method: Literal["last", "seasonal"] = "seasonal" if section.season > 1 and fits else "last"
    return Naive(target.channels, target.horizon, section.season, method=method)


def _known(train: Samples, prepared: Prepared) -> Tensor:
    """Return the outputs (C,) or (K,) that say what is most frequent, or the mean, whatever the sample."""
    if prepared.spec.num_classes:
        counts = train.class_counts(prepared.spec.num_classes)
        if prepared.num_outputs == 1:
            return counts[1:] - counts[:1]
        return counts.clamp_min(0.5).log()  # logits: a token that never came is half as likely as one that came once
    assert isinstance(train.target, Tensor)
    mean = (train.target * train.weight[:, None]).sum(0) / train.weight.sum()
    if prepared.spec.task == "multilabel":
        return mean - 0.5
    return mean.clamp_min(1e-30).log() if prepared.config.loss.kind == "poisson" else mean
