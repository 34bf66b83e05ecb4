"""Outputs and targets side by side, and that nothing behind the end of a sequence counts in loss or metrics."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nnkit.config.sections.loss import CrossEntropyConfig
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.metrics.classification import ClassificationMetrics
from nnkit.metrics.language import LanguageMetrics
from nnkit.objective import Objective
from nnkit.objective.aligned import aligned
from nnkit.objective.predictions import predicted_classes
from nnkit.train.run import Metrics

pytestmark = pytest.mark.usefixtures("on_one_thread")

CPU = torch.device("cpu")


def test_steps_become_rows_in_the_order_of_their_sequences() -> None:
    outputs, target, weight = torch.randn(2, 3, 4), torch.arange(6).view(2, 3), torch.rand(2, 3)
    rows = aligned(outputs, target, weight)
    assert torch.equal(rows[0], torch.cat([outputs[0], outputs[1]]))
    assert rows[1].tolist() == [0, 1, 2, 3, 4, 5]
    assert torch.equal(rows[2], torch.cat([weight[0], weight[1]]))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_forecast_is_compared_with_as_many_steps_as_it_tells(steps: int) -> None:
    outputs, target, weight = torch.randn(5, steps * 2), torch.randn(5, 3, 2), torch.rand(5)
    rows = aligned(outputs, target, weight)
    assert rows[0] is outputs
    assert torch.equal(rows[1].view(5, steps, 2), target[:, :steps])
    assert rows[2] is weight


@pytest.mark.parametrize("target", [torch.arange(5), torch.randn(5, 3)], ids=["classes", "values"])
def test_an_answer_a_sample_stays_as_it_is(target: Tensor) -> None:
    outputs, weight = torch.randn(5, 3), torch.rand(5)
    assert aligned(outputs, target, weight) == (outputs, target, weight)


METRICS: list[Metrics] = [ClassificationMetrics(4, predicted_classes), LanguageMetrics()]


@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    classes=st.sampled_from([None, [1.0, 0.5, 4.0, 2.0]]),
    uneven=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(deadline=None, max_examples=30)
def test_whatever_stands_behind_the_end_changes_no_loss_and_no_metric(
    lengths: list[int], classes: list[float] | None, uneven: bool, seed: int
) -> None:
    chance = torch.Generator().manual_seed(seed)
    batch, longest = len(lengths), max(lengths) + 1
    outputs = torch.randn(batch, longest, 4, generator=chance)
    target = torch.randint(4, (batch, longest), generator=chance)
    inside = torch.arange(longest) < torch.tensor(lengths)[:, None]
    of_rows = torch.rand(batch, generator=chance) + 0.1 if uneven else torch.ones(batch)
    weight = of_rows[:, None] * inside
    class_weights = None if classes is None else torch.tensor(classes)
    loss = CrossEntropyConfig(kind="cross_entropy")
    objective = Objective(loss, RegularizationConfig(), weights=[], class_weights=class_weights)

    def measured(outputs: Tensor, target: Tensor) -> list[float]:
        rows = aligned(outputs, target, weight)
        found = [float(objective.total(*rows)), float(objective.weight(target, weight))]
        for metrics in METRICS:
            sums = metrics.zero(CPU)
            metrics.add(sums, *rows)
            found += metrics.compute(sums).values()
        return found

    clean = measured(outputs, target)
    other = torch.randint(4, target.shape, generator=chance)
    garbage = 50 * torch.randn(outputs.shape, generator=chance)
    assert measured(torch.where(inside[..., None], outputs, garbage), torch.where(inside, target, other)) == clean
    # What is left is what torch says of the steps alone.
    steps = [(outputs[k, :n], target[k, :n], of_rows[k].expand(n)) for k, n in enumerate(lengths)]
    y, t, w = (torch.cat(column) for column in zip(*steps, strict=True))
    expected = (F.cross_entropy(y, t, class_weights, reduction="none") * w).sum()
    scale = w if class_weights is None else w * class_weights[t]
    torch.testing.assert_close(torch.tensor(clean[:2]), torch.stack([expected, scale.sum()]), rtol=1e-4, atol=1e-5)


def test_no_gradient_reaches_the_outputs_behind_the_end() -> None:
    outputs = torch.randn(2, 3, 4, requires_grad=True)
    weight = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    objective = Objective(
        CrossEntropyConfig(kind="cross_entropy"), RegularizationConfig(), weights=[], class_weights=None
    )
    total = objective.total(*aligned(outputs, torch.zeros(2, 3, dtype=torch.int64), weight))
    (gradient,) = torch.autograd.grad(total, outputs)
    assert torch.equal((gradient != 0).any(2), weight != 0)
