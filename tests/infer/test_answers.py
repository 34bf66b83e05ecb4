"""From outputs to class names, labels and values in their own units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from nnkit.infer.answers import answer_columns, answers
from tests.finished import opened


def test_the_second_class_is_predicted_from_the_threshold_on() -> None:
    run = replace(opened("binary"), threshold=0.8)
    logits = torch.tensor([[0.0, 1.0], [0.0, 1.5], [2.0, 0.0]])  # second class: 0.731, 0.818, 0.119
    found = answers(run, logits)
    assert found.predicted.tolist() == [0, 1, 0]
    assert found.probabilities[:, 1] == pytest.approx(1 / (1 + np.exp([-1.0, -1.5, 2.0])), rel=1e-6)
    assert found.scores is found.probabilities


def test_class_names_stand_in_the_columns() -> None:
    found = answers(opened("binary"), torch.tensor([[-9.0, 9.0], [9.0, -9.0]]))
    plain = answer_columns(opened("binary"), found, proba=False)
    assert {name: column.to_pylist() for name, column in plain.items()} == {"prediction": ["yes, gladly", "no"]}
    columns = answer_columns(opened("binary"), found, proba=True)
    assert list(columns) == ["prediction", "probability_no", "probability_yes, gladly"]
    assert columns["probability_no"].to_pylist() == pytest.approx([0, 1], abs=1e-6)


def test_values_are_in_the_targets_own_units() -> None:
    run = opened("values")
    scale = run.preprocess.target
    assert scale is not None
    found = answers(run, torch.tensor([[0.0], [1.0]]))
    assert found.predicted[:, 0] == pytest.approx([scale.shift[0], scale.shift[0] + scale.size[0]], rel=1e-12)
    assert found.predicted.dtype == np.float64
    assert found.probabilities is None
    assert found.scores is found.predicted
    assert answer_columns(run, found, proba=True)["prediction"].to_pylist() == found.predicted[:, 0].tolist()


def test_a_poisson_rate_is_the_exponential_of_the_output() -> None:
    found = answers(opened("counts"), torch.tensor([[0.0], [2.0]]))
    assert found.predicted[:, 0] == pytest.approx(np.exp([0.0, 2.0]), rel=1e-6)


def test_labels_and_several_values_have_a_column_each() -> None:
    found = answers(opened("labels"), torch.tensor([[3.0, -3.0]]))
    columns = answer_columns(opened("labels"), found, proba=True)
    assert {name: column.to_pylist()[0] for name, column in columns.items()} == pytest.approx(
        {"prediction_red": 1, "prediction_big": 0, "probability_red": 0.952574, "probability_big": 0.047426}, rel=1e-4
    )
    found = answers(opened("several"), torch.zeros(1, 2))
    assert list(answer_columns(opened("several"), found, proba=True)) == ["prediction_price", "prediction_count"]
