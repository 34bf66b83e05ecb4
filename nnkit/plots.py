"""Pictures of training and of predictions, as the bytes of a PNG file. Nothing is written, no global state is used.

Names reach the picture as they are: no text is read as a formula, so `$` and `_` are safe.
"""

# N rows, C classes or labels, K target columns

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nnkit.infer.terms import BINS, Array, Floats, calibration_bins

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120
SHARES = (0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1)
# Okabe and Ito 2008: told apart by colour-blind readers too; beyond them the dashes differ.
BLUE, ORANGE, GREEN, PINK, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
LINES = [(colour, dash) for dash in ("-", "--") for colour in (BLUE, RED, GREEN, PINK, ORANGE, SKY)]
GREY = "#666666"
MOST_PANELS, MOST_TARGETS, MOST_CLASS_LINES, MOST_CELLS_WITH_TEXT = 4, 4, 10, 20
LOG_FROM = 50  # the ratio of largest to smallest loss from which a linear axis hides the end of training
MOST_DOTS, FEW_POINTS = 5000, 30
MOST_NAMES = 100
LONGEST_NAME, LONGEST_TITLE = 20, 70

Records = Sequence[Mapping[str, float | None]]


def learning_curves(records: Records, best_epoch: int | None, title: str) -> bytes:
    """Draw the loss, and up to three further metrics that validation has, over the epochs.

    Args:
        records: lines of metrics.jsonl in order; a value may be missing or None.
        best_epoch: marked by a line; None marks nothing.
        title: of the whole picture.

    Returns:
        A PNG file. The loss is on a log scale where it spans more than a factor of 50.
    """
    names = {name.removeprefix("val/"): None for record in records for name in record if name.startswith("val/")}
    shown = ["loss", *(name for name in names if name != "loss")][:MOST_PANELS]
    epochs = [record.get("epoch") for record in records]
    # Several records of one epoch would stand on top of each other, so they go by step.
    key = "epoch" if len(set(epochs)) == len(epochs) else "step"
    best = [record.get(key) for record in records if best_epoch is not None and record.get("epoch") == best_epoch]
    columns = 2 if len(shown) in (2, 4) else len(shown)
    figure, axes = panels(len(shown) // columns, columns, title, size=(4.8, 3.6))
    for axis, name in zip(axes, shown, strict=True):
        _curves(axis, records, key, name)
        if best and best[-1] is not None:
            axis.axvline(best[-1], color=GREY, linestyle=":", label=f"best epoch, {best_epoch}")
    handles, labels = max((axis.get_legend_handles_labels() for axis in axes), key=lambda pair: len(pair[0]))
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return png_of(figure)


def _curves(axis: Axes, records: Records, key: str, name: str) -> None:
    """Draw training and validation of one metric."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    values: list[float] = []
    for part, label, colour in (("train", "training", BLUE), ("val", "validation", RED)):
        pairs = [(record.get(key), record.get(f"{part}/{name}")) for record in records]
        points = [(x, y) for x, y in pairs if x is not None and y is not None]
        values += [y for _, y in points]
        if points:
            marker = "o" if len(points) <= FEW_POINTS else ""
            axis.plot(*zip(*points, strict=True), color=colour, label=label, marker=marker, markersize=3.5)
    if name == "loss" and values and min(values) > 0 and max(values) > LOG_FROM * min(values):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
    places = {record.get(key) for record in records}
    alone = places.pop() if len(places) == 1 else None
    # Around a single point the locator would show parts of an epoch.
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6) if alone is None else FixedLocator([alone]))
    axis.set(xlabel=key, ylabel=name)


def confusion_matrix(confusion: Sequence[Sequence[float]], classes: Sequence[str], title: str) -> bytes:
    """Draw counts of true classes (rows) by predicted classes (columns), coloured by their share of the row.

    Args:
        confusion: (C, C).
        classes: the C names.
        title: of the picture.

    Returns:
        A PNG file. Up to 20 classes each cell shows its count; of very many classes only some are named.
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(confusion, dtype=np.float64)
    size = len(classes)
    total = counts.sum(1, keepdims=True)
    share = counts / np.where(total > 0, total, 1)
    has_text = size <= MOST_CELLS_WITH_TEXT
    side = min(max(3.2, size * (0.5 if has_text else 0.17)), 18)
    figure, (axis,) = panels(1, 1, title, size=(side + 1.9, side + 1.2))
    # The root of the share: rare mistakes are what one looks for, and on a linear scale they are white.
    image = axis.imshow(share, cmap="Blues", norm=PowerNorm(0.5, vmin=0, vmax=1))
    figure.colorbar(image, label="share of the true class", aspect=max(15, side * 3), pad=0.02, ticks=SHARES)
    if has_text:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                ink = "white" if share[row, column] > 0.3 else "black"
                text = _short_number(count)
                axis.text(column, row, text, ha="center", va="center", color=ink, fontsize=8 if size > 5 else 11)
    named = range(0, size, -(-size // MOST_NAMES))
    names = [shortened(classes[number]) for number in named]
    font = 9 if has_text else 6.5
    is_crowded = max(map(len, names)) * 0.65 * font > side * 72 / len(names)  # points; a letter is 0.65 of its height
    axis.set_xticks(named, names, fontsize=font, rotation=90 if is_crowded else 0)
    axis.set_yticks(named, names, fontsize=font)
    axis.set(xlabel="predicted class", ylabel="true class")
    axis.grid(visible=False)
    axis.spines[:].set_visible(True)
    return png_of(figure)


def roc_pr(target: Array, probabilities: Array, names: Sequence[str], title: str) -> bytes:
    """Draw ROC and precision-recall curves of classes, each against the rest, or of labels.

    Args:
        target: class numbers (N,), or labels 0/1 (N, C).
        probabilities: (N, C).
        names: of the C classes or labels.
        title: of the whole picture.

    Returns:
        A PNG file: of two classes the curves of the second; of up to ten classes or labels those of each and their
        mean; of more the mean alone. What never occurs, or always, has no curves.
    """
    target, probabilities = _finite(target, probabilities)
    numbers = [1] if target.ndim == 1 and len(names) == 2 else range(len(names))
    drawn = [number for number in numbers if 0 < np.count_nonzero(_is_true(target, number)) < len(target)]
    lines = len(drawn) if len(drawn) <= MOST_CLASS_LINES else 0
    figure, (roc, pr) = panels(1, 2, title, size=(4.8, 5.2 + 0.1 * lines))  # room for the legends below
    roc.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
    if drawn:
        _class_curves(roc, pr, target, probabilities, {number: shortened(names[number], 16) for number in drawn})
    else:
        text = "only one class occurs" if target.ndim == 1 else "each label always occurs, or never"
        for axis in (roc, pr):
            axis.text(0.5, 0.5, text, ha="center", va="center", color=GREY)
    roc.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC")
    pr.set(xlabel="recall", ylabel="precision", title="precision-recall")
    for axis in (roc, pr):
        axis.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    return png_of(figure)


def _is_true(target: Array, number: int) -> Array:
    """Return in which rows (N,) a class or a label occurs, from class numbers (N,) or labels (N, C)."""
    return target == number if target.ndim == 1 else target[:, number] > 0


def _class_curves(roc: Axes, pr: Axes, target: Array, probabilities: Array, names: Mapping[int, str]) -> None:
    """Draw the curves of the named classes or labels, and their mean where there are several."""
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    grid = np.linspace(0, 1, 501)
    rates, precisions, areas, averages = [], [], [], []
    for (number, name), (colour, dash) in zip(names.items(), itertools.cycle(LINES), strict=False):
        is_true, score = _is_true(target, number), probabilities[:, number]
        x, y, _ = roc_curve(is_true, score)
        precision, recall, _ = precision_recall_curve(is_true, score, drop_intermediate=True)
        areas.append(auc(x, y))
        averages.append(average_precision_score(is_true, score))
        rates.append(np.interp(grid, x, y))
        precisions.append(np.interp(grid, recall[::-1], precision[::-1]))
        if len(names) <= MOST_CLASS_LINES:
            style: dict[str, Any] = {"color": colour, "linestyle": dash}
            roc.plot(x, y, label=f"{areas[-1]:.3f}  {name}", **style)
            pr.step(recall, precision, label=f"{averages[-1]:.3f}  {name}", where="post", **style)
    if len(names) > 1:
        style = {"color": "black", "linewidth": 2.2}
        mean = f"mean of {len(names)} {'classes' if target.ndim == 1 else 'labels'}"
        roc.plot(grid, np.mean(rates, 0), label=f"{np.mean(areas):.3f}  {mean}", **style)
        pr.plot(grid, np.mean(precisions, 0), label=f"{np.mean(averages):.3f}  {mean}", **style)
    else:
        pr.axhline(float(_is_true(target, min(names)).mean()), color=GREY, linestyle=":", linewidth=1)
    # A label that began with a name's "_" would be left out of the legend, so the number comes first.
    for axis, heading in ((roc, "area under the curve"), (pr, "average precision")):
        place: dict[str, Any] = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 2}
        axis.legend(title=heading, fontsize=8.5, **place)


def calibration(target: Array, probabilities: Array, title: str) -> bytes:
    """Draw how often the net is right against how sure it is, and how many rows are how sure.

    Args:
        target: class numbers (N,).
        probabilities: (N, C).
        title: of the whole picture.

    Returns:
        A PNG file.
    """
    from matplotlib.ticker import MaxNLocator

    target, probabilities = _finite(target, probabilities)
    bins = calibration_bins(target, probabilities.astype(np.float64), np.ones(len(target)))
    error = float(np.nansum(np.abs(bins.accuracy - bins.confidence) * bins.weight) / max(len(target), 1))
    figure, (top, bottom) = panels(2, 1, title, size=(5.2, 3.2), heights=(3, 1))
    left = np.arange(BINS) / BINS
    filled = bins.weight > 0
    style: dict[str, Any] = {"width": 1 / BINS, "align": "edge", "edgecolor": "white"}
    top.bar(left[filled], bins.accuracy[filled], color=SKY, label="accuracy", **style)
    top.plot(
        bins.confidence[filled],
        bins.accuracy[filled],
        "o-",
        color=BLUE,
        markersize=4,
        label="at mean confidence",
    )
    top.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect")
    top.set(ylabel="accuracy", ylim=(0, 1.02), title=f"expected calibration error {error:.3f}")
    figure.legend(loc="outside lower center", ncols=3)
    bottom.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    bottom.bar(left, bins.weight, color=GREY, **style)
    bottom.set(xlabel="confidence: probability of the predicted class", ylabel="rows")
    for axis in (top, bottom):
        axis.set_xlim(0, 1)
    return png_of(figure)


def residuals(target: Array, predicted: Array, names: Sequence[str], title: str) -> bytes:
    """Draw predicted against true values, and a histogram of true minus predicted, for up to four columns.

    Args:
        target: (N, K).
        predicted: (N, K).
        names: of the K columns.
        title: of the whole picture.

    Returns:
        A PNG file. Many rows are drawn as density, so that dots do not cover each other.
    """
    rows = min(len(names), MOST_TARGETS)
    figure, axes = panels(rows, 2, title, size=(4.8, 3.6))
    for k in range(rows):
        y, guess = target[:, k].astype(np.float64), predicted[:, k].astype(np.float64)
        finite = np.isfinite(y) & np.isfinite(guess)
        _predicted_against_true(axes[2 * k], y[finite], guess[finite], shortened(names[k], LONGEST_NAME * 2))
        histogram = axes[2 * k + 1]
        residual = (y - guess)[finite]
        if len(residual):
            bins = min(60, int(1.5 * len(residual) ** 0.5))
            histogram.hist(residual, bins=bins, range=_limits(residual), color=SKY, edgecolor="white")
            histogram.axvline(float(residual.mean()), color=RED, label=f"mean {residual.mean():.3g}")
            histogram.legend()
        histogram.axvline(0, color=GREY, linestyle=":")
        histogram.set(xlabel="true minus predicted", ylabel="rows", title="residuals")
    return png_of(figure)


def _finite(target: Array, probabilities: Array) -> tuple[Array, Array]:
    """Return the rows that can be drawn."""
    kept = np.isfinite(probabilities).all(1)
    return target[kept], probabilities[kept]


def _predicted_against_true(axis: Axes, target: Floats, predicted: Floats, name: str) -> None:
    """Draw the dots, or their density, and the line on which they should lie."""
    from matplotlib.colors import LogNorm

    if len(target) > MOST_DOTS:
        norm = LogNorm(vmin=0.2)  # a cell with a single row is to be seen
        axis.hexbin(target, predicted, gridsize=50, cmap="Blues", norm=norm, mincnt=1, linewidths=0.1)
    else:
        size, alpha = (14, 0.6) if len(target) <= 500 else (6, 0.35)
        axis.scatter(target, predicted, s=size, alpha=alpha, color=BLUE, linewidths=0)
    if len(target):
        limits = _limits(np.concatenate([target, predicted]))
        axis.plot(limits, limits, color=GREY, linestyle=":")
        axis.set(xlim=limits, ylim=limits)
    axis.set(xlabel="true", ylabel="predicted", title=name)


def _limits(values: Floats) -> tuple[float, float]:
    """Return the ends of an axis that shows all values, of which some width stays where they differ by rounding."""
    low, high = float(values.min()), float(values.max())
    size = max(abs(low), abs(high))
    margin = 0.04 * (high - low) if high - low > 1e-9 * size else 0.05 * size or 1
    return low - margin, high + margin


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """Return the text on one line, cut in its middle where it is too long: both ends tell names apart."""
    line = " ".join(text.split())
    half = (longest - 1) // 2
    return line if len(line) <= longest else f"{line[: longest - 1 - half].rstrip()}…{line[-half:].lstrip()}"


def _short_number(count: float) -> str:
    """Return a count in at most five characters, as a cell has room for no more."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if count >= limit:
            return f"{count / (1e6 if unit == 'M' else 1e3):.3g}{unit}"
    return f"{count:.4g}"


def panels(
    rows: int, columns: int, title: str, *, size: tuple[float, float], heights: Sequence[float] | None = None
) -> tuple[Figure, list[Axes]]:
    """Return an empty figure of rows x columns panels, each of a size in inches, and the panels row by row."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows), dpi=DPI, layout=layout, facecolor="white")
    figure.suptitle(shortened(title, min(LONGEST_TITLE, int(size[0] * columns * 9))), fontsize=12, fontweight="bold")
    axes = figure.subplots(rows, columns, squeeze=False, height_ratios=heights)
    for axis in axes.flat:
        axis.grid(color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def png_of(figure: Figure) -> bytes:
    """Return the PNG file of a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # a script that the font lacks is drawn as boxes
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
