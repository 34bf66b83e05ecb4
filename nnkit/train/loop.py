"""The loop. Read it from the top: from event to event, one step at a time, nothing hidden."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from nnkit.data.batches import Batch, Batches, spans
from nnkit.errors import DivergenceError, StorageError
from nnkit.objective.aligned import aligned
from nnkit.optim.schedules import after_validation
from nnkit.seeding import derive
from nnkit.train.device import worded_while_measuring
from nnkit.train.inputs import changed, halves, noisy, weight_of
from nnkit.train.norms import read_norms
from nnkit.train.persist import TRIES, GoneError, persistently
from nnkit.train.rollback import go_back
from nnkit.train.run import Run
from nnkit.train.sink import Sink, warn
from nnkit.train.skip import Before
from nnkit.train.state import Record, Score, TrainState, is_better
from nnkit.train.stopping import Stop
from nnkit.train.through_time import answered, passes
from nnkit.train.watch import (
    UnmeasuredError,
    check_late,
    look_later,
    note_bad_score,
    note_gradient,
    note_loss,
    note_skipped,
    note_weights,
)

FLUSH_EVERY = 64  # steps between two updates of the training metrics
FLUSH_LARGE = 200_000  # outputs that may wait for the update, of however many steps or pieces of one


def fit(run: Run, state: TrainState, sinks: Sequence[Sink], stop: Stop) -> str:
    """Train until `stop` gives a reason, and return it.

    Raises:
        DivergenceError: the training is not finite any more; nothing has been saved since it was.
        StorageError: a save failed for good.
    """
    if state.step == 0:
        run.keep_beginning(state.total_steps)
    while True:
        try:
            return go_on(run, state, sinks, stop)
        except UnmeasuredError:
            raise
        except DivergenceError as error:
            go_back(run, state, sinks, error)


def go_on(run: Run, state: TrainState, sinks: Sequence[Sink], stop: Stop) -> str:
    """Train from event to event. Raises: as `fit`, without going back."""
    while (reason := stop(state)) is None:
        event = next_event(run, state)
        train_until(run, state, event, stop)
        if state.step == event:
            take_event(run, state, sinks)
        if run.checkpoints.is_due(state):
            save(run, state, sinks)
    tell(run, state, sinks)
    if run.checkpoints.saved_step != state.step:
        save_at_last(run, state, sinks)
    return reason


def next_event(run: Run, state: TrainState) -> int:
    """Return the step of the next validation, save or epoch end."""
    trainer, step = run.trainer, state.step
    steps = [step + len(run.train) - state.position]
    for every in (trainer.validate_every_steps, trainer.checkpoint_every):
        if isinstance(every, int):
            steps.append((step // every + 1) * every)
    if trainer.max_steps is not None:
        steps.append(max(trainer.max_steps, step + 1))
    return min(steps)


def train_until(run: Run, state: TrainState, event: int, stop: Stop) -> None:
    """Take steps up to `event`, or up to the first reason to stop."""
    started = time.perf_counter()
    run.model.train()
    if run.frozen is not None:
        run.frozen.hold(state.epoch)
    for batch in run.train.epoch(state.epoch, state.position):
        take_step(run, batch, state)
        if state.step == event or stop(state) is not None:
            break
    if run.watches_late:
        check_late(run, state)
    state.seconds += time.perf_counter() - started


def take_step(run: Run, batch: Batch, state: TrainState) -> None:
    """Learn from a batch, or leave its step out: then nothing but the count of steps has changed."""
    before = None
    if run.trainer.on_nonfinite == "skip":
        flush_late(run, state)
        before = Before.of(run, state)
    try:
        learn(run, batch, state)
        flush_late(run, state)
    except DivergenceError as error:
        if before is None:
            raise
        before.put_back(state)
        note_skipped(run, state, error)
    if run.watches_late:
        look_later(run, state, before)
    state.step += 1
    state.position += 1
    state.samples += len(batch)


def learn(run: Run, batch: Batch, state: TrainState) -> None:
    """Forward, backward, update; the sums of the epoch grow. Raises: DivergenceError."""
    torch.default_generator.manual_seed(derive(run.seed, "step", state.step))
    if run.device.type == "cuda":
        torch.cuda.manual_seed(derive(run.seed, "step", state.step))  # pragma: no cover - needs a GPU
    run.parameters.grad.zero_()
    batch = changed(run, batch, state.step)
    weight = weight_of(run.objective, batch)
    total = backward(run, batch, weight, state)
    note_loss(run, state, total, weight)
    penalty = run.objective.penalty()
    if penalty is not None:
        run.arithmetic.differentiate(penalty)
    run.unscale()
    note_gradient(run, state)
    run.update(state, run.factor(state))
    note_weights(run, state)


def backward(run: Run, batch: Batch, weight: Tensor, state: TrainState) -> Tensor:
    """Add the gradients of a step's batches, each divided by the weight of the whole step; return the loss's total."""
    totals = []
    for start, stop in spans(len(batch), run.micro_batch):
        part = batch.rows(start, stop) if stop - start < len(batch) else batch
        for piece, outputs in passes(run, noisy(run, part), state):
            parts = []
            for rows in halves(outputs, piece):
                with run.arithmetic.autocast():
                    parts.append(run.objective.total(*rows))
                keep_for_metrics(run, state, rows[0].detach(), *rows[1:])
            total = parts[0] if len(parts) == 1 else parts[0] + parts[1]
            run.arithmetic.differentiate(total / weight)
            totals.append(total.detach())
    if (state.position + 1) % FLUSH_EVERY == 0:
        flush(run, state)
    return totals[0] if len(totals) == 1 else torch.stack(totals).sum()


def keep_for_metrics(run: Run, state: TrainState, outputs: Tensor, target: Tensor, weight: Tensor) -> None:
    """Let outputs wait with others for the update of the training metrics, while they are not too many."""
    state.pending.append((outputs, target, weight))
    state.num_pending += outputs.numel()
    if state.num_pending > FLUSH_LARGE:
        flush(run, state)


def flush(run: Run, state: TrainState) -> None:
    """Bring the training metrics' sums up to date."""
    if state.pending:
        outputs, target, weight = (torch.cat(column) for column in zip(*state.pending, strict=True))
        run.metrics.add(state.sums, outputs, target, weight)
        state.pending.clear()
        state.num_pending = 0


def flush_late(run: Run, state: TrainState) -> None:
    """Bring the sums up to date where a step may undo itself on the device: what waits could not be undone."""
    if run.watches_late and run.trainer.on_nonfinite == "skip":
        flush(run, state)


def take_event(run: Run, state: TrainState, sinks: Sequence[Sink]) -> None:
    """Validate where it is time to, tell the sinks, and close the epoch when it has ended."""
    ended = state.position == len(run.train)
    validated = is_validation(run, state, ended)
    if ended or validated:
        run.check_weights(state)
        values = train_values(run, state)
        if validated:
            values |= note_score(run, state, evaluate(run, run.val))
        write_record(state, sinks, values)
        tell(run, state, sinks)
    if ended:
        state.epoch += 1
        state.position, state.loss_total, state.loss_weight = 0, 0.0, 0.0
        state.sums = run.metrics.zero(run.device)
        state.hidden = state.gradient_norms = None


def tell(run: Run, state: TrainState, sinks: Sequence[Sink]) -> None:
    """Tell every sink what was not finite since the last event, and has been got over."""
    if run.untold:
        first, *others = run.untold
        run.untold.clear()
        warn(sinks, f"{first}; {len(others)} more by step {state.step}" if others else first)


def write_record(state: TrainState, sinks: Sequence[Sink], values: dict[str, float]) -> None:
    """Tell every sink of an event."""
    record = Record(state.step, state.epoch + 1, {**values, "time/seconds": round(state.seconds, 6)})
    state.records += 1
    for sink in sinks:
        sink.write(record)


def is_validation(run: Run, state: TrainState, epoch_ended: bool) -> bool:
    """Tell whether a validation is due at this event."""
    every, every_steps = run.trainer.validate_every, run.trainer.validate_every_steps
    if every_steps is not None:
        return state.step % every_steps == 0
    return epoch_ended and every is not None and (state.epoch + 1) % every == 0


def train_values(run: Run, state: TrainState) -> dict[str, float]:
    """Return the learning rate and the training values of the epoch so far."""
    flush(run, state)
    metrics = {f"train/{name}": value for name, value in run.metrics.compute(state.sums).items()}
    lr = run.optimizer_config.lr * run.factor(state)
    norms = read_norms(run.parameters, state)
    counts = {"skipped_steps": state.skipped, "rollbacks": state.rollbacks}
    got_over = {f"train/{name}": float(count) for name, count in counts.items() if count}
    loss = state.loss_total / max(state.loss_weight, 1e-300)
    return {"lr": lr, "train/loss": loss, **metrics, **norms, **got_over}


def note_score(run: Run, state: TrainState, measured: dict[str, float]) -> dict[str, float]:
    """Note a validation: the best so far, the patience, the plateau. Returns its values as val/…"""
    values = {f"val/{name}": value for name, value in measured.items()}
    value = values[run.monitor]
    if not all(map(math.isfinite, values.values())):
        note_bad_score(run, state, values)
    if is_better(value, state.best, mode=run.mode, min_delta=run.trainer.min_delta):
        state.best, state.waited = Score(state.epoch + 1, state.step, value), 0
        run.checkpoints.note_best(state.step, run.validated_weights())
    else:
        state.waited += 1
    after_validation(run.scheduler, state.plateau, -value if run.mode == "max" else value)
    return values


@torch.no_grad()
def outputs_of(run: Run, batches: Batches) -> Iterator[tuple[Batch, Tensor]]:
    """Yield each batch with the network's outputs (B, …) float32, with averaged weights where there are such."""
    run.model.eval()
    with run.averaged_weights():
        yield from answered(run.model, run.arithmetic, batches.epoch(0), is_stateful=run.is_stateful)


@torch.no_grad()
def evaluate(run: Run, batches: Batches) -> dict[str, float]:
    """Return loss and metrics over all samples of a part, with the averaged weights where there are such.

    The loss is the data loss, without the penalty.

    Raises:
        OutOfMemoryError: naming the size of the batches.
    """
    sums = run.metrics.zero(run.device)
    totals, weights = [], []
    with worded_while_measuring(batches):
        for batch, outputs in outputs_of(run, batches):
            rows = aligned(outputs, batch.target, batch.weight)
            totals.append(run.objective.total(*rows))
            weights.append(run.objective.weight(batch.target, batch.weight))
            run.metrics.add(sums, *rows)
    loss = torch.stack(totals).double().sum() / torch.stack(weights).double().sum()
    return {"loss": float(loss), **run.metrics.compute(sums)}


def save(run: Run, state: TrainState, sinks: Sequence[Sink]) -> None:
    """Commit; where the file system refuses, the training goes on, and the next save tries again.

    Raises:
        StorageError: it has refused so many times in a row that it is of no use to go on, or the folder is gone.
    """
    try:
        commit(run, state, sinks)
    except GoneError:
        raise
    except StorageError as error:
        run.checkpoints.note_failure()
        if run.checkpoints.failed >= TRIES:
            raise StorageError(
                f"{TRIES} saves in a row have failed, the last one at step {state.step}: {error}",
                hint=f"{error.problems[0].hint}; then nnkit resume",
            ) from error
        warn(sinks, f"step {state.step} could not be saved, the next save tries again: {error}")


def save_at_last(run: Run, state: TrainState, sinks: Sequence[Sink]) -> None:
    """Commit where there is no next save. Raises: StorageError."""
    persistently(lambda: commit(run, state, sinks), lambda text: warn(sinks, text))


def commit(run: Run, state: TrainState, sinks: Sequence[Sink]) -> None:
    """Save what the sinks wrote, then the checkpoint that counts it. Raises: StorageError; DivergenceError."""
    run.checkpoints.check_there()
    run.check_weights(state)
    for sink in sinks:
        sink.sync()
    left = run.checkpoints.save(state, run.validated_weights(), run.to_plain(state))
    if left is not None:
        warn(sinks, f"step {state.step} was saved, but {left}")
