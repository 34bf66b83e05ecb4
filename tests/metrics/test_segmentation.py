"""Overlaps of masks, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, jaccard_score
from torch import Tensor

from nnkit.metrics.segmentation import SegmentationMetrics

RNG = np.random.default_rng(0)


def measured(target: Tensor, predicted: Tensor, weight: Tensor, classes: int, *sizes: int) -> dict[str, float]:
    metrics = SegmentationMetrics(classes, lambda outputs: outputs.argmax(1))
    sums = metrics.zero(torch.device("cpu"))
    logits = torch.nn.functional.one_hot(predicted, classes).movedim(-1, 1).float()
    for part in torch.arange(len(target)).split(list(sizes) or len(target)):
        metrics.add(sums, logits[part], target[part], weight[part])
    found = metrics.compute(sums)
    assert tuple(found) == metrics.names
    return found


@pytest.mark.parametrize("classes", [2, 4])
def test_overlaps_are_those_of_scikit_learn(classes: int) -> None:
    target, predicted = (torch.from_numpy(RNG.integers(0, classes, (5, 6, 7))) for _ in range(2))
    weight = torch.from_numpy((RNG.random((5, 6, 7)) > 0.2).astype(np.float32))
    found = measured(target, predicted, weight, classes, 2, 3)
    y, p = target[weight > 0].numpy(), predicted[weight > 0].numpy()
    iou = jaccard_score(y, p, average=None)
    assert found["mean_iou"] == pytest.approx(iou.mean())
    assert found["foreground_iou"] == pytest.approx(iou[1:].mean())
    assert found["mean_dice"] == pytest.approx(f1_score(y, p, average="macro"))
    assert found["pixel_accuracy"] == pytest.approx(accuracy_score(y, p))
    of_pictures = [
        jaccard_score(t[w > 0], q[w > 0], average=None, labels=range(1, classes)).mean()
        for t, q, w in zip(target.numpy(), predicted.numpy(), weight.numpy(), strict=True)
    ]
    assert found["picture_iou"] == pytest.approx(np.mean(of_pictures))


def test_where_there_is_nothing_to_find_and_nothing_was_found_all_is_right() -> None:
    nothing = torch.zeros(3, 4, 4, dtype=torch.int64)
    found = measured(nothing, nothing, torch.ones(3, 4, 4), 2)
    assert found == dict.fromkeys(SegmentationMetrics.names, 1.0)


def test_a_picture_without_foreground_counts_only_where_some_was_predicted() -> None:
    target, predicted = torch.zeros(2, 3, 2, 2, dtype=torch.int64)
    target[0, 0], predicted[0, 0] = 1, 1
    assert measured(target, predicted, torch.ones(3, 2, 2), 2)["picture_iou"] == 1
    predicted[1] = 1
    assert measured(target, predicted, torch.ones(3, 2, 2), 2)["picture_iou"] == 0.5
