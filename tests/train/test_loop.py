"""The loop: events, sums, and what a step does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name

from nnkit.assemble import assemble, prepare
from nnkit.errors import DivergenceError, StorageError
from nnkit.train import checkpoints, loop, persist
from nnkit.train.loop import evaluate, fit, next_event, take_step
from nnkit.train.run import Run
from nnkit.train.state import TrainState
from nnkit.train.stopping import stop_when
from tests.trained import Watcher, config_of, run_of, state_of

SGD = ("optimizer=sgd", "optimizer.lr=0.1", "optimizer.momentum=0")


def fitted(*words: str) -> tuple[Run, TrainState, Watcher, str]:
    """Train without a run folder."""
    run, watcher = run_of(*words), Watcher()
    state = state_of(run)
    reason = fit(run, state, [watcher], stop_when(run.trainer))
    return run, state, watcher, reason


def test_accumulated_batches_equal_a_large_one() -> None:
    small = fitted(*SGD, "batching.batch_size=8", "batching.accumulate=4")[0]
    large = fitted(*SGD, "batching.batch_size=32")[0]
    torch.testing.assert_close(small.parameters.values, large.parameters.values, rtol=1e-6, atol=1e-6)


def test_step_is_the_gradient_of_the_mean_loss_and_the_penalty() -> None:
    run = run_of(*SGD, "regularization.l2=0.3", "regularization.l1=0.2")
    state = state_of(run)
    batch = next(run.train.epoch(0))
    model = run.model
    loss = F.cross_entropy(model(*batch.inputs), batch.target)
    for p in model.parameters():
        if p.dim() >= 2:
            loss = loss + 0.3 / 2 * p.square().sum() + 0.2 * p.abs().sum()
    grads = torch.autograd.grad(loss, list(model.parameters()))
    expected = [p.detach() - 0.1 * g for p, g in zip(model.parameters(), grads, strict=True)]
    take_step(run, batch, state)
    for p, wanted in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(p.detach(), wanted)
    assert (state.step, state.position, state.samples) == (1, 1, 20)


def test_class_weights_divide_by_their_sum_as_torch_does() -> None:
    run = run_of("loss=cross_entropy", "loss.class_weights=[1.0,2.0,5.0]")
    batch = next(run.train.epoch(0))
    expected = F.cross_entropy(run.model(*batch.inputs).detach(), batch.target, torch.tensor([1.0, 2.0, 5.0]))
    state = state_of(run)
    take_step(run, batch, state)
    assert state.loss_total / state.loss_weight == pytest.approx(float(expected), rel=1e-6)


def test_dropout_of_a_step_depends_on_its_number_alone() -> None:
    words = ("regularization.dropout=0.5", *SGD)
    first, second = run_of(*words), run_of(*words)
    torch.rand(17)
    take_step(first, next(first.train.epoch(0)), state_of(first))
    take_step(second, next(second.train.epoch(0)), state_of(second))
    assert torch.equal(first.parameters.values, second.parameters.values)
    third = run_of(*words)
    later = state_of(third)
    later.step = 1
    take_step(third, next(third.train.epoch(0)), later)
    assert not torch.equal(first.parameters.values, third.parameters.values)


@pytest.mark.parametrize("words", [("regularization.dropout=0.5",), ("trainer.ema_decay=0.9",), ("model.norm=batch",)])
def test_evaluation_is_the_mean_over_all_samples_in_evaluation_mode(words: tuple[str, ...]) -> None:
    run = fitted(*words, "batching.eval_batch_size=7")[0]
    found = evaluate(run, run.val)
    run.model.eval()
    with torch.no_grad(), run.averaged_weights():
        outputs = run.model(*run.val.samples.inputs)
    target = run.val.samples.target
    assert found["loss"] == pytest.approx(float(F.cross_entropy(outputs, target)), rel=1e-6)
    assert found["accuracy"] == pytest.approx(float((outputs.argmax(1) == target).double().mean()))


def test_training_values_are_means_over_the_epoch() -> None:
    words = ("batching.batch_size=1", "optimizer.lr=1e-30", "trainer.max_epochs=1")  # 98 steps that change nothing
    run, _, watcher, _ = fitted(*words)
    expected = evaluate(run, run.train)
    values = watcher.records[0].values
    assert values["train/loss"] == pytest.approx(expected["loss"], rel=1e-6)
    assert values["train/accuracy"] == pytest.approx(expected["accuracy"])
    assert values["lr"] == 1e-30


def test_training_values_start_anew_with_each_epoch() -> None:
    records = fitted("optimizer.lr=1e-30")[2].records
    assert len(records) == 3
    first, *rest = [r.values["train/loss"] for r in records]
    assert rest == pytest.approx([first, first], rel=1e-6)


@pytest.mark.parametrize(
    ("words", "step", "position", "expected"),
    [
        ((), 0, 0, 5),
        ((), 7, 2, 10),
        (("trainer.validate_every=null", "trainer.validate_every_steps=3"), 7, 2, 9),
        (("trainer.checkpoint_every=4",), 7, 2, 8),
        (("trainer.checkpoint_every=4",), 8, 3, 10),
        (("trainer.max_steps=9",), 7, 2, 9),
        (("trainer.max_steps=7",), 7, 2, 8),
    ],
)
def test_next_event_is_the_nearest(words: tuple[str, ...], step: int, position: int, expected: int) -> None:
    run = run_of(*words)
    assert next_event(run, TrainState(15, step=step, epoch=step // 5, position=position)) == expected


@pytest.mark.parametrize(
    ("words", "steps", "validated"),
    [
        ((), [5, 10, 15], [5, 10, 15]),
        (("trainer.validate_every=2",), [5, 10, 15], [10]),
        (("trainer.validate_every=null", "trainer.validate_every_steps=4"), [4, 5, 8, 10, 12, 15], [4, 8, 12]),
        (("trainer.validate_every=null", "trainer.validate_every_steps=5"), [5, 10, 15], [5, 10, 15]),
        (("trainer.max_steps=7",), [5], [5]),
    ],
)
def test_records_and_validations_come_when_they_are_due(
    words: tuple[str, ...], steps: list[int], validated: list[int]
) -> None:
    records = fitted(*words)[2].records
    assert [r.step for r in records] == steps
    assert [r.step for r in records if "val/loss" in r.values] == validated
    assert [r.epoch for r in records] == [(step - 1) // 5 + 1 for step in steps]


@pytest.mark.parametrize(
    ("words", "reason", "step"),
    [
        ((), "max_epochs", 15),
        (("trainer.max_steps=7",), "max_steps", 7),
        (("trainer.max_time_s=1e-9",), "max_time_s", 0),
    ],
)
def test_limits_end_the_training(words: tuple[str, ...], reason: str, step: int) -> None:
    _, state, _, found = fitted(*words)
    assert (found, state.step) == (reason, step)


def test_patience_ends_the_training_after_as_many_validations_without_a_better_one() -> None:
    words = ("optimizer=sgd", "optimizer.lr=3", "trainer.max_epochs=60", "trainer.patience=4")
    _, state, watcher, reason = fitted(*words)
    losses = [r.values["val/loss"] for r in watcher.records]
    assert reason == "patience"
    assert len(losses) - 1 - losses.index(min(losses)) == 4
    assert state.best is not None
    assert (state.best.value, state.best.epoch) == (min(losses), losses.index(min(losses)) + 1)


def test_monitored_accuracy_is_better_when_it_is_higher() -> None:
    _, state, watcher, _ = fitted("trainer.monitor=val/accuracy", "optimizer.lr=0.02")
    values = [r.values["val/accuracy"] for r in watcher.records]
    assert state.best is not None
    assert state.best.value == max(values)
    assert max(values) > values[0]


def test_plateau_cuts_the_rate_when_the_score_stays() -> None:
    words = ("optimizer.lr=1e-30", "scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5")
    rates = [r.values["lr"] for r in fitted(*words)[2].records]
    assert rates == [1e-30, 1e-30, 0.5e-30]


@pytest.mark.parametrize(("monitor", "sign"), [("val/loss", -1.0), ("val/accuracy", 1.0)])
def test_plateau_and_patience_know_which_way_is_better(monitor: str, sign: float) -> None:
    run = run_of("scheduler=plateau", "scheduler.patience=0", "scheduler.factor=0.5", f"trainer.monitor={monitor}")
    state = state_of(run)
    factors, waited = [], []
    for value in (1.0, 2.0, 3.0, 2.5):
        loop.note_score(run, state, {monitor.removeprefix("val/"): sign * value})
        factors.append(state.plateau.factor)
        waited.append(state.waited)
    assert (factors, waited) == ([1.0, 1.0, 1.0, 0.5], [0, 0, 0, 1])
    assert state.best is not None
    assert state.best.value == sign * 3.0


def test_every_sink_is_told_to_sync_before_each_save() -> None:
    watcher = fitted("trainer.checkpoint_every=4")[2]
    assert watcher.saves == 1  # without a folder only the end is one


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_reduced_precision_learns(precision: str) -> None:
    run = fitted(f"trainer.precision={precision}", "optimizer.lr=0.02", "trainer.max_epochs=25")[0]
    assert evaluate(run, run.train)["accuracy"] > 0.9
    assert run.parameters.values.dtype == torch.float32


@pytest.mark.parametrize(
    "words",
    [
        ("optimizer=sgd", "optimizer.lr=1e6", "data=diabetes"),
        ("optimizer=sgd", "optimizer.lr=1e6", "data=digits"),
        ("optimizer.lr=1e6", "data=digits", "trainer.max_epochs=20"),
        ("optimizer.lr=1e6", "data=diabetes", "trainer.max_epochs=20"),
    ],
)
def test_divergence_tells_where_and_leaves_good_checkpoints(tmp_path: Path, words: tuple[str, ...]) -> None:
    config = config_of(*words, "trainer.checkpoint_every=1", "trainer.patience=null")
    folder = tmp_path / "checkpoints"
    run = assemble(prepare(config), folder)
    state = state_of(run)
    with pytest.raises(DivergenceError, match=r"in epoch \d+, (by )?step \d+") as caught:
        fit(run, state, [], stop_when(run.trainer))
    problem = caught.value.problems[0]
    assert "(lr 1e+06)" in problem.text
    assert "optimizer.lr=1e+05" in problem.hint
    _, weights, _, skipped = checkpoints.newest(folder)
    assert skipped == []
    assert all(bool(w.isfinite().all()) for w in weights.values())


class FullDisk(Watcher):
    """A sink whose file cannot be synced, at some of the saves."""

    def __init__(self, refused: set[int]) -> None:
        super().__init__()
        self._refused = refused

    def sync(self) -> None:
        super().sync()
        if self.saves in self._refused:
            raise StorageError("cannot write x: No space left on device (errno 28)", hint="free some space")


def saved(refused: set[int], tmp_path: Path) -> tuple[Run, Watcher]:
    """Train 15 steps with a save every 3, some of which are refused."""
    run = assemble(prepare(config_of("trainer.checkpoint_every=3")), tmp_path)
    watcher = FullDisk(refused)
    fit(run, state_of(run), [watcher], stop_when(run.trainer))
    return run, watcher


def test_a_refused_save_is_told_and_the_next_one_tries_again(tmp_path: Path) -> None:
    run, watcher = saved({1, 2, 4}, tmp_path)
    assert (run.checkpoints.saved_step, run.checkpoints.failed) == (15, 0)
    full = "could not be saved, the next save tries again: cannot write x: No space left on device (errno 28)"
    assert watcher.warnings == [f"step {step} {full}" for step in (3, 6, 12)]


def test_the_third_refusal_in_a_row_ends_the_training(tmp_path: Path) -> None:
    with pytest.raises(
        StorageError, match=r"3 saves in a row have failed, the last one at step 12: cannot write x"
    ) as caught:
        saved({2, 3, 4}, tmp_path)
    assert caught.value.exit_code == 5
    assert caught.value.problems[0].hint == "free some space; then nnkit resume"
    assert checkpoints.pointed(tmp_path, "last").name == "step-00000003"


def test_the_last_save_is_tried_three_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "WAIT_S", 0.0)
    run, watcher = saved({4, 5, 6}, tmp_path)
    assert run.checkpoints.saved_step == 15
    assert [text.rpartition(" ")[2] for text in watcher.warnings] == ["28)", "28)", "again"]
