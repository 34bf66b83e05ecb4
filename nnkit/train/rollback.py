"""Going back to a checkpoint, with a lower learning rate, from a training that is not finite any more."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from nnkit.errors import CheckpointError, DivergenceError
from nnkit.train.checkpoints import NewerCheckpointError
from nnkit.train.run import Run
from nnkit.train.sink import Sink, warn
from nnkit.train.state import TrainState

# What fails so soon behind a checkpoint has no way on from there: it may be finite, and have blown up all the same.
FIRST_STEPS = 10
FIRST_STEPS_LATE = 60  # where failures are seen up to 50 steps late


def go_back(run: Run, state: TrainState, sinks: Sequence[Sink], error: DivergenceError) -> None:
    """Set run and state back, lower the learning rate, and tell every sink.

    It goes back to the last checkpoint; where the first steps from there fail again, to an older one that was kept, and
    where there is none, to the beginning.

    Args:
        run: the training.
        state: where it stands; becomes where it stood.
        sinks: forget the events since then.
        error: what is not finite.

    Raises:
        DivergenceError: this one, where trainer.on_nonfinite or trainer.max_rollbacks is against it.
        StorageError: the file system refused.
    """
    trainer, problem = run.trainer, error.problems[0]
    if trainer.on_nonfinite != "rollback":
        raise error
    if state.rollbacks >= trainer.max_rollbacks:
        place = "the beginning" if state.went_back == 0 else f"step {state.went_back}"
        text = f"{problem.text}, after {state.rollbacks} rollback(s), the last one to {place}"
        text += f", to {state.lowered:.3g} of the learning rate"
        raise DivergenceError(text, hint=f"{problem.hint}, or more trainer.max_rollbacks") from error
    found, notes = _target(run, state, error)
    # The time that was spent stays spent.
    state.become(
        replace(
            found,
            rollbacks=state.rollbacks + 1,
            lowered=state.lowered * trainer.rollback_factor,
            went_back=found.step,
            seconds=state.seconds,
            samples=state.samples,
        )
    )
    run.unread.clear()
    run.untold.clear()
    for sink in sinks:
        sink.go_back(state.records)
    lowered = f"with {state.lowered:.3g} of the learning rate (rollback {state.rollbacks} of {trainer.max_rollbacks})"
    for text in (*notes, f"{problem.text}: back to step {state.step}, {lowered}"):
        warn(sinks, text)


def _target(run: Run, state: TrainState, error: DivergenceError) -> tuple[TrainState, list[str]]:
    """Load where the training goes back to, and return where it stood, and what there is to say of it."""
    soon = FIRST_STEPS_LATE if run.watches_late else FIRST_STEPS
    fails_again = state.went_back is not None and state.step - state.went_back < soon
    notes: list[str] = []
    if run.checkpoints.saved_step is not None:
        try:
            weights, plain, skipped = run.checkpoints.newest(state.went_back if fails_again else None)
        except NewerCheckpointError:
            raise
        except CheckpointError as refused:
            notes = [] if fails_again else [problem.text for problem in refused.problems]
        else:
            found = run.load_plain(weights, plain)
            run.checkpoints.go_back(found.step, None if found.best is None else found.best.step)
            return found, [f"skipped a damaged checkpoint: {text}" for text in skipped]
    if run.beginning is None:  # of a resumed run that began with weights of another one
        text = "no checkpoint is left to go back to, and the weights that the run began with are not at hand"
        raise DivergenceError(
            f"{error.problems[0].text}; {text}",
            hint="a new run with a smaller optimizer.lr, or more trainer.keep_last",
        ) from error
    weights, plain = run.beginning
    run.checkpoints.go_back(None, None)
    return run.load_plain(weights, copy.deepcopy(plain)), notes
