"""From outputs to predictions, by closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnkit.objective.predictions import (
    label_probabilities,
    predicted_classes,
    predicted_labels,
    predicted_values,
    probabilities,
)


def test_the_class_is_that_of_the_largest_logit() -> None:
    outputs = torch.tensor([[0.1, 2.0, -3.0], [5.0, 4.9, 4.8], [-3.0, -2.0, -1.0]])
    assert predicted_classes(outputs).tolist() == [1, 0, 2]
    assert predicted_classes(outputs).dtype is torch.int64


def test_one_logit_means_the_second_class_where_it_is_positive() -> None:
    outputs = torch.tensor([[-0.5], [0.5], [3.0], [0.0]])
    assert predicted_classes(outputs).tolist() == [0, 1, 1, 0]
    assert predicted_classes(outputs).dtype is torch.int64


def test_logits_become_probabilities_by_softmax() -> None:
    outputs = torch.tensor([[0.0, math.log(3), math.log(4)], [1000.0, 0.0, 0.0]])
    torch.testing.assert_close(probabilities(outputs), torch.tensor([[0.125, 0.375, 0.5], [1.0, 0.0, 0.0]]))


def test_one_logit_becomes_both_sides_of_a_sigmoid() -> None:
    outputs = torch.tensor([[0.0], [math.log(3)], [-1000.0]])
    torch.testing.assert_close(probabilities(outputs), torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]))


def test_classes_are_the_most_probable_ones() -> None:
    for columns in (1, 2, 5):
        outputs = torch.randn(50, columns, generator=torch.Generator().manual_seed(columns))
        assert torch.equal(probabilities(outputs).argmax(1), predicted_classes(outputs))


def test_values_are_the_outputs_and_log_rates_their_exponential() -> None:
    outputs = torch.tensor([[0.0, math.log(5)], [-math.log(2), 1.0]])
    assert torch.equal(predicted_values(outputs, log_rate=False), outputs)
    torch.testing.assert_close(predicted_values(outputs, log_rate=True), torch.tensor([[1.0, 5.0], [0.5, math.e]]))


@given(threshold=st.floats(0.01, 0.99), logits=st.lists(st.floats(-8, 8), min_size=1, max_size=20))
def test_the_second_class_is_predicted_above_the_threshold(threshold: float, logits: list[float]) -> None:
    one = torch.tensor(logits, dtype=torch.float64)[:, None]
    two = torch.cat([-one / 2, one / 2], 1)  # the same probabilities from two logits
    for outputs in (one, two):
        probability = probabilities(outputs)[:, 1]
        found = predicted_classes(outputs, threshold=threshold)
        clear = (probability - threshold).abs() > 1e-9
        assert torch.equal(found[clear], (probability > threshold).long()[clear])
        assert found.dtype is torch.int64


@pytest.mark.parametrize("threshold", [0.1, 0.9])
def test_a_threshold_is_for_two_classes_alone(threshold: float) -> None:
    outputs = torch.tensor([[0.1, 0.2, 0.15], [3.0, -3.0, 0.0]])
    assert predicted_classes(outputs, threshold=threshold).tolist() == [1, 0]


def test_a_label_is_there_where_it_is_more_probable_than_not() -> None:
    outputs = torch.tensor([[-0.5, 0.0, 2.0], [math.log(3), -math.log(3), -1000.0]])
    assert predicted_labels(outputs).tolist() == [[0, 0, 1], [1, 0, 0]]
    torch.testing.assert_close(label_probabilities(outputs)[1], torch.tensor([0.75, 0.25, 0.0]))
