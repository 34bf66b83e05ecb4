"""What a forecast is worth: errors in the target's units and in scaled ones, beside those of learning nothing."""

# N windows, H horizon, K target channels, S steps of the series

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from nnkit.baseline import naive_forecast
from nnkit.config.sections.sequences import ForecastConfig
from nnkit.data.ragged import Ragged
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source, numbers_of
from nnkit.infer.answers import answers
from nnkit.infer.evaluation import Evaluation, Windows
from nnkit.infer.finished import Finished, in_sample_order
from nnkit.infer.labelled import training_of
from nnkit.infer.own import own_value, with_own
from nnkit.infer.terms import Array, Floats
from nnkit.objective.aligned import aligned
from nnkit.scoring import metrics_of

NO_TRAINING = "mase needs the run's own training data, which is not there any more"


def evaluate_forecast(run: Finished, source: Source, rows: Rows) -> Evaluation:
    """Measure a forecast on windows of a series.

    Returns:
        Metrics as `measured` has them; those of the naive forecast on the same windows as `baseline`. There are no
        intervals: windows overlap, so that rows drawn one by one would make them too narrow.
    """
    section, ahead = run.config.data, source.target
    assert isinstance(section, ForecastConfig)
    assert isinstance(ahead, Sequences)
    samples = run.samples(source, rows)
    metrics = metrics_of(run.config, run.preprocess, run.threshold)
    sums = metrics.zero(samples.device)
    naive, parts = naive_forecast(run.config, run.preprocess, source, rows), []
    for batch, outputs in run.answered(samples):
        metrics.add(sums, *aligned(outputs, batch.target, batch.weight))
        parts.append((batch.index, outputs.cpu(), naive.outputs(batch.index)))
    found, guess = (answers(run, column) for column in in_sample_order(parts))
    target = Ragged.of(ahead[rows]).padded().double().numpy()
    training = training_of(run, source)
    within = np.full(target.shape[2], np.nan) if training is None else in_sample(*training, section.season)
    scales = _scales(run, within)
    names = run.spec.target.names
    notes = [NO_TRAINING] if training is None else list(notes_on_mase(names, within, section.season))
    naive_errors = _of_all(target, guess.predicted, *scales)
    measures = {
        **measured(target, found.predicted, names, *scales),
        "baseline": {
            "method": f"the last {naive.repeats}",
            **naive_errors,
            "per_horizon": per_horizon(target, guess.predicted, scales[0]),
        },
    }
    past = source.inputs[0][rows]
    numbers = numbers_of(source, rows)
    windows = Windows(past, source.times, source.channels, source.layout)
    own = own_value(run, metrics.compute(sums))
    notes += [naive.note] if naive.note else []
    return Evaluation(numbers, with_own(measures, own), {}, target, found, windows=windows, notes=tuple(notes))


def _scales(run: Finished, within: Floats) -> tuple[Floats, Floats]:
    """Return the units (K,) of the scaled channels, and the in-sample errors (K,), nan where there is none above 0."""
    scale = run.preprocess.target
    sizes = np.ones(len(within)) if scale is None else np.array(scale.size)
    return sizes, np.where(within > 0, within, np.nan)


def notes_on_mase(names: Sequence[str], within: Floats, season: int) -> Iterator[str]:
    """Yield why channels have no mase, by their in-sample errors (K,) as `in_sample` returns them."""
    if np.isnan(within).any():
        yield f"mase needs training steps {season} apart (data.season), and no stretch without a gap is as long"
    if never := [name for name, error in zip(names, within, strict=True) if error == 0]:
        again = "season" if season > 1 else "value"
        yield f"mase leaves out {', '.join(never)}: in training the last {again} again is never wrong"


def in_sample(source: Source, train: Rows, season: int) -> Floats:
    """Return the mean |y_t - y_(t - season)| of each channel (K,) over the training steps; nan where there is no such.

    Training steps are those that training windows cover, targets included. No difference is taken over a gap.

    Source: Hyndman & Koehler 2006, the denominator of MASE.
    """
    past, ahead = source.inputs[0][train], source.target[train]
    assert isinstance(ahead, Sequences)
    values = ahead.values.astype(np.float64)
    stretch = np.zeros(len(ahead), np.int64) if ahead.part_of is None else ahead.part_of
    total, count = np.zeros(values.shape[1]), 0
    for number in np.unique(stretch):
        mine = stretch == number
        first, stop = past.starts[mine].min(), (ahead.starts + ahead.lengths)[mine].max()
        steps = values[first:stop]
        differences = np.abs(steps[season:] - steps[:-season])
        total += differences.sum(0)
        count += len(differences)
    return total / count if count else np.full_like(total, np.nan)


def measured(target: Array, predicted: Array, names: Sequence[str], sizes: Floats, in_sample: Floats) -> dict[str, Any]:
    """Return the measures of a forecast.

    Args:
        target: (N, H, K) in its own units.
        predicted: (N, H, K) likewise.
        names: of the K channels.
        sizes: (K,) what a scaled unit of each channel is in its own units.
        in_sample: (K,) errors of the naive forecast on the training steps; nan where there is none.

    Returns:
        rmse and mae in the channels' own units, scaled_mse and scaled_mae in units of the training's scale, and mase:
        each the mean over the channels (of mase over those that have one), None where it is not finite. `per_horizon`
        has rmse, mae and scaled_mse of each step ahead, by its number from 1; `per_target` all five of each channel.
    """
    columns = [slice(k, k + 1) for k in range(len(names))]
    per_target = {
        name: _of_all(target[..., k], predicted[..., k], sizes[k], in_sample[k])
        for name, k in zip(names, columns, strict=True)
    }
    return {
        **_of_all(target, predicted, sizes, in_sample),
        "per_horizon": per_horizon(target, predicted, sizes),
        "per_target": per_target,
    }


def per_horizon(target: Array, predicted: Array, sizes: Floats) -> dict[str, dict[str, float | None]]:
    """Return rmse, mae and scaled_mse of each step ahead, by its number from 1; for the arguments see `measured`."""
    found = {}
    for h in range(target.shape[1]):
        step = slice(h, h + 1)
        of_step = _of_all(target[:, step], predicted[:, step], sizes, np.full(len(sizes), np.nan))
        found[str(h + 1)] = {name: of_step[name] for name in ("rmse", "mae", "scaled_mse")}
    return found


def _of_all(target: Array, predicted: Array, sizes: Floats, in_sample: Floats) -> dict[str, float | None]:
    """Return the five measures, each the mean over the channels."""
    with np.errstate(over="ignore", invalid="ignore"):
        error = target - predicted
        squared, absolute = np.square(error).mean((0, 1)), np.abs(error).mean((0, 1))  # (K,)
        scaled = absolute / in_sample
        defined = scaled[np.isfinite(scaled)]
        found = {
            "rmse": np.sqrt(squared).mean(),
            "mae": absolute.mean(),
            "mase": defined.mean() if len(defined) else np.nan,
            "scaled_mse": (squared / sizes**2).mean(),
            "scaled_mae": (absolute / sizes).mean(),
        }
    return {name: float(value) if math.isfinite(value) else None for name, value in found.items()}
