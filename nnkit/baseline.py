"""What knowing nothing is worth: the numbers that a trained network has to beat."""

# N samples or windows, C classes, H horizon, K target columns or channels

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from nnkit.assemble import Prepared
from nnkit.config.schema import Config
from nnkit.config.sections.sequences import ForecastConfig
from nnkit.data.batches import Samples
from nnkit.data.preprocess import Preprocess
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source
from nnkit.objective.aligned import aligned
from nnkit.train.run import Run


def baseline(run: Run, prepared: Prepared) -> dict[str, float]:
    """Return the test metrics of knowing nothing.

    That is the most frequent class, token or label of training, its mean, or for a forecast the last value (the last
    season, where data.season tells one) again.
    """
    sums = run.metrics.zero(run.device)
    if prepared.spec.task == "forecast":
        naive = naive_forecast(prepared.config, prepared.preprocess, prepared.source, prepared.splits.test)
        for batch in run.test.epoch(0):
            run.metrics.add(sums, *aligned(naive.outputs(batch.index).to(run.device), batch.target, batch.weight))
        return run.metrics.compute(sums)
    known = _known(run.train.samples, prepared)
    for batch in run.test.epoch(0):
        if prepared.spec.is_per_pixel:
            everywhere = known[:, None, None].expand(len(batch), -1, *batch.target.shape[1:])
            run.metrics.add(sums, everywhere, batch.target, batch.weight)
            continue
        rows = batch.target.shape[:2] if batch.weight.dim() == 2 else batch.target.shape[:1]
        run.metrics.add(sums, *aligned(known.expand(*rows, -1), batch.target, batch.weight))
    return run.metrics.compute(sums)


@final
@dataclass(frozen=True, slots=True)
class NaiveForecast:
    """What a forecast has to beat: values of the past again, for N windows of a series.

    Attributes:
        values: (S, K) float32, of the steps of the series, scaled as a network gives them.
        starts: (N,) the first step ahead of each window.
        back: (H,) how far from there the value lies that is told for each step ahead, all below 0.
        repeats: what comes again: "season" or "value".
        note: why it is not the season, where data.season asks for that; empty where it does not.
    """

    values: Tensor
    starts: Tensor
    back: Tensor
    repeats: str
    note: str = ""

    def outputs(self, index: Tensor) -> Tensor:
        """Return (B, H * K), as a network would give them, for windows by their numbers (B,)."""
        return self.values[self.starts[index.cpu()][:, None] + self.back].flatten(1)


def naive_forecast(config: Config, preprocess: Preprocess, source: Source, rows: Rows) -> NaiveForecast:
    """Return the last season again, where data.season tells one, or the last value, for some windows of a series.

    A season may reach back beyond the window. Where for some of the windows it would reach beyond the beginning of the
    series, or over a gap, all of them have the last value.
    """
    section, ahead = config.data, source.target
    assert isinstance(section, ForecastConfig)
    assert isinstance(ahead, Sequences)
    season, part = section.season, np.zeros(len(ahead), np.int64) if ahead.part_of is None else ahead.part_of
    begins = np.full(int(part.max()) + 1, len(ahead.values))  # of each stretch without a gap
    np.minimum.at(begins, part, source.inputs[0].starts)
    lacking = int(np.count_nonzero(ahead.starts[rows] - season < begins[part[rows]]))
    period = 1 if lacking else season
    values = torch.from_numpy(ahead.values)
    note = ""
    if lacking:
        before = f"{lacking:,} of {len(rows):,} windows have no {season} steps before them (data.season)"
        note = f"the forecast to be beaten is the last value, not the last season: {before}"
    return NaiveForecast(
        values.float() if preprocess.target is None else preprocess.target.apply(values),
        torch.from_numpy(ahead.starts[rows]),
        torch.arange(ahead.longest) % period - period,
        "season" if period > 1 else "value",
        note,
    )


def baseline_notes(prepared: Prepared) -> list[str]:
    """Return what the user should know of the baseline."""
    if prepared.spec.task != "forecast":
        return []
    note = naive_forecast(prepared.config, prepared.preprocess, prepared.source, prepared.splits.test).note
    return [note] if note else []


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
