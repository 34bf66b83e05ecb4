"""Losses against torch's own reductions, scikit-learn's class weights and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from sklearn.metrics import log_loss
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from nnkit.config.sections.loss import (
    AutoLossConfig,
    BCEConfig,
    CodeLossConfig,
    CrossEntropyConfig,
    HuberConfig,
    LossConfig,
    PlainLossConfig,
)
from nnkit.config.sections.regularization import RegularizationConfig
from nnkit.errors import ConfigError
from nnkit.objective import Objective
from nnkit.objective.losses import class_weights, criterion, num_outputs, resolve_loss
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.models.built import config_of
from tests.own_code import HERE

X = (InputSpec("x", "features", (4,)),)
CLASSES = DataSpec("classification", X, TargetSpec(("y",), ("a", "b", "c")))
TWO_CLASSES = DataSpec("classification", X, TargetSpec(("y",), ("a", "b")))
VALUES = DataSpec("regression", X, TargetSpec(("u", "v", "w", "z")))
MSE = PlainLossConfig(kind="mse")


def logits(rows: int = 40, columns: int = 3) -> Tensor:
    return 3 * torch.randn(rows, columns, generator=torch.Generator().manual_seed(0))


def labels(rows: int = 40, classes: int = 3) -> Tensor:
    return torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(1))


def values(rows: int = 40, columns: int = 3) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(2))


def mean_loss(
    config: LossConfig, y: Tensor, t: Tensor, weight: Tensor | None = None, classes: Tensor | None = None
) -> Tensor:
    """Return total / weight of one batch."""
    objective = Objective(config, RegularizationConfig(), weights=[], class_weights=classes)
    weight = torch.ones(len(t)) if weight is None else weight
    return objective.total(y, t, weight) / objective.weight(t, weight)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, (0.5, 3.0, 1.25)])
def test_cross_entropy_is_torchs_mean(weights: tuple[float, ...] | None, smoothing: float) -> None:
    config = CrossEntropyConfig(kind="cross_entropy", label_smoothing=smoothing)
    classes = None if weights is None else torch.tensor(weights)
    expected = F.cross_entropy(logits(), labels(), weight=classes, label_smoothing=smoothing)
    torch.testing.assert_close(mean_loss(config, logits(), labels(), classes=classes), expected)


@pytest.mark.parametrize("positive", [1.0, 4.5])
def test_bce_is_torchs_mean_on_one_logit(positive: float) -> None:
    y, t = logits(columns=1), labels(classes=2)
    expected = F.binary_cross_entropy_with_logits(y[:, 0], t.float(), pos_weight=torch.tensor(positive))
    torch.testing.assert_close(mean_loss(BCEConfig(kind="bce", positive_weight=positive), y, t), expected)


def test_bce_on_one_logit_is_cross_entropy_of_two() -> None:
    y, t = logits(columns=2), labels(classes=2)
    two = mean_loss(CrossEntropyConfig(kind="cross_entropy"), y, t)
    torch.testing.assert_close(mean_loss(BCEConfig(kind="bce"), y[:, 1:] - y[:, :1], t), two)


@pytest.mark.parametrize("columns", [1, 3])
def test_losses_on_values_are_torchs_means_over_samples_and_columns(columns: int) -> None:
    y, t = logits(columns=columns), values(columns=columns)
    torch.testing.assert_close(mean_loss(MSE, y, t), F.mse_loss(y, t))
    torch.testing.assert_close(mean_loss(PlainLossConfig(kind="mae"), y, t), F.l1_loss(y, t))
    torch.testing.assert_close(mean_loss(HuberConfig(kind="huber", delta=0.7), y, t), F.huber_loss(y, t, delta=0.7))


@pytest.mark.parametrize(("error", "expected"), [(0.5, 0.125), (-2.0, 2.0), (3.0, 4.0), (-10.0, 18.0)])
def test_huber_is_squared_up_to_delta_and_linear_beyond(error: float, expected: float) -> None:
    loss = criterion(HuberConfig(kind="huber", delta=2.0), None)
    assert loss(torch.tensor([[error]]), torch.zeros(1, 1)).item() == pytest.approx(expected)


def test_poisson_is_the_likelihood_of_the_log_rate() -> None:
    y, t = logits(columns=2), torch.arange(80.0).view(40, 2) % 7
    loss = PlainLossConfig(kind="poisson")
    torch.testing.assert_close(mean_loss(loss, y, t), F.poisson_nll_loss(y, t, log_input=True, full=False))
    torch.testing.assert_close(mean_loss(loss, y, t), (y.exp() - t * y).mean())


@pytest.mark.parametrize(
    ("config", "outputs", "target"),
    [
        (CrossEntropyConfig(kind="cross_entropy", label_smoothing=0.1), logits(), labels()),
        (BCEConfig(kind="bce"), logits(columns=1), labels(classes=2)),
        (MSE, logits(), values()),
        (PlainLossConfig(kind="mae"), logits(), values()),
        (PlainLossConfig(kind="poisson"), logits(), values().abs()),
        (HuberConfig(kind="huber"), logits(), values()),
    ],
    ids=lambda p: getattr(p, "kind", ""),
)
def test_a_weight_of_n_is_a_sample_seen_n_times(config: LossConfig, outputs: Tensor, target: Tensor) -> None:
    times = torch.arange(40) % 4
    repeated = mean_loss(config, outputs.repeat_interleave(times, 0), target.repeat_interleave(times, 0))
    torch.testing.assert_close(mean_loss(config, outputs, target, times.float()), repeated)
    assert criterion(config, None)(outputs, target).shape == (40,)


def test_sample_and_class_weights_multiply() -> None:
    y, t, classes = logits(), labels(), torch.tensor([1.0, 2.0, 5.0])
    weight = torch.rand(40, generator=torch.Generator().manual_seed(3))
    each = -y.log_softmax(1)[torch.arange(40), t]
    expected = (weight * classes[t] * each).sum() / (weight * classes[t]).sum()
    config = CrossEntropyConfig(kind="cross_entropy")
    torch.testing.assert_close(mean_loss(config, y, t, weight, classes), expected)


def test_balanced_class_weights_are_those_of_scikit_learn() -> None:
    counts = torch.tensor([5, 1, 14])
    target = torch.arange(3).repeat_interleave(counts).numpy()
    config = CrossEntropyConfig(kind="cross_entropy", class_weights="balanced")
    expected = compute_class_weight("balanced", classes=np.arange(3), y=target)
    weights = class_weights(config, counts)
    torch.testing.assert_close(weights, torch.tensor(expected, dtype=torch.float32))


def test_listed_class_weights_are_taken_as_written_even_as_whole_numbers() -> None:
    config = config_of("loss=cross_entropy", "loss.class_weights=[1,2.5,4]").loss
    weights = class_weights(config, torch.tensor([5, 1, 14]))
    torch.testing.assert_close(weights, torch.tensor([1.0, 2.5, 4.0]))


@pytest.mark.parametrize("config", [CrossEntropyConfig(kind="cross_entropy"), BCEConfig(kind="bce"), MSE])
def test_without_class_weights_all_classes_count_the_same(config: LossConfig) -> None:
    assert class_weights(config, torch.tensor([5, 1, 14])) is None


def test_auto_picks_cross_entropy_for_classes_and_squared_error_for_values() -> None:
    auto = AutoLossConfig(kind="auto")
    assert resolve_loss(auto, CLASSES) == CrossEntropyConfig(kind="cross_entropy")
    assert resolve_loss(auto, VALUES) == MSE


def test_a_named_loss_is_kept() -> None:
    named = HuberConfig(kind="huber", delta=3.0)
    assert resolve_loss(named, VALUES) is named


def test_outputs_are_one_a_class_or_column_and_one_logit_for_bce() -> None:
    assert num_outputs(CrossEntropyConfig(kind="cross_entropy"), CLASSES) == 3
    assert num_outputs(CrossEntropyConfig(kind="cross_entropy"), TWO_CLASSES) == 2
    assert num_outputs(BCEConfig(kind="bce"), TWO_CLASSES) == 1
    assert num_outputs(MSE, VALUES) == 4


def test_a_uniform_guess_costs_the_logarithm_of_the_number_of_classes() -> None:
    loss = mean_loss(CrossEntropyConfig(kind="cross_entropy"), torch.zeros(40, 3), labels())
    assert loss.item() == pytest.approx(math.log(3))


# labels that are there or not

LABELS = DataSpec("multilabel", X, TargetSpec(("sun", "rain", "wind")))


def test_labels_have_a_binary_loss_and_a_logit_each() -> None:
    assert resolve_loss(AutoLossConfig(kind="auto"), LABELS) == BCEConfig(kind="bce")
    assert num_outputs(BCEConfig(kind="bce"), LABELS) == 3
    one = DataSpec("multilabel", X, TargetSpec(("sun",)))
    assert num_outputs(BCEConfig(kind="bce"), one) == 1


def test_the_loss_of_labels_is_scikit_learns_log_loss_averaged_over_the_labels() -> None:
    y, t = logits(), (values() > 0).float()
    expected = np.mean([log_loss(t[:, k], y[:, k].double().sigmoid(), labels=[0, 1]) for k in range(3)])
    assert mean_loss(BCEConfig(kind="bce"), y, t).item() == pytest.approx(expected, rel=1e-5)
    losses = criterion(BCEConfig(kind="bce"), None)(y, t)
    assert losses.shape == (40,)


def test_a_positive_weight_counts_the_labels_that_are_there() -> None:
    y, t = logits(), (values() > 0).float()
    weight = torch.where(t == 1, 3.0, 1.0)
    expected = (F.binary_cross_entropy_with_logits(y, t, reduction="none") * weight).mean()
    torch.testing.assert_close(mean_loss(BCEConfig(kind="bce", positive_weight=3.0), y, t), expected)


# weights of samples


def test_a_sample_of_weight_two_is_a_sample_given_twice() -> None:
    y, t, weight = logits(), labels(), torch.ones(40)
    weight[:10] = 2
    twice = mean_loss(CrossEntropyConfig(kind="cross_entropy"), torch.cat([y, y[:10]]), torch.cat([t, t[:10]]))
    torch.testing.assert_close(mean_loss(CrossEntropyConfig(kind="cross_entropy"), y, t, weight), twice)


def test_a_weighted_loss_is_scikit_learns() -> None:
    y, t, weight = logits(), labels(), torch.rand(40, generator=torch.Generator().manual_seed(3))
    expected = log_loss(t, y.double().softmax(1), sample_weight=weight.double())
    found = mean_loss(CrossEntropyConfig(kind="cross_entropy"), y, t, weight)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_a_batch_of_weight_zero_has_no_loss_and_no_gradient() -> None:
    y = logits().requires_grad_()
    loss = mean_loss(CrossEntropyConfig(kind="cross_entropy"), y, labels(), torch.zeros(40))
    loss.backward()
    assert loss.item() == 0
    assert y.grad is not None
    assert y.grad.abs().sum().item() == 0


# a loss of the user's own


def own(name: str, **kwargs: object) -> CodeLossConfig:
    return CodeLossConfig(kind="code", code=f"{HERE}:{name}", kwargs=kwargs)


def test_a_users_focal_loss_with_gamma_zero_is_cross_entropy() -> None:
    y, t = logits(), labels()
    expected = F.cross_entropy(y, t)
    torch.testing.assert_close(mean_loss(own("Focal", gamma=0), y, t), expected)
    assert mean_loss(own("Focal"), y, t) < expected


def test_a_users_loss_of_each_column_is_averaged_over_the_columns() -> None:
    y, t = logits(), values()
    torch.testing.assert_close(mean_loss(own("squared", factor=2), y, t), 2 * F.mse_loss(y, t))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (own("broken"), r"loss\.code=tests\.own_code:broken failed: KeyError: 'oh no'"),
        (own("Focal", gama=1), r"loss\.code=tests\.own_code:Focal failed: TypeError: .*gama"),
    ],
)
def test_a_users_loss_that_cannot_be_made_is_named(config: LossConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        criterion(config, None)


@pytest.mark.parametrize(("config", "got"), [(own("mean_loss"), r"got shape \(\)"), (own("blobs_of_text"), "got str")])
def test_a_users_loss_must_give_one_number_a_sample(
    config: LossConfig, got: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.own_code.blobs_of_text", lambda: lambda outputs, target: "text", raising=False)
    with pytest.raises(ConfigError, match=rf"loss\.code=\S+ must return one number a sample \(40,\), {got}"):
        criterion(config, None)(logits(), labels())
