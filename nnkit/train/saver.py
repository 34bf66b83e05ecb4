"""When to save, and what stays on disk: the last checkpoints and the best weights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, final

from torch import Tensor

from nnkit.errors import StorageError
from nnkit.storage import remove_temporaries
from nnkit.train.checkpoints import newest, point, prune, step_folder, write
from nnkit.train.persist import GoneError
from nnkit.train.state import TrainState

# What a save is taken to cost before the first one, in seconds: a very short run shall not pay for two.
FIRST_GUESS_S = 0.02
# A save may cost a fiftieth of the time between two of them.
TIMES_ITS_COST = 50
# Where no number says when to save: a full disk may be empty again after so long, in seconds.
AFTER_A_FAILURE_S = 10.0


@final
class Saver:
    """The checkpoints of one run.

    Attributes:
        saved_step: of the newest save; None before the first.
        failed: saves in a row that the file system has refused.
    """

    def __init__(self, folder: Path | None, *, every: int | Literal["auto"], keep_last: int) -> None:
        """Take the run's checkpoint folder (None: nothing is written), how often to save, and how many to keep."""
        self._folder = folder
        self._every = every
        self._keep_last = keep_last
        self._best: tuple[int, dict[str, Tensor]] | None = None
        self._cost = FIRST_GUESS_S
        self._saved_at = time.monotonic()
        self.saved_step: int | None = None
        self.failed = 0

    @property
    def best_weights(self) -> dict[str, Tensor] | None:
        """The best weights, while they have not been written."""
        return None if self._best is None else self._best[1]

    def resumed(self, step: int, best_step: int | None) -> None:
        """Go on from a checkpoint: a save that was cut short, or is damaged, may have left files that say otherwise.

        Raises:
            StorageError: the file system refused.
        """
        self.saved_step = step
        if self._folder is None:
            return
        remove_temporaries(self._folder)
        point(self._folder, {"last": step, **({} if best_step is None else {"best": best_step})})

    def newest(self, before: int | None = None) -> tuple[dict[str, Tensor], dict[str, Any], list[str]]:
        """Return the newest checkpoint's weights and state, and which newer ones were skipped, being damaged.

        Args:
            before: only those of fewer steps; None for all.

        Raises:
            CheckpointError: there is none.
        """
        assert self._folder is not None
        return newest(self._folder, before)[1:]

    def go_back(self, step: int | None, best_step: int | None) -> None:
        """Go on from an earlier checkpoint, or from the beginning (None). Raises: StorageError."""
        self._best = None  # it is of steps that are no more
        if step is None:
            self.saved_step = None
        elif step != self.saved_step:
            self.resumed(step, best_step)

    def check_there(self) -> None:
        """Refuse to make the run's folder anew: its config and its record would be missing. Raises: GoneError."""
        if self._folder is not None and not self._folder.parent.is_dir():
            raise GoneError(f"{self._folder.parent} has been removed, and with it all that the run had saved")

    def note_best(self, step: int, weights: dict[str, Tensor]) -> None:
        """Keep the best weights until the next save."""
        self._best = (step, weights)

    def is_due(self, state: TrainState) -> bool:
        """Tell whether it is time to save: every n steps, or when the last save's cost has been earned."""
        if state.step == self.saved_step or self._folder is None:
            return False
        if self._every != "auto":
            return state.step % self._every == 0
        wait = TIMES_ITS_COST * self._cost
        return time.monotonic() - self._saved_at >= (max(wait, AFTER_A_FAILURE_S) if self.failed else wait)

    def note_failure(self) -> None:
        """Count a save that the file system refused; the best weights stay in memory."""
        self.failed += 1
        self._saved_at = time.monotonic()

    def point_best(self) -> None:
        """Let `best` name the best weights, which have been written. Raises: StorageError."""
        if self._folder is not None and self._best is not None:
            point(self._folder, {"best": self._best[0]})
            self._best = None

    def save(self, state: TrainState, weights: Mapping[str, Tensor], plain: Mapping[str, Any]) -> StorageError | None:
        """Write the best weights that are not on disk yet, then the checkpoint itself, then tidy up.

        Returns:
            Why what is needed no more could not be removed, which the next save tries again; None where it was.

        Raises:
            StorageError: the file system refused; what was saved before is still whole.
        """
        if self._folder is None:
            self.saved_step = state.step
            return None
        started = time.monotonic()
        if self._best is not None and self._best[0] != state.step:
            write(step_folder(self._folder, self._best[0]), self._best[1], None)
        best_step = None if state.best is None else state.best.step
        write(step_folder(self._folder, state.step), weights, plain, best=best_step)
        best = {} if self._best is None else {"best": self._best[0]}
        point(self._folder, {"last": state.step, **best})
        self.saved_step, self.failed, self._best = state.step, 0, None
        left = None
        try:
            prune(self._folder, newest=state.step, keep_last=self._keep_last)
        except StorageError as error:
            left = error
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started
        return left
