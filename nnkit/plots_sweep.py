"""Pictures of a sweep, as the bytes of a PNG file: how the best score came about, and the score by each setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from nnkit.plots import BLUE, GREY, ORANGE, panels, png_of

MOST_SLICES = 9
MOST_NAMED = 12  # values of a setting whose names are shown whole
LONGEST = 16
DOTS: dict[str, Any] = {"marker": "o", "linestyle": "", "color": BLUE, "markersize": 4, "alpha": 0.6}


def best_so_far(scores: Sequence[float | None], mode: str, name: str, title: str) -> bytes:
    """Draw each trial's score, and the best one up to it.

    Args:
        scores: in the order of the trials; None for one that has no score.
        mode: whether the "max" or the "min" is better.
        name: of the score.
        title: of the picture.
    """
    places = [place for place, score in enumerate(scores) if score is not None]
    values = np.array([score for score in scores if score is not None])
    best = np.maximum.accumulate(values) if mode == "max" else np.minimum.accumulate(values)
    figure, (axis,) = panels(1, 1, title, size=(6.4, 4.0))
    axis.plot(places, values, "o", color=GREY, markersize=4, label="a trial")
    axis.step(places, best, where="post", color=BLUE, label="the best so far")
    failed = [place for place, score in enumerate(scores) if score is None]
    if failed:
        axis.plot(failed, [values.min()] * len(failed), "x", color=ORANGE, label="no score")
    axis.set(xlabel="trial", ylabel=name)
    axis.legend()
    return png_of(figure)


def slices(
    columns: Mapping[str, Sequence[str]], is_log: Mapping[str, bool], scores: Sequence[float], name: str, title: str
) -> bytes:
    """Draw the score by each swept setting, at most MOST_SLICES of them.

    Args:
        columns: by setting, its value in each of the N trials, as written; empty where the trial does not read it.
        is_log: by setting that is a number of an interval, whether its axis is logarithmic; others are names.
        scores: of the N trials.
        name: of the score.
        title: of the picture.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    shown = list(columns)[:MOST_SLICES]
    across = min(3, len(shown))
    figure, axes = panels(-(-len(shown) // across), across, title, size=(4.0, 3.2))
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    for axis, key in zip(axes, shown, strict=False):
        pairs = [(value, score) for value, score in zip(columns[key], scores, strict=True) if value]
        heights = [score for _, score in pairs]
        names = _ordered(value for value, _ in pairs)
        if key in is_log:
            axis.plot([float(value) for value, _ in pairs], heights, **DOTS)
        else:
            axis.plot([names.index(value) for value, _ in pairs], heights, **DOTS)
            axis.set_xticks(range(len(names))[:MOST_NAMED], [_short(value) for value in names[:MOST_NAMED]])
            axis.tick_params(axis="x", rotation=30 if len(names) > 3 else 0)
            axis.set_xlim(-0.5, max(len(names) - 0.5, 0.5))
        if is_log.get(key):
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set(xlabel=key, ylabel=name)
    return png_of(figure)


def _ordered(values: Iterable[str]) -> list[str]:
    """Return distinct values, numbers by their size, names as they come."""
    names = list(dict.fromkeys(values))
    try:
        return sorted(names, key=float)
    except ValueError:
        return names


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
