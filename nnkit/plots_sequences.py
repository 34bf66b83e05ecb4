"""Pictures of forecasts, as the bytes of a PNG file, drawn as those of `nnkit.plots` are."""

# N windows, T steps of the past, H horizon, K target channels

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nnkit.infer.terms import Array
from nnkit.plots import BLUE, GREY, LINES, MOST_TARGETS, RED, panels, png_of, shortened

MOST_WINDOWS = 4
PAST_SHOWN = 3  # horizons of the past that are drawn before a forecast, at least LEAST_SHOWN steps
LEAST_SHOWN = 24


def horizon(errors: Mapping[str, Sequence[float | None]], title: str) -> bytes:
    """Draw the RMSE of each step ahead.

    Args:
        errors: (H,) by the name of who forecasts; None where there is none.
        title: of the picture.

    Returns:
        A PNG file.
    """
    from matplotlib.ticker import MaxNLocator

    figure, (axis,) = panels(1, 1, title, size=(6.4, 4))
    for (name, values), (colour, dash) in zip(errors.items(), LINES, strict=False):
        steps = np.arange(1, len(values) + 1)
        marker = "o" if len(values) <= LEAST_SHOWN else ""
        shown = [np.nan if value is None else value for value in values]
        axis.plot(steps, shown, color=colour, linestyle=dash, marker=marker, markersize=3.5, label=name)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="step ahead", ylabel="RMSE", ylim=(0, None))
    axis.legend()
    return png_of(figure)


def spread(num: int) -> Array:
    """Return the numbers of some of N windows, from the first to the last."""
    return np.unique(np.linspace(0, num - 1, min(num, MOST_WINDOWS)).round().astype(np.int64))


def forecasts(past: Sequence[Array], target: Array, predicted: Array, names: Sequence[str], title: str) -> bytes:
    """Draw windows, a row each: the end of the past, what came, and the forecast, for up to four channels.

    Args:
        past: N arrays (T, K).
        target: (N, H, K).
        predicted: (N, H, K).
        names: of the K channels.
        title: of the whole picture.

    Returns:
        A PNG file.
    """
    columns, steps = min(len(names), MOST_TARGETS), target.shape[1]
    figure, axes = panels(len(past), columns, title, size=(5.2 if columns > 1 else 8, 2.4))
    shown = max(LEAST_SHOWN, PAST_SHOWN * steps)
    ahead = np.arange(1, steps + 1)
    for number, window in enumerate(past):
        end = window[-shown:]
        for k in range(columns):
            axis = axes[number * columns + k]
            axis.plot(np.arange(1 - len(end), 1), end[:, k], color=GREY, label="past")
            marker = "o" if steps == 1 else ""
            axis.plot(ahead, target[number, :, k], color=BLUE, marker=marker, label="what came")
            axis.plot(ahead, predicted[number, :, k], color=RED, linestyle="--", marker=marker, label="forecast")
            axis.axvline(0.5, color=GREY, linestyle=":", linewidth=1)
            if number == 0 and len(names) > 1:
                axis.set_title(shortened(names[k]))
    for axis in axes[-columns:]:
        axis.set_xlabel("step ahead")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return png_of(figure)
