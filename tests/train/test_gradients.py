"""Gradients along the steps of a sequence, against hand computations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nnkit.models.layout import SequenceLayout
from nnkit.models.recurrent import Recurrent
from nnkit.train import gradients
from nnkit.train.gradients import PROBED, along_time, longest, warning
from nnkit.train.run import Run
from tests.data.pictures import made, write_picture
from tests.models.sequence_nets import as_torch, padded, randomised, recurrent
from tests.trained import Watcher, run_of, trained

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


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("varying", [False, True])
def test_the_gradient_grows_by_the_factor_of_the_recurrence_with_each_step(factor: float, varying: bool) -> None:
    run = linear_run(factor, "data.length=12", *(("data.min_length=4",) if varying else ()))
    x, lengths = torch.rand(5, 12, 2), torch.tensor([12, 4, 9, 12, 6])
    norms = along_time(run.model.eval(), (x, lengths) if varying else (x,))
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
    found = along_time(model, (x, lengths))
    assert found is not None
    torch.testing.assert_close(found, sums / counts, atol=1e-6, rtol=1e-4)


def test_words_are_looked_at_by_their_vectors() -> None:
    model = recurrent("gru", SequenceLayout(0, 6, 5), num_layers=2).eval()
    found = along_time(model, (torch.randint(6, (4, 5)),))
    assert found is not None
    assert found.shape == (5,)
    assert bool((found > 0).all())


def test_looking_leaves_the_network_as_it_was() -> None:
    run = linear_run(1.0, "data.length=6")
    before = run.parameters.grad.clone()
    along_time(run.model, (torch.rand(3, 6, 2),))
    assert torch.equal(run.parameters.grad, before)
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in run.model.modules())
    assert along_time(run_of().model, (torch.rand(3, 4),)) is None


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


@pytest.mark.parametrize("words", [(), ("batching.eval_batch_size=20",)], ids=["one batch", "several"])
def test_the_longest_sequences_of_validation_are_looked_at(words: tuple[str, ...]) -> None:
    run = linear_run(2.0, "data.samples=400", "data.length=20", "data.min_length=2", "data.val_fraction=0.4", *words)
    assert (len(run.val) > 1) == bool(words)
    x, lengths = longest(run.val, PROBED)
    held = run.val.samples.lengths
    assert held is not None
    assert lengths.tolist() == sorted(held.tolist(), reverse=True)[:PROBED]
    assert x.shape == (PROBED, 20, 2)
    told = warning(run)
    assert told is not None
    assert "over 20 steps" in told


@pytest.mark.parametrize("varying", [(), ("data.min_length=39",)], ids=["even", "varying"])
@pytest.mark.parametrize(("steps", "expected"), [(14, None), (15, "over 15 steps"), (500, "over 40 steps")])
def test_steps_that_truncation_never_reaches_are_not_looked_at(
    steps: int, expected: str | None, varying: tuple[str, ...]
) -> None:
    told = warning(linear_run(0.5, "data.length=40", f"trainer.tbptt_steps={steps}", *varying))
    assert (told is None) == (expected is None)
    assert told is None or expected is None or expected in told


@pytest.mark.parametrize(("states", "looked_at"), [(1, 1), (2 * 3 * 12 + 1, 2), (10**9, 6)])
def test_fewer_samples_are_looked_at_where_their_states_are_large(
    states: int, looked_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = linear_run(1.0, "data.length=12", "data.val_fraction=0.2")
    seen = []
    run.model.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    monkeypatch.setattr(gradients, "PROBED_STATES", states)
    warning(run)
    assert (len(run.val.samples), seen) == (6, [looked_at])


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


def test_pictures_that_are_read_while_training_are_looked_at_too() -> None:
    for number in range(40):
        write_picture(Path("photos") / "ab"[number % 2] / f"{number}.png", made(8, 8, seed=number))
    path = Path("photos").absolute()
    words = ("data=images", f"data.path={path}", "data.in_memory=false", "data.cache=null", "data.size=[8,8]")
    run = run_of(*words, "model=gru", "model.hidden_size=4", "data.val_fraction=0.3")
    assert run.val.samples.files is not None
    (x,) = longest(run.val, 5)
    assert (x.shape[0], x.shape[2:]) == (5, (8, 8))
    assert warning(run) is None
