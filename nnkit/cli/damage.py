"""A finished run whose best weights are damaged, or gone: whether they can be had again."""

from __future__ import annotations

from pathlib import Path

from nnkit.cli.messages import note
from nnkit.config.schema import Config, to_plain
from nnkit.errors import CheckpointError
from nnkit.runs import CHECKPOINTS
from nnkit.way_on import line_anew


def damaged(folder: Path, config: Config) -> str | None:
    """Return what is wrong with the best weights of a run that has ended; None where they are whole, or not its own.

    Raises:
        CheckpointError: they are damaged, and so is all from which they could be trained again.
    """
    if config.cv.is_on and config.cv.final != "refit":
        return None
    from nnkit.train import checkpoints

    try:
        checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "best"))
    except CheckpointError as error:
        if config.cv.is_on:
            raise CheckpointError(str(error), hint=f"the same anew: {line_anew(to_plain(config))}") from error
        note(f"{error}; going back to the newest whole checkpoint, and training to the same end")
        return str(error)
    return None
