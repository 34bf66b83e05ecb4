"""Back to the last checkpoint, with a lower learning rate."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nnkit.assemble import assemble, prepare
from nnkit.errors import DivergenceError
from nnkit.train import checkpoints
from nnkit.train.loop import fit
from nnkit.train.state import TrainState
from nnkit.train.stopping import stop_when
from tests.faults.numbers import Fault, overflowed, trial
from tests.trained import Watcher, config_of, is_equal, run_of, state_of, trained

ROLLBACK = "trainer.on_nonfinite=rollback"


def test_before_the_first_save_a_training_goes_back_to_its_beginning() -> None:
    words = (ROLLBACK, "model.norm=batch", "trainer.ema_decay=0.9")
    run, watcher = run_of(*words), Watcher()
    state = state_of(run)
    Fault(run, state, "loss", 7, times=2)
    fit(run, state, [watcher], stop_when(run.trainer))
    assert (state.step, state.rollbacks, state.lowered) == (15, 2, 0.25)
    assert [text.partition("back to ")[2] for text in watcher.warnings] == [
        "step 0, with 0.5 of the learning rate (rollback 1 of 3)",
        "step 0, with 0.25 of the learning rate (rollback 2 of 3)",
    ]
    other = run_of(*words)
    begun = state_of(other)
    Fault(other, begun, "loss", -1)
    begun.lowered = 0.25
    fit(other, begun, [], stop_when(other.trainer))
    assert is_equal(other.validated_weights(), run.validated_weights())


@pytest.mark.parametrize("is_saved", [False, True])
@pytest.mark.parametrize("is_late", [False, True])
def test_an_endless_series_of_overflows_in_fp16_is_gone_back_from(
    is_saved: bool, is_late: bool, tmp_path: Path
) -> None:
    """The last of them leaves a step between the scaler's two halves."""
    assert overflowed(tmp_path, step=3, every=2 if is_saved else 1000, is_late=is_late) is None


def test_there_are_at_most_so_many_rollbacks(tmp_path: Path) -> None:
    words = (ROLLBACK, "trainer.max_rollbacks=2", "trainer.rollback_factor=0.1", "trainer.checkpoint_every=4")
    tried = trial(tmp_path, words, "loss", 6, times=100)
    tried.train()
    text = r"nan in epoch 2, step 7 \(lr 10\), after 2 rollback\(s\), the last one to the beginning, to 0.01 of the"
    with pytest.raises(DivergenceError, match=text) as caught:
        raise tried.error or AssertionError
    assert "trainer.max_rollbacks" in caught.value.problems[0].hint
    assert checkpoints.steps(tmp_path / "checkpoints") == [4]


def test_best_weights_of_steps_that_are_no_more_are_forgotten(tmp_path: Path) -> None:
    run = assemble(prepare(config_of(ROLLBACK, "trainer.checkpoint_every=4")), tmp_path)
    state = state_of(run)
    Fault(run, state, "loss", 6)  # the first validation, after step 5, is behind the save after step 4
    fit(run, state, [], lambda at: "back" if at.rollbacks else None)
    assert state.step == 4
    assert state.best is None
    assert run.checkpoints.best_weights is None


def test_a_damaged_checkpoint_is_skipped_for_the_one_before_it(tmp_path: Path) -> None:
    words = (ROLLBACK, "trainer.checkpoint_every=2", "trainer.keep_last=2")
    run, watcher = assemble(prepare(config_of(*words)), tmp_path), Watcher()
    state = state_of(run)
    Fault(run, state, "loss", 5)
    fit(run, state, [watcher], lambda at: "there" if at.step == 4 else None)
    (tmp_path / "step-00000004" / checkpoints.STATE).write_bytes(b"")
    fit(run, state, [watcher], stop_when(run.trainer))
    assert "skipped a damaged checkpoint" in watcher.warnings[0]
    assert "back to step 2" in watcher.warnings[1]
    assert state.step == 15
    assert {14, 15} <= set(checkpoints.steps(tmp_path))


def test_without_a_whole_checkpoint_the_way_back_is_to_the_beginning(tmp_path: Path) -> None:
    run, watcher = assemble(prepare(config_of(ROLLBACK, "trainer.checkpoint_every=2")), tmp_path), Watcher()
    state = state_of(run)
    Fault(run, state, "loss", 5)
    fit(run, state, [watcher], lambda at: "there" if at.step == 4 else None)
    (tmp_path / "step-00000004" / checkpoints.STATE).write_bytes(b"")
    fit(run, state, [watcher], stop_when(run.trainer))
    assert "has no checkpoint to go on from" in watcher.warnings[0]
    assert "back to step 0" in watcher.warnings[1]
    assert state.step == 15


KEPT = (ROLLBACK, "trainer.max_rollbacks=4", "trainer.checkpoint_every=2", "trainer.keep_last=2")


def test_where_the_first_steps_fail_again_it_goes_further_back(tmp_path: Path) -> None:
    run, watcher = assemble(prepare(config_of(*KEPT)), tmp_path), Watcher()
    state = state_of(run)
    Fault(run, state, "loss", 6, times=4)
    fit(run, state, [watcher], stop_when(run.trainer))
    back = [text.partition("back to ")[2].partition(",")[0] for text in watcher.warnings]
    assert back == ["step 6", "step 4", "step 0", "step 0"]  # step 2 was not kept behind the save of step 6
    assert (state.step, state.rollbacks, state.went_back) == (15, 4, 0)


def test_the_beginning_waits_in_memory_and_the_disk_holds_no_more_than_without_rollbacks(tmp_path: Path) -> None:
    run = assemble(prepare(config_of(*KEPT, "trainer.max_epochs=8")), tmp_path)
    state = state_of(run)
    Fault(run, state, "loss", 6, times=4)
    held: list[set[int]] = []

    def count(now: TrainState) -> None:
        if run.checkpoints.saved_step == now.step:
            held.append(set(checkpoints.steps(tmp_path)))

    fit(run, state, [], stop_when(run.trainer, also=count))
    assert state.rollbacks == 4
    assert len(held) > 20
    assert not any(0 in steps for steps in held)
    assert max(map(len, held)) <= 2 * run.trainer.keep_last  # each with the best weights of its time


def test_from_its_beginning_it_trains_as_a_new_run_does(tmp_path: Path) -> None:
    """Also a run that has been taken up in between, which has its initial weights from the seed alone."""
    words = (ROLLBACK, "model.norm=batch", "optimizer.momentum=0.9", "optimizer=sgd", "trainer.checkpoint_every=4")
    run = assemble(prepare(config_of(*words)), tmp_path)
    fit(run, state_of(run), [], lambda at: "there" if at.step == 5 else None)
    taken_up = assemble(prepare(config_of(*words)), tmp_path)
    _, weights, plain, _ = checkpoints.newest(tmp_path)
    state = taken_up.load_plain(weights, plain)
    taken_up.checkpoints.resumed(state.step, None if state.best is None else state.best.step)
    Fault(taken_up, state, "loss", 6, times=2)
    fit(taken_up, state, [], stop_when(taken_up.trainer))
    assert (state.rollbacks, state.went_back, state.step) == (2, 0, 15)
    other = run_of(*words)
    begun = state_of(other)
    Fault(other, begun, "loss", -1)
    begun.lowered = 0.25
    fit(other, begun, [], stop_when(other.trainer))
    assert is_equal(other.validated_weights(), taken_up.validated_weights())
    assert is_equal(other.optimizer.state, taken_up.optimizer.state)


def test_a_run_that_was_taken_up_does_not_go_back_to_weights_that_it_was_given_once(tmp_path: Path) -> None:
    first = trained("trainer.max_epochs=1").folder
    words = (ROLLBACK, f"model.from_run={first}", "trainer.checkpoint_every=4")
    run = assemble(prepare(config_of(*words)), tmp_path)
    fit(run, state_of(run), [], lambda at: "there" if at.step == 5 else None)
    taken_up = assemble(prepare(config_of(*words)), tmp_path)
    _, weights, plain, _ = checkpoints.newest(tmp_path)
    state = taken_up.load_plain(weights, plain)
    taken_up.checkpoints.resumed(state.step, None if state.best is None else state.best.step)
    Fault(taken_up, state, "loss", 6, times=2)
    with pytest.raises(DivergenceError, match="the weights that the run began with are not at hand"):
        fit(taken_up, state, [], stop_when(taken_up.trainer))


def test_what_has_blown_up_is_left_behind() -> None:
    """A finite checkpoint may hold weights that no learning rate can save; the beginning can."""
    words = ("data=diabetes", "optimizer=sgd", "optimizer.lr=20", "trainer.max_epochs=5", "trainer.checkpoint_every=2")
    result = trained(*words, ROLLBACK, "trainer.max_rollbacks=10")
    assert result.status == "completed"
    assert result.best is not None
    assert result.best["value"] < 2  # of targets whose variance is 1


def test_rollbacks_are_in_the_checkpoints_so_that_a_resume_is_exact(tmp_path: Path) -> None:
    words = (ROLLBACK, "trainer.checkpoint_every=4", "optimizer.lr=0.02")
    run = assemble(prepare(config_of(*words)), tmp_path)
    state = state_of(run)
    Fault(run, state, "loss", 6)
    fit(run, state, [], lambda at: "there" if at.step == 12 else None)
    other = assemble(prepare(config_of(*words)), None)
    _, weights, plain, _ = checkpoints.newest(tmp_path)
    begun = other.load_plain(weights, plain)
    assert (begun.step, begun.rollbacks, begun.lowered) == (12, 1, 0.5)
    Fault(other, begun, "loss", -1)
    for each, where in ((run, state), (other, begun)):
        fit(each, where, [], stop_when(each.trainer))
    assert torch.equal(run.parameters.values, other.parameters.values)


def test_checkpoints_of_before_there_were_rollbacks_are_read() -> None:
    run = run_of()
    plain = run.to_plain(state_of(run))
    for name in ("skipped", "skipped_in_row", "rollbacks", "lowered", "went_back"):
        del plain["train"][name]
    state = run.load_plain(run.validated_weights(), plain)
    assert (state.skipped, state.skipped_in_row, state.rollbacks, state.lowered) == (0, 0, 0, 1.0)
    assert state.went_back is None
