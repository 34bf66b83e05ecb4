"""What has to stay finite: the loss, the gradient, the weights. Looked at in each step, before anything is saved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from nnkit.errors import DivergenceError
from nnkit.train.run import Run, is_finite
from nnkit.train.skip import Before
from nnkit.train.state import TrainState

CHECK_EVERY = 50  # steps between two looks where looking costs a synchronisation
DIVERGED = 1e8  # a loss so many times the first one is a divergence, even while it is finite
# Steps left out one after the other that end the training. Were every second batch bad by chance, so many in a row
# would come once in 2**32 steps; and of fp16's scale, 2**16 at first and halved at each of them, nothing is left.
MOST_IN_A_ROW = 32
MEND_METRIC = "does it divide by zero? mend it, or trainer.on_nonfinite=skip goes on without it"
FEWEST_IN_A_ROW = 8  # of fp16 more may be left out: in an epoch of fewer steps its scale may have to fall for longer


def diverged(run: Run, state: TrainState, what: str, *, step: int) -> DivergenceError:
    """Return the error that says what is not finite, where, and what to do.

    Args:
        run: the training.
        state: where it stands.
        what: became what, such as "training loss became nan".
        step: from 1.
    """
    config, saved = run.optimizer_config, run.checkpoints.saved_step
    last = f"last good checkpoint is step {saved}; " if saved is not None else ""
    other = ", or trainer.on_nonfinite=rollback" if run.trainer.on_nonfinite == "stop" else ""
    epoch = (step - 1) // len(run.train) + 1
    return DivergenceError(
        f"{what} in epoch {epoch}, step {step} (lr {config.lr * run.factor(state):.3g})",
        hint=f"{last}try optimizer.lr={config.lr / 10:.1g}, trainer.clip_norm=1{other}",
    )


def most_in_a_row(run: Run) -> int:
    """Return how many steps in a row may be left out: fewer than a whole epoch, whose data could not be worse."""
    if run.arithmetic.scaler is not None:
        return MOST_IN_A_ROW
    return min(MOST_IN_A_ROW, max(FEWEST_IN_A_ROW, len(run.train)))


def left_out(run: Run, state: TrainState, error: DivergenceError) -> None:
    """Count one more step in a row that is left out. Raises: DivergenceError where there is no end of them."""
    state.skipped_in_row += 1
    if state.skipped_in_row >= (most := most_in_a_row(run)):
        problem, told = error.problems[0], f"; {most} steps in a row were left out"
        raise DivergenceError(problem.text.removesuffix(told) + told, hint=problem.hint) from error


def note_skipped(run: Run, state: TrainState, error: DivergenceError) -> None:
    """Count a step that trainer.on_nonfinite=skip leaves out. Raises: DivergenceError where there is no end of them."""
    left_out(run, state, error)
    state.skipped += 1
    run.untold.append(f"{error.problems[0].text}: the step was left out")


def note_loss(run: Run, state: TrainState, total: Tensor, weight: Tensor) -> None:
    """Add to the epoch's loss; where looking costs nothing, look at it at once. Raises: DivergenceError."""
    if run.watches_late:
        run.unread.append((state.step + 1, [total, weight]))
    else:
        add_loss(run, state, total.item(), weight.item(), state.step + 1)


def add_loss(run: Run, state: TrainState, total: float, weight: float, step: int) -> None:
    """Add one step's loss to the epoch's sums. Raises: DivergenceError when it is not finite, or has exploded."""
    check_loss(run, state, total / weight if weight else float("nan"), step)
    state.loss_total += total
    state.loss_weight += weight


def check_loss(run: Run, state: TrainState, loss: float, step: int) -> None:
    """Look at one step's loss. Raises: DivergenceError when it is not finite, or has exploded."""
    if not abs(loss) <= largest_loss(loss if state.first_loss is None else state.first_loss):
        raise diverged(run, state, f"training loss became {loss:.3g}", step=step)
    if state.first_loss is None:
        state.first_loss = loss


def largest_loss(first: float) -> float:
    """Return up to what a loss is none that has exploded, by the training's first one."""
    return DIVERGED * max(1.0, abs(first))


def note_gradient(run: Run, state: TrainState) -> None:
    """Look at the gradient, no longer scaled and not clipped, where the update could hide it. Raises: DivergenceError.

    All update rules carry it into the weights, which are looked at in any case: so much cheaper is a step. But fp16
    leaves the step out on purpose, for its scale was too large, and halves the scale: only an endless series of such
    steps is a divergence. And clip_value makes a number of what is infinite.
    """
    grad = run.parameters.grad
    if not hides_gradient(run):
        return
    if run.watches_late:
        run.unread[-1][1].append(grad.isfinite().all())
    elif is_finite(grad):
        state.skipped_in_row = 0
    else:
        note_bad_gradient(run, state, _became(grad), step=state.step + 1)


def hides_gradient(run: Run) -> bool:
    """Whether a gradient may be not finite, and the weights after the update all the same."""
    return run.arithmetic.scaler is not None or run.trainer.clip_value is not None


def _became(grad: Tensor) -> str:
    return f"gradient norm became {grad.norm().item():.3g}"


def note_bad_gradient(run: Run, state: TrainState, what: str, *, step: int) -> None:
    """Take a gradient that is not finite. Raises: DivergenceError, unless fp16 leaves the step out on purpose."""
    error = diverged(run, state, what, step=step)
    if run.arithmetic.scaler is None:
        raise error
    left_out(run, state, error)


def note_weights(run: Run, state: TrainState) -> None:
    """Look at what the update has made of the weights. Raises: DivergenceError, naming the gradient if it was that.

    Where a step can be left out, all that a save would hold is looked at, so that no later look finds it too late.
    """
    is_skipping = run.trainer.on_nonfinite == "skip"
    if not is_skipping and not run.watches_late and math.isfinite(run.parameters.values.sum().item()):
        if run.arithmetic.scaler is None:  # the usual case, in which a small network pays for each line here
            state.skipped_in_row = 0
        return
    wanted = run.saved_numbers() if is_skipping else {"a weight": run.parameters.values}
    if run.watches_late:
        run.unread[-1][1].append(torch.stack([numbers.isfinite().all() for numbers in wanted.values()]).all())
        return
    bad = next((name for name, numbers in wanted.items() if not is_finite(numbers)), None)
    if bad is not None:
        grad = run.parameters.grad
        what = f"{bad} became nan or infinite" if is_finite(grad) else _became(grad)
        raise diverged(run, state, what, step=state.step + 1)
    if run.arithmetic.scaler is None:
        state.skipped_in_row = 0


def look_later(run: Run, state: TrainState, before: Before | None) -> None:
    """Let a step that is not finite undo itself on the device; now and then read what the steps have left.

    Raises:
        DivergenceError: as `check_late`.
    """
    total, weight, *flags = run.unread[-1][1]
    if before is not None:
        most = math.inf if state.first_loss is None else largest_loss(state.first_loss)
        loss = total / weight
        # In fp16 the step of a bad gradient has been left out already, but what its batch has told is kept.
        wanted = flags if run.arithmetic.scaler is None else flags[-1:]
        is_good = loss.isfinite() & (loss.abs() <= most) & torch.stack(wanted).all()
        before.put_back_unless(is_good, state)
    if state.first_loss is None or len(run.unread) >= CHECK_EVERY:
        check_late(run, state)


def check_late(run: Run, state: TrainState) -> None:
    """Read what the steps since the last look have left: one synchronisation for all of them.

    Raises:
        DivergenceError: naming the first step that was not finite; with trainer.on_nonfinite=skip such steps have
            been undone already, and an endless series of them is a divergence.
    """
    if not run.unread:
        return
    steps = [step for step, _ in run.unread]
    numbers = torch.stack([torch.stack([x.to(left[0].dtype) for x in left]) for _, left in run.unread]).tolist()
    run.unread.clear()
    for step, left in zip(steps, numbers, strict=True):
        try:
            _read(run, state, step, left)
        except DivergenceError as error:
            if run.trainer.on_nonfinite != "skip" or state.skipped_in_row >= most_in_a_row(run):
                raise
            note_skipped(run, state, error)


def _read(run: Run, state: TrainState, step: int, left: list[float]) -> None:
    """Take what a step has left: loss and its weight, whether gradient (where looked at) and weights are finite."""
    total, weight, *gradient, weights = left
    check_loss(run, state, total / weight if weight else float("nan"), step)
    if not all(gradient):
        note_bad_gradient(run, state, "gradient norm became nan or infinite", step=step)
    elif not weights:
        raise diverged(run, state, "a gradient or a weight became nan or infinite", step=step)
    else:
        state.skipped_in_row = 0
    add_loss(run, state, total, weight, step)


@final
class UnmeasuredError(DivergenceError):
    """A metric that decides on nothing is not finite: no other learning rate, and no way back, helps its formula."""


def note_bad_score(run: Run, state: TrainState, values: Mapping[str, float]) -> None:
    """Take the values of a validation, some of which are not finite; the monitored one and the loss come first.

    Raises:
        DivergenceError: where the training is not to go on.
        UnmeasuredError: likewise, for another metric than the monitored one.
    """
    bad = [name for name, value in values.items() if not math.isfinite(value)]
    for name in sorted(bad, key=lambda name: name not in (run.monitor, "val/loss")):
        error = diverged(run, state, f"{name} became {values[name]:.3g}", step=max(state.step, 1))
        is_loss = name in (run.monitor, "val/loss")
        if run.trainer.on_nonfinite != "skip":
            raise error if is_loss else UnmeasuredError(error.problems[0].text, hint=MEND_METRIC)
        if is_loss:
            run.untold.append(f"{error.problems[0].text}: it is not the best")
        elif name not in run.unmeasured:
            run.unmeasured.add(name)
            run.untold.append(f"{error.problems[0].text}: null stands for it, then and whenever it is so again")


def endured(state: TrainState) -> list[str]:
    """Return what a training has got over, in words."""
    told = []
    if state.skipped:
        told.append(f"{state.skipped} step(s) were left out: they were not finite")
    if state.rollbacks:
        told.append(f"rolled back {state.rollbacks} time(s), to {state.lowered:.3g} of the learning rate")
    return told
