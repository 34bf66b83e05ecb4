"""Pictures of masks, as the bytes of a PNG file, drawn as those of `nnkit.plots` are."""

# N pictures, C channels, H height, W width

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from nnkit.data.source import IGNORED
from nnkit.infer.terms import Array, Floats
from nnkit.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY, panels, png_of, shortened

COLOURS = ("#000000", SKY, ORANGE, GREEN, PINK, BLUE, "#F0E442", RED)
COLUMNS = ("picture", "truth", "predicted", "where they differ")
SIDE = 2.3  # inches


@final
@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures (N, C, H, W), true and predicted classes (N, H, W), overlaps (N,) and names (N,)."""

    pixels: Array
    target: Array
    predicted: Array
    iou: Floats
    names: Sequence[str]


def worst_middle_best(iou: Floats) -> list[int]:
    """Return the numbers of up to three of N pictures, by their overlap; those without one come last."""
    order = np.argsort(iou, kind="stable")
    known = order[: max(1, int(np.count_nonzero(~np.isnan(iou))))]
    return list(dict.fromkeys(int(known[place]) for place in (0, len(known) // 2, -1)))


def predictions(shown: Shown, classes: Sequence[str], title: str) -> bytes:
    """Draw pictures, a row each: the picture, the truth, what was predicted, and where that is wrong.

    Args:
        shown: N > 0 pictures.
        classes: names by number; the first is the background.
        title: of the whole picture.

    Returns:
        A PNG file.
    """
    from matplotlib.patches import Patch

    figure, axes = panels(len(shown.names), len(COLUMNS), title, size=(SIDE, SIDE + 0.2))
    for row, name in enumerate(shown.names):
        target, predicted = shown.target[row], shown.predicted[row]
        wrong = (target != predicted) & (target != IGNORED)
        drawn = (_coloured(shown.pixels[row]), _classes(target), _classes(predicted), np.where(wrong, 0.85, 0.0))
        for column, (picture, heading) in enumerate(zip(drawn, COLUMNS, strict=True)):
            axis = axes[row * len(COLUMNS) + column]
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.grid(visible=False)
            if row == 0:
                axis.set_title(heading)
        axes[row * len(COLUMNS)].set_ylabel(shortened(name))
        axes[row * len(COLUMNS) + 2].set_xlabel(f"IoU {shown.iou[row]:.3f}")
    present = sorted({*np.unique(shown.target).tolist(), *np.unique(shown.predicted).tolist()} - {IGNORED})
    patches = [Patch(facecolor=_colour(number), edgecolor="#666666", label=classes[number]) for number in present[:12]]
    figure.legend(handles=patches, loc="outside lower center", ncols=min(6, len(patches)))
    return png_of(figure)


def _colour(number: int) -> str:
    return COLOURS[number] if number < len(COLOURS) else COLOURS[1 + number % (len(COLOURS) - 1)]


def _classes(mask: Array) -> Any:
    """Return colours (H, W, 3) in [0, 1] for class numbers; grey where a pixel does not count."""
    table = np.full((IGNORED + 1, 3), 0.5)
    for number in np.unique(mask[mask != IGNORED]).tolist():
        colour = _colour(number)
        table[number] = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    return table[mask]


def _coloured(pixels: Array) -> Any:
    """Return a picture (C, H, W) of any numbers as (H, W) or (H, W, 3) in [0, 1]."""
    low, high = (0.0, 255.0) if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    scaled = (pixels.astype(np.float64) - low) / max(high - low, 1e-12)
    return np.moveaxis(scaled, 0, -1) if len(scaled) == 3 else scaled[0]
