"""What masks are worth: the same figures as those of the training, with intervals over pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nnkit.infer.bootstrap import intervals_of
from nnkit.infer.pixels import mean_logits
from nnkit.infer.segmentation import mask_statistics, overlaps
from nnkit.metrics.segmentation import SegmentationMetrics, confusions

RNG = np.random.default_rng(0)
TARGET, PREDICTED = (torch.from_numpy(RNG.integers(0, 3, (6, 5, 5))) for _ in range(2))
WEIGHT = torch.from_numpy((RNG.random((6, 5, 5)) > 0.2).astype(np.float32))


def of_each() -> np.ndarray:
    return confusions(TARGET, PREDICTED, WEIGHT, 3, torch.float64).numpy()


def test_measures_are_the_metrics_of_the_training() -> None:
    metrics = SegmentationMetrics(3, lambda outputs: outputs.argmax(1))
    sums = metrics.zero(torch.device("cpu"))
    metrics.add(sums, torch.nn.functional.one_hot(PREDICTED, 3).movedim(-1, 1).float(), TARGET, WEIGHT)
    found = mask_statistics(of_each())(np.ones((1, 6)))
    assert {name: float(value[0]) for name, value in found.items()} == pytest.approx(metrics.compute(sums))


def test_a_resample_is_worth_what_its_pictures_are() -> None:
    counts = np.array([[2.0, 0, 1, 0, 3, 0]])
    drawn = np.repeat(of_each(), counts[0].astype(int), axis=0)
    found, wanted = mask_statistics(of_each())(counts), mask_statistics(drawn)(np.ones((1, 6)))
    assert {k: float(v[0]) for k, v in found.items()} == pytest.approx({k: float(v[0]) for k, v in wanted.items()})


def test_intervals_hold_the_value_and_are_the_same_for_a_seed() -> None:
    statistics = mask_statistics(of_each())
    found = intervals_of(statistics, np.arange(6), seed=1)
    assert found == intervals_of(statistics, np.arange(6), seed=1)
    for name, value in statistics(np.ones((1, 6))).items():
        assert found[name][0] <= value[0] <= found[name][1]


def test_a_class_that_is_nowhere_has_no_overlap() -> None:
    assert np.isnan(overlaps(np.diag([3.0, 0, 1]))).tolist() == [False, True, False]


def test_an_ensemble_takes_the_mean_of_the_probabilities() -> None:
    each = [torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)]
    wanted = torch.stack([logits.softmax(1) for logits in each]).mean(0)
    assert torch.allclose(mean_logits(each).softmax(1), wanted, atol=1e-6)
    assert mean_logits(each[:1]) is each[0]
