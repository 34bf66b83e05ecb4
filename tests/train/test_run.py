"""The parts of a training: the update, the average, and going to disk and back."""

from __future__ import annotations

import copy
from contextlib import suppress

import pytest
import torch

from nnkit.errors import DivergenceError
from tests.trained import is_equal, run_of, state_of

PLAIN = ("optimizer=sgd", "optimizer.lr=1.0", "optimizer.momentum=0")


@pytest.mark.parametrize("size", [1e-3, 10.0])
def test_clip_norm_equals_torch(size: float) -> None:
    run = run_of(*PLAIN, "trainer.clip_norm=0.5")
    run.parameters.grad.normal_(std=size)
    reference = copy.deepcopy(run.model)
    for p, q in zip(reference.parameters(), run.model.parameters(), strict=True):
        assert q.grad is not None
        p.grad = q.grad.clone()
    torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
    run.update(state_of(run), 1.0)
    for p, q in zip(reference.parameters(), run.model.parameters(), strict=True):
        assert p.grad is not None
        torch.testing.assert_close(q.detach(), p.detach() - p.grad)


def test_clip_value_limits_each_element() -> None:
    run = run_of(*PLAIN, "trainer.clip_value=0.25")
    before = run.parameters.values.clone()
    grad = torch.randn_like(before)
    run.parameters.grad.copy_(grad)
    run.update(state_of(run), 1.0)
    torch.testing.assert_close(run.parameters.values, before - grad.clamp(-0.25, 0.25))


def test_average_is_the_exponential_moving_average_with_a_faster_start() -> None:
    run = run_of(*PLAIN, "trainer.ema_decay=0.5")
    state = state_of(run)
    expected = run.parameters.values.clone()
    for step in range(20):
        run.parameters.grad.normal_()
        run.update(state, 1.0)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * run.parameters.values
        state.step += 1
    assert run.average is not None
    torch.testing.assert_close(run.average, expected)


def test_averaged_weights_are_lent_even_through_an_error() -> None:
    run = run_of("trainer.ema_decay=0.5")
    assert run.average is not None
    run.average.fill_(0.125)
    trained = run.parameters.values.clone()
    lent = []
    with suppress(ValueError), run.averaged_weights():
        lent = [p.detach().clone() for p in run.model.parameters()]
        raise ValueError
    assert lent
    assert all(bool((p == 0.125).all()) for p in lent)
    assert torch.equal(run.parameters.values, trained)


def test_without_an_average_the_weights_are_the_models_own() -> None:
    run = run_of()
    with run.averaged_weights():
        assert is_equal(run.validated_weights(), dict(run.model.state_dict()))


def test_max_norm_holds_after_an_update() -> None:
    run = run_of(*PLAIN, "regularization.max_norm=0.5")
    run.parameters.grad.normal_()
    run.update(state_of(run), 1.0)
    norms = torch.cat([w.detach().flatten(1).norm(dim=1) for w in run.parameters.weights])
    assert float(norms.max()) <= 0.5 + 1e-6
    assert float(norms.max()) == pytest.approx(0.5)


def test_step_with_an_overflown_scaled_gradient_is_left_out() -> None:
    run = run_of(*PLAIN, "trainer.precision=fp16")
    before = run.parameters.values.clone()
    scaler = run.arithmetic.scaler
    assert scaler is not None
    run.arithmetic.differentiate(run.parameters.weights[0].sum())
    run.parameters.grad.fill_(float("inf"))
    run.update(state_of(run), 1.0)
    assert torch.equal(run.parameters.values, before)
    assert scaler.get_scale() == 65536 / 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weight_that_is_not_finite_is_refused(bad: float) -> None:
    run = run_of("optimizer.lr=0.02")
    state = state_of(run)
    state.step, state.epoch = 7, 1
    run.parameters.values[3] = bad
    with pytest.raises(DivergenceError, match=r"a weight became nan or infinite in epoch 2, by step 7") as caught:
        run.check_weights(state)
    assert "optimizer.lr=0.002" in caught.value.problems[0].hint


@pytest.mark.parametrize("words", [(), ("trainer.ema_decay=0.9",), ("trainer.precision=fp16",), ("model.norm=batch",)])
def test_everything_comes_back_from_plain_values(words: tuple[str, ...]) -> None:
    run, other = run_of(*words), run_of(*words, "seed=1")
    state = state_of(run)
    run.arithmetic.differentiate(run.parameters.weights[0].sum())
    for _ in range(3):
        run.parameters.grad.normal_()
        run.update(state, 1.0)
        state.step += 1
    back = other.load_plain(run.validated_weights(), run.to_plain(state))
    assert back.step == 3
    assert torch.equal(other.parameters.values, run.parameters.values)
    assert is_equal(other.validated_weights(), run.validated_weights())
    plain, again = run.to_plain(state), other.to_plain(back)
    assert is_equal(plain, again)


def test_validated_weights_are_copies() -> None:
    run = run_of()
    weights = run.validated_weights()
    before = {name: tensor.clone() for name, tensor in weights.items()}
    run.parameters.values.zero_()
    assert is_equal(weights, before)
