"""The norms of gradients by parameter, against autograd."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from nnkit.run import resume, train
from nnkit.runs import new_folder
from nnkit.train.loop import take_step
from nnkit.train.norms import read_norms
from nnkit.train.run import Run
from tests.test_run_resume import assert_same_run, stopped
from tests.trained import config_of, events, run_of, state_of

pytestmark = pytest.mark.usefixtures("on_one_thread")

ADDING = ("data=adding", "data.samples=30", "batching.batch_size=8")
NORMS = ("trainer.gradient_norms=true", "trainer.max_epochs=2", "optimizer.lr=1e-30")


def mean_norms(run: Run, epoch: int) -> dict[str, float]:
    """Return the mean over an epoch's batches of each parameter's gradient norm, by autograd."""
    sums = dict.fromkeys(run.parameters.names, 0.0)
    batches = list(run.train.epoch(epoch))
    for batch in batches:
        loss = F.mse_loss(run.model(*batch.inputs), batch.target)
        loss = loss + 0.3 / 2 * sum(p.square().sum() for p in run.model.parameters() if p.dim() > 1)
        named = dict(run.model.named_parameters())
        for name, gradient in zip(named, torch.autograd.grad(loss, list(named.values())), strict=True):
            sums[name] += float(gradient.norm())
    return {f"grad/{name}": total / len(batches) for name, total in sums.items()}


def test_norms_are_means_over_the_epoch_of_gradients_with_penalty_and_before_clipping() -> None:
    words = (*ADDING, *NORMS, "model=gru", "model.hidden_size=5", "regularization.l2=0.3", "trainer.clip_norm=0.01")
    config = config_of(*words)
    told, run = events(train(config, new_folder(config)).folder), run_of(*words)
    for epoch, event in enumerate(told):
        found = {name: value for name, value in event.items() if name.startswith("grad/")}
        assert found == pytest.approx(mean_norms(run, epoch), rel=1e-4)
    assert len(told) == 2
    assert told[0]["grad/rnn.weight_hh_l0"] != pytest.approx(told[1]["grad/rnn.weight_hh_l0"], rel=1e-3)


def test_norms_are_not_taken_where_nobody_asks() -> None:
    run = run_of(*ADDING, "model=gru")
    state = state_of(run)
    take_step(run, next(run.train.epoch(0)), state)
    assert state.gradient_norms is None
    assert read_norms(run.parameters, state) == {}


def test_norms_of_an_epoch_survive_a_stop_in_its_middle() -> None:
    config = config_of("trainer.gradient_norms=true")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=3)
    assert_same_run(folder, resume(config, folder), whole)
    assert "grad/output.weight" in events(folder)[0]


def norms_of_a_step(*words: str) -> dict[str, float]:
    run = run_of(*ADDING, *NORMS, "model=gru", "model.hidden_size=5", *words)
    state = state_of(run)
    take_step(run, next(run.train.epoch(0)), state)
    return read_norms(run.parameters, state)


def test_norms_of_half_precision_are_those_of_gradients_that_are_not_scaled() -> None:
    assert norms_of_a_step("trainer.precision=fp16") == pytest.approx(norms_of_a_step(), rel=0.05)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_a_step_whose_gradient_overflows_counts_in_no_mean(bad: float) -> None:
    run = run_of(*ADDING, *NORMS, "model=gru", "trainer.precision=fp16")
    state, batch = state_of(run), next(run.train.epoch(0))

    def overflow() -> None:
        run.parameters.grad.zero_()
        run.arithmetic.differentiate(run.parameters.weights[0].sum())
        run.parameters.grad[3] = bad
        run.update(state, 1.0)

    overflow()
    assert read_norms(run.parameters, state) == {}
    take_step(run, batch, state)
    wanted = read_norms(run.parameters, state)
    overflow()
    assert read_norms(run.parameters, state) == wanted
    assert all(math.isfinite(norm) and norm > 0 for norm in wanted.values())
