"""Pictures of a sweep."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from nnkit.plots_sweep import best_so_far, slices


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_best_so_far_is_drawn_with_trials_that_have_no_score(mode: str) -> None:
    assert size_of(best_so_far([0.5, None, 0.7, 0.6], mode, "val/accuracy", "a_$b$")) == (768, 480)


def test_each_setting_has_a_panel() -> None:
    columns = {f"s{k}": ["1", "10", ""] for k in range(11)} | {"model": ["mlp", "cnn", "mlp"]}
    one = slices({"optimizer.lr": ["0.1", "0.001", "0.02"]}, {"optimizer.lr": True}, [1.0, 2.0, 3.0], "val/rmse", "x")
    many = slices(columns, {"s0": False}, [1.0, 2.0, 3.0], "val/rmse", "x")
    assert size_of(one)[0] < size_of(many)[0]
    assert size_of(many)[1] == 3 * size_of(one)[1]
