"""Pictures of masks: PNG files, whatever the sizes."""

from __future__ import annotations

import numpy as np
import pytest

from nnkit.data.source import IGNORED
from nnkit.plots_masks import Shown, predictions, worst_middle_best


@pytest.mark.parametrize(("channels", "classes", "dtype"), [(1, 2, np.uint8), (3, 12, np.uint8), (2, 3, np.float32)])
def test_masks_are_drawn_beside_their_pictures(channels: int, classes: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    target, predicted = rng.integers(0, classes, (2, 2, 6, 9))
    target[0, 0] = IGNORED
    pixels = rng.integers(0, 255, (2, channels, 6, 9)).astype(dtype)
    shown = Shown(pixels, target, predicted, np.array([0.25, np.nan]), ["a_$1", "b"])
    assert predictions(shown, [f"c{k}" for k in range(classes)], "t").startswith(b"\x89PNG")


def test_the_worst_one_in_the_middle_and_the_best_are_shown() -> None:
    assert worst_middle_best(np.array([0.5, np.nan, 0.1, 0.9, 0.3])) == [2, 0, 3]
    assert worst_middle_best(np.array([0.5])) == [0]
    assert worst_middle_best(np.array([np.nan, np.nan])) == [0]
