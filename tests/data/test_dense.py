"""Targets a pixel as tensors."""

from __future__ import annotations

import torch

from nnkit.data.dense import pixel_counts, pixels_that_count
from nnkit.data.source import IGNORED

MASKS = torch.tensor([[[0, 1], [2, IGNORED]], [[IGNORED, 2], [2, 2]]], dtype=torch.uint8)
WEIGHT = torch.tensor([1.0, 0.5])


def test_what_does_not_count_weighs_nothing() -> None:
    target, weight = pixels_that_count(MASKS, WEIGHT)
    assert (target.dtype, weight.dtype) == (torch.int64, torch.float32)
    assert target.tolist() == [[[0, 1], [2, 0]], [[0, 2], [2, 2]]]
    assert weight.tolist() == [[[1, 1], [1, 0]], [[0, 0.5], [0.5, 0.5]]]


def test_pixels_are_counted_by_the_weights_of_their_pictures() -> None:
    assert pixel_counts(MASKS, WEIGHT, 3).tolist() == [1, 1, 2.5]
