"""Gradients along the steps of a sequence and by parameter, against hand computations."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor

from nnkit.data.batches import Batch
from nnkit.models.layout import SequenceLayout
from nnkit.models.recurrent import Recurrent
from nnkit.run import resume, train
from nnkit.runs import new_folder
from nnkit.train.gradients import PROBED, along_time, read_norms, warning
from nnkit.train.loop import take_step
from nnkit.train.run import Run
from tests.models.sequence_nets import as_torch, padded, randomised, recurrent
from tests.test_run_resume import assert_same_run, stopped
from tests.trained import Watcher, config_of, events, run_of, state_of, trained

pytestmark = pytest.mark.usefixtures("on_one_thread")

ADDING = ("data=adding", "data.samples=30", "batching.batch_size=8")
RELU = ("model=rnn", "model.nonlinearity=relu", "model.hidden_size=3")


def linear_run(factor: float, *words: str) -> Run:
    """Return a run whose recurrence multiplies the state by a factor: with positive inputs nothing is ever cut off."""
    run = run_of(*ADDING, *RELU, *words)
    model = run.model
    assert isinstance(model, Recurrent)
    with torch.no_grad():
        w, u, b, c = model.rnn.weights(0, "")
        w.copy_(torch.tensor([[0.5, 1.0], [2.0, 0.25], [1.0, 1.0]]))
        u.copy_(factor * torch.eye(3))
        b.zero_()
        c.zero_()
    return run


def plain(x: Tensor, lengths: Tensor | None = None) -> Batch:
    inputs = (x,) if lengths is None else (x, lengths)
    return Batch(inputs, torch.zeros(len(x)), torch.ones(len(x)), torch.arange(len(x)))


# along the steps


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("varying", [False, True])
def test_the_gradient_grows_by_the_factor_of_the_recurrence_with_each_step(factor: float, varying: bool) -> None:
    run = linear_run(factor, "data.length=12", *(("data.min_length=4",) if varying else ()))
    x, lengths = torch.rand(5, 12, 2), torch.tensor([12, 4, 9, 12, 6])
    norms = along_time(run.model.eval(), plain(x, lengths if varying else None))
    one = torch.tensor([3.5, 2.25]).norm()  # of the sums of the columns of W
    assert norms is not None
    torch.testing.assert_close(norms, one * factor ** torch.arange(12.0))


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_norms_are_those_of_torchs_own_modules_step_by_step(kind: str, bidirectional: bool) -> None:
    layout = SequenceLayout(3, steps=7, has_lengths=True)
    model = recurrent(kind, layout, bidirectional=bidirectional, summary="mean").eval()
    x, lengths = padded([torch.randn(n, 3) for n in (7, 2, 5)], 0.0)
    sums, counts = torch.zeros(7), torch.zeros(7)
    for steps, n in zip(x, lengths.tolist(), strict=True):
        given = steps[None, :n].clone().requires_grad_()
        out, _ = as_torch(model)(given)
        (gradient,) = torch.autograd.grad(out[0, -1, :5].sum(), given)
        sums[:n] += gradient[0].flip(0).norm(dim=1)
        counts[:n] += 1
    found = along_time(model, plain(x, lengths))
    assert found is not None
    torch.testing.assert_close(found, sums / counts, atol=1e-6, rtol=1e-4)


def test_words_are_looked_at_by_their_vectors() -> None:
    model = recurrent("gru", SequenceLayout(0, 6, 5), num_layers=2).eval()
    found = along_time(model, plain(torch.randint(6, (4, 5))))
    assert found is not None
    assert found.shape == (5,)
    assert bool((found > 0).all())


def test_looking_leaves_the_network_as_it_was() -> None:
    run = linear_run(1.0, "data.length=6")
    before = run.parameters.grad.clone()
    batch = plain(torch.rand(3, 6, 2))
    along_time(run.model, batch)
    assert torch.equal(run.parameters.grad, before)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in run.model.modules())
    assert along_time(run_of().model, plain(torch.rand(3, 4))) is None


@pytest.mark.parametrize(
    ("factor", "steps", "expected"),
    [
        (0.5, 14, None),
        (0.5, 15, "the recurrent gradient shrinks 2e+04 times over 15 steps: early steps are hardly learned from"),
        (2.0, 14, None),
        (2.0, 15, "the recurrent gradient grows 2e+04 times over 15 steps: training may diverge"),
        (1.0, 40, None),
    ],
)
def test_a_ratio_over_ten_thousand_is_told(factor: float, steps: int, expected: str | None) -> None:
    told = warning(linear_run(factor, f"data.length={steps}"))
    assert (told is None) == (expected is None)
    assert told is None or expected is None or told.startswith(expected)


def test_the_longest_sequences_of_validation_are_looked_at() -> None:
    run = linear_run(2.0, "data.samples=400", "data.length=20", "data.min_length=2", "data.val_fraction=0.4")
    assert len(next(iter(run.val.epoch(0)))) > 2 * PROBED
    told = warning(run)
    assert told is not None
    assert "over 20 steps" in told


def test_a_gradient_that_is_gone_is_told_without_a_number() -> None:
    told = warning(linear_run(0.0, "data.length=5"))
    assert told is not None
    assert told.startswith("the recurrent gradient shrinks to nothing, over 5 steps")


def test_a_gradient_that_comes_from_nothing_is_told_without_a_number() -> None:
    run = linear_run(1.0, "data.length=5")
    model = run.model
    assert isinstance(model, Recurrent)
    with torch.no_grad():  # the last step moves two states against each other, which then fare differently
        w, u, b, _ = model.rnn.weights(0, "")
        w.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]))
        b.fill_(100.0)
        u.copy_(torch.diag(torch.tensor([1.0, 0.5, 1.0])))
    told = warning(run)
    assert told is not None
    assert told.startswith("the recurrent gradient grows without end over 5 steps")


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("model=rnn", "model.nonlinearity=tanh"), "try model=lstm, model.summary=mean, or shorter sequences"),
        (("model=gru",), "try model=lstm, model.summary=mean"),
        (("model=lstm",), "try a larger model.forget_bias, model.summary=mean"),
    ],
)
def test_the_advice_against_vanishing_fits_the_network(words: tuple[str, ...], advice: str) -> None:
    run = run_of(*ADDING, "data.length=40", *words)
    with torch.no_grad():
        randomised(run.model)
        run.parameters.values.mul_(0.02)
    told = warning(run)
    assert told is not None
    assert advice in told


@pytest.mark.parametrize(
    "words", [("data=iris",), ("data=parity", "data.samples=30", "data.length=1", "model=rnn")], ids=["mlp", "one step"]
)
def test_there_is_nothing_to_tell_without_recurrence_or_without_a_second_step(words: tuple[str, ...]) -> None:
    assert warning(run_of(*words)) is None


def test_a_run_tells_it_before_the_first_step_and_at_the_end() -> None:
    watcher = Watcher()
    words = (*ADDING, "data.length=40", "model=lstm", "model.hidden_size=4", "model.forget_bias=-6")
    result = trained(*words, "trainer.max_epochs=1", sinks=(watcher,))
    assert watcher.info is not None
    (before,) = watcher.info.notes
    assert before.startswith("before training, the recurrent gradient shrinks")
    (after,) = result.notes
    assert after.startswith("the recurrent gradient shrinks")


def test_a_run_on_images_says_what_its_steps_are() -> None:
    watcher = Watcher()
    trained("data=digits", "data.limit=60", "model=gru", "model.hidden_size=4", sinks=(watcher,))
    assert watcher.info is not None
    assert "model=gru reads the 8 rows of an image as steps, of 8 numbers each" in watcher.info.notes


# by parameter

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
    assert read_norms(run, state) == {}


def test_norms_of_an_epoch_survive_a_stop_in_its_middle() -> None:
    config = config_of("trainer.gradient_norms=true")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=3)
    assert_same_run(folder, resume(config, folder), whole)
    assert "grad/output.weight" in events(folder)[0]
