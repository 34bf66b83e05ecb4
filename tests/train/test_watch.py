"""What has to stay finite, and what becomes of a training that does not."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from nnkit.assemble import assemble, prepare
from nnkit.errors import DivergenceError
from nnkit.train import watch
from nnkit.train.loop import fit, note_score
from nnkit.train.run import Run
from nnkit.train.state import TrainState
from nnkit.train.stopping import stop_when
from nnkit.train.watch import CHECK_EVERY, FEWEST_IN_A_ROW, MOST_IN_A_ROW, check_late, most_in_a_row
from tests.faults.numbers import Fault, saved_badly
from tests.trained import Watcher, config_of, run_of, state_of

GOOD = torch.tensor(True)
FEW = ("batching.batch_size=3",)  # 33 steps an epoch


def test_what_is_read_late_adds_up_and_names_its_own_step() -> None:
    run = run_of()
    state = state_of(run)
    run.unread.extend((k, [torch.tensor(2.0 * k), torch.tensor(2.0), GOOD]) for k in (1, 2, 3))
    check_late(run, state)
    assert (state.loss_total, state.loss_weight, state.first_loss) == (12.0, 6.0, 1.0)
    assert run.unread == []
    state.step = 9
    late = [torch.tensor(math.nan if k > 5 else 1.0) for k in (5, 6, 7)]
    run.unread.extend((k, [x, torch.tensor(2.0), GOOD]) for k, x in zip((5, 6, 7), late, strict=True))
    with pytest.raises(DivergenceError, match=r"training loss became nan in epoch 2, step 6 \(lr 0.001\)"):
        check_late(run, state)


@pytest.mark.parametrize(
    ("total", "weight", "diverged"),
    [
        (1.0, 1.0, False),
        (math.nan, 1.0, True),
        (math.inf, 1.0, True),
        (1.0, 0.0, True),
        (2e8, 1.0, True),
        (0.9e8, 1.0, False),
    ],
)
def test_loss_that_is_not_finite_or_has_exploded_is_a_divergence(total: float, weight: float, diverged: bool) -> None:
    run = run_of()
    state = state_of(run)
    watch.add_loss(run, state, 1.0, 1.0, 1)
    if diverged:
        with pytest.raises(DivergenceError, match="step 2"):
            watch.add_loss(run, state, total, weight, 2)
    else:
        watch.add_loss(run, state, total, weight, 2)
        assert state.loss_total == 1.0 + total


def test_last_good_checkpoint_is_named() -> None:
    run = run_of()
    run.checkpoints.saved_step = 4
    with pytest.raises(DivergenceError) as caught:
        watch.add_loss(run, state_of(run), math.nan, 1.0, 6)
    assert "last good checkpoint is step 4" in caught.value.problems[0].hint


def failing(step: int, *words: str, times: int = 1000, kind: str = "loss") -> tuple[Run, TrainState]:
    """Return a training that fails from a step on, and where it stands behind its end."""
    run = run_of(*words)
    state = state_of(run)
    Fault(run, state, kind, step, times)
    return run, state


def fitted(run: Run, state: TrainState) -> Watcher:
    watcher = Watcher()
    fit(run, state, [watcher], stop_when(run.trainer))
    return watcher


@pytest.mark.parametrize("is_late", [False, True])
def test_an_endless_series_of_steps_that_are_left_out_ends_the_training(is_late: bool) -> None:
    run = run_of("trainer.on_nonfinite=skip", "trainer.max_epochs=20", *FEW)
    run.watches_late = is_late
    state, step = state_of(run), 3

    def fail(model: torch.nn.Module, _: object, outputs: torch.Tensor) -> torch.Tensor:
        return outputs * math.nan if model.training and state.step >= step else outputs

    run.model.register_forward_hook(fail)
    with pytest.raises(DivergenceError, match=f"{MOST_IN_A_ROW} steps in a row were left out") as caught:
        fitted(run, state)
    assert "training loss became nan in epoch 2, step 35 " in str(caught.value)
    assert state.skipped == MOST_IN_A_ROW - 1
    assert bool(run.parameters.values.isfinite().all())


@pytest.mark.parametrize("is_late", [False, True])
def test_an_epoch_of_which_nothing_is_left_ends_the_training(is_late: bool) -> None:
    run = run_of("trainer.on_nonfinite=skip", "trainer.max_epochs=20", "batching.batch_size=10")  # 10 steps an epoch
    run.watches_late = is_late
    state = state_of(run)

    def fail(model: torch.nn.Module, _: object, outputs: torch.Tensor) -> torch.Tensor:
        return outputs * math.nan if model.training and state.step >= 3 else outputs

    run.model.register_forward_hook(fail)
    with pytest.raises(DivergenceError, match=r"step 13 .*; 10 steps in a row were left out"):
        fitted(run, state)
    few = run_of("trainer.on_nonfinite=skip")
    assert (len(few.train), most_in_a_row(few)) == (5, FEWEST_IN_A_ROW)


@pytest.mark.parametrize("is_late", [False, True])
def test_steps_that_are_left_out_now_and_then_do_not_end_the_training(is_late: bool) -> None:
    run = run_of("trainer.on_nonfinite=skip", "trainer.max_steps=100", "trainer.max_epochs=20", *FEW)
    run.watches_late = is_late
    state = state_of(run)

    def fail(model: torch.nn.Module, _: object, outputs: torch.Tensor) -> torch.Tensor:
        return outputs * math.nan if model.training and state.step % 31 else outputs

    run.model.register_forward_hook(fail)
    fitted(run, state)
    assert (state.step, state.skipped) == (100, 96)


@pytest.mark.parametrize("policy", ["stop", "skip"])
@pytest.mark.parametrize("is_late", [False, True])
def test_scales_of_fp16_that_are_too_large_are_no_failure_but_without_end_they_are(policy: str, is_late: bool) -> None:
    words = ("trainer.precision=fp16", f"trainer.on_nonfinite={policy}", "trainer.max_epochs=20")
    run = run_of(*words)
    run.watches_late = is_late
    state, bad = state_of(run), {1, 2, 3, 9}

    def overflow(model: torch.nn.Module, _: object, outputs: torch.Tensor) -> torch.Tensor:
        if model.training and (state.step in bad or state.step >= 40):
            outputs.register_hook(lambda grad: grad * math.inf)
        return outputs

    run.model.register_forward_hook(overflow)
    with pytest.raises(DivergenceError, match=f"{MOST_IN_A_ROW} steps in a row were left out") as caught:
        fitted(run, state)
    assert f"step {40 + MOST_IN_A_ROW} " in str(caught.value)
    assert str(caught.value).count("in a row") == 1
    assert state.skipped == 0


@pytest.mark.parametrize("is_late", [False, True])
def test_a_clipped_value_hides_no_infinite_gradient(is_late: bool) -> None:
    run = run_of("trainer.clip_value=1")
    run.watches_late = is_late
    state = state_of(run)

    def overflow(model: torch.nn.Module, _: object, outputs: torch.Tensor) -> torch.Tensor:
        if model.training and state.step == 3:
            outputs.register_hook(lambda grad: grad.sign() * 3e38)
        return outputs

    run.model.register_forward_hook(overflow)
    with pytest.raises(DivergenceError, match=r"gradient norm became .* in epoch 1, step 4 "):
        fitted(run, state)


def test_where_looking_is_dear_it_is_done_every_so_many_steps_and_before_each_save(tmp_path: Path) -> None:
    words = ("batching.batch_size=1", "trainer.max_epochs=1", "trainer.checkpoint_every=90")  # 98 steps
    run = assemble(prepare(config_of(*words)), tmp_path)
    run.watches_late = True
    state = state_of(run)
    Fault(run, state, "loss", 3)
    with pytest.raises(DivergenceError, match="training loss became nan in epoch 1, step 4 "):
        fitted(run, state)
    assert 3 < state.step <= 1 + CHECK_EVERY
    assert list(tmp_path.iterdir()) == []
    later = assemble(prepare(config_of(*words)), tmp_path)
    later.watches_late = True
    state = state_of(later)
    Fault(later, state, "gradient", 88)
    with pytest.raises(DivergenceError, match="a gradient or a weight became nan or infinite in epoch 1, step 89 "):
        fitted(later, state)
    assert list(tmp_path.iterdir()) == []


def test_a_monitored_value_that_is_not_finite_is_told_and_never_the_best() -> None:
    run = run_of("trainer.on_nonfinite=skip", "trainer.monitor=val/accuracy")
    state = state_of(run)
    state.step = 5
    note_score(run, state, {"loss": 1.0, "accuracy": 0.5})
    state.step = 10
    note_score(run, state, {"accuracy": math.inf})
    assert state.best is not None
    assert (state.best.step, state.waited) == (5, 1)
    assert run.untold == ["val/accuracy became inf in epoch 2, step 10 (lr 0.001): it is not the best"]
    run = run_of("trainer.monitor=val/accuracy")
    with pytest.raises(DivergenceError, match=r"val/accuracy became nan in epoch 1, step 5 \(lr 0.001\)") as caught:
        note_score(run, TrainState(15, step=5), {"accuracy": math.nan})
    assert "trainer.on_nonfinite=rollback" in caught.value.problems[0].hint


def test_a_buffer_may_hold_infinities_from_the_start_but_may_not_come_to_hold_them(tmp_path: Path) -> None:
    words = ("model.norm=batch", "optimizer.lr=0.02")
    run = run_of(*words)
    run.model.register_buffer("mask", torch.full((2,), -math.inf))
    run.check_weights(state_of(run))
    name, mean = next((name, x) for name, x in run.model.named_buffers() if name.endswith("running_mean"))
    mean[0] = math.inf
    with pytest.raises(DivergenceError, match=f"buffer {name} became nan or infinite in epoch 1, by step 0"):
        run.check_weights(state_of(run))
    run = run_of(*words)
    run.optimizer.state["square"][1] = math.inf
    with pytest.raises(DivergenceError, match="the optimizer's square became nan or infinite"):
        run.check_weights(state_of(run))
    assert saved_badly(tmp_path) is None
