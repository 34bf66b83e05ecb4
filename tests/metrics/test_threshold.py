"""The threshold between two classes, against trying all of them with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from nnkit.metrics.threshold import best_threshold

SCORES = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "f1": lambda y, p, sample_weight: metrics.f1_score(y, p, sample_weight=sample_weight, zero_division=0),
}


def score(metric: str, threshold: float, p: Any, y: Any, w: Any) -> float:
    return float(SCORES[metric](y, (p > threshold).astype(int), sample_weight=w))


def best_of_all(metric: str, p: Any, y: Any, w: Any) -> float:
    edges = np.unique(np.concatenate([[0.0, 1.0], p]))
    return max(score(metric, cut, p, y, w) for cut in (edges[:-1] + edges[1:]) / 2)


@pytest.mark.parametrize("metric", SCORES)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_no_other_threshold_is_better(metric: str, data: st.DataObject) -> None:
    size = data.draw(st.integers(2, 12))
    p = np.array(data.draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.8, 1.0]), min_size=size, max_size=size)))
    y = np.array([0, 1, *data.draw(st.lists(st.integers(0, 1), min_size=size - 2, max_size=size - 2))])
    w = np.array(data.draw(st.lists(st.sampled_from([1.0, 0.5, 3.0]), min_size=size, max_size=size)))
    found = best_threshold(torch.tensor(p), torch.tensor(y), torch.tensor(w), metric)
    assert 0 < found < 1
    assert score(metric, found, p, y, w) == pytest.approx(best_of_all(metric, p, y, w))


@pytest.mark.parametrize("metric", SCORES)
def test_weights_decide(metric: str) -> None:
    p, y = torch.tensor([0.2, 0.4, 0.6, 0.8]), torch.tensor([0, 1, 0, 1])
    heavy_second = best_threshold(p, y, torch.tensor([1.0, 9.0, 1.0, 1.0]), metric)
    assert heavy_second == pytest.approx(0.3)
    if metric != "f1":
        assert best_threshold(p, y, torch.tensor([1.0, 1.0, 9.0, 1.0]), metric) == pytest.approx(0.7)


def test_of_equally_good_ones_the_nearest_to_a_half_is_taken() -> None:
    p, y = torch.tensor([0.1, 0.2, 0.3, 0.9]), torch.tensor([0, 0, 0, 1])
    assert best_threshold(p, y, torch.ones(4), "accuracy") == pytest.approx(0.6)


@pytest.mark.parametrize("y", [[0, 0], [1, 1]])
def test_rows_of_one_class_leave_a_half(y: list[int]) -> None:
    assert best_threshold(torch.tensor([0.1, 0.9]), torch.tensor(y), torch.ones(2), "f1") == 0.5
    both = best_threshold(torch.tensor([0.1, 0.9]), torch.tensor([0, 1]), torch.tensor([0.0, 1.0]), "f1")
    assert both == 0.5  # a row without weight is none


@pytest.mark.parametrize("p", [[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [0.5, 0.5]])
def test_the_ends_are_never_reached(p: list[float]) -> None:
    for metric in SCORES:
        assert 0 < best_threshold(torch.tensor(p), torch.tensor([0, 1]), torch.ones(2), metric) < 1


def test_an_unknown_metric_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        best_threshold(torch.tensor([0.1, 0.9]), torch.tensor([0, 1]), torch.ones(2), "recall")
