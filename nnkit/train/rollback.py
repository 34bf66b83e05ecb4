"""Going back to the last checkpoint, with a lower learning rate, from a training that is not finite any more."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, final

from torch import Tensor

from nnkit.errors import DivergenceError
from nnkit.train.run import Run
from nnkit.train.sink import Sink, warn
from nnkit.train.state import TrainState


@final
class WayBack:
    """Where a training goes back to: its last checkpoint, or its beginning, which is kept in memory."""

    def __init__(self, run: Run, state: TrainState) -> None:
        """Keep the beginning of a training that may have to go back there."""
        self._beginning: tuple[Mapping[str, Tensor], Mapping[str, Any]] | None = None
        if run.trainer.on_nonfinite == "rollback" and run.checkpoints.saved_step is None:
            self._beginning = run.validated_weights(), copy.deepcopy(run.to_plain(state))

    def go(self, run: Run, state: TrainState, sinks: Sequence[Sink], error: DivergenceError) -> None:
        """Set run and state back, lower the learning rate, and tell every sink.

        Args:
            run: the training.
            state: where it stands; becomes where it stood.
            sinks: forget the events since then.
            error: what is not finite.

        Raises:
            DivergenceError: this one, where trainer.on_nonfinite or trainer.max_rollbacks is against it.
            CheckpointError: no checkpoint can be read.
            StorageError: the file system refused.
        """
        trainer, problem = run.trainer, error.problems[0]
        if trainer.on_nonfinite != "rollback":
            raise error
        if state.rollbacks >= trainer.max_rollbacks:
            text = f"{problem.text}, after {state.rollbacks} rollback(s) to {state.lowered:.3g} of the learning rate"
            raise DivergenceError(text, hint=f"{problem.hint}, or more trainer.max_rollbacks") from error
        found, notes = self._last(run)
        # The time that was spent stays spent.
        state.become(
            replace(
                found,
                rollbacks=state.rollbacks + 1,
                lowered=state.lowered * trainer.rollback_factor,
                seconds=state.seconds,
                samples=state.samples,
            )
        )
        run.unread.clear()
        run.untold.clear()
        for sink in sinks:
            sink.go_back(state.records)
        lowered = (
            f"with {state.lowered:.3g} of the learning rate (rollback {state.rollbacks} of {trainer.max_rollbacks})"
        )
        for text in (*notes, f"{problem.text}: back to step {state.step}, {lowered}"):
            warn(sinks, text)

    def _last(self, run: Run) -> tuple[TrainState, list[str]]:
        """Load the last checkpoint, and return where the training stood, and what there is to say of it."""
        if run.checkpoints.saved_step is None:
            assert self._beginning is not None
            weights, plain = self._beginning
            run.checkpoints.go_back(None, None)
            return run.load_plain(weights, copy.deepcopy(plain)), []
        weights, plain, skipped = run.checkpoints.newest()
        state = run.load_plain(weights, plain)
        run.checkpoints.go_back(state.step, None if state.best is None else state.best.step)
        return state, [f"skipped a damaged checkpoint: {text}" for text in skipped]
