"""What to type next, said beside the error that has ended a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.cli.messages import note
from nnkit.config.schema import Config, to_plain
from nnkit.errors import CheckpointError, DivergenceError, NnkitError, OutOfMemoryError, Problem, StorageError
from nnkit.runs import CONFIG
from nnkit.storage import BACK, LIMIT, QUOTA, RIGHTS, ROOM
from nnkit.way_on import line_anew, line_on

if TYPE_CHECKING:
    from nnkit.config.sections.batching import BatchingConfig


@contextmanager
def telling_way_on(folder: Path, config: Config) -> Iterator[None]:
    """Let an error that ends a run say what to type next.

    Args:
        folder: of the run.
        config: of it.
    """
    try:
        yield
    except KeyboardInterrupt:
        if (folder / CONFIG).exists():
            note(f"what followed the last save is lost; to go on: {line_on(folder, to_plain(config))}")
        raise
    except NnkitError as error:
        if (folder / CONFIG).exists():
            error.problems = [replace(p, hint=_hint(error, p, folder, config)) for p in error.problems]
        raise


def _hint(error: NnkitError, problem: Problem, folder: Path, config: Config) -> str:
    values, hint = to_plain(config), problem.hint
    starts = (ROOM, BACK, LIMIT, QUOTA) if isinstance(error, StorageError) else ()
    if said := next((start for start in starts if hint.startswith(start)), ""):
        return f"{said}, then: {line_on(folder, values)}"  # the run stays where it is
    if isinstance(error, StorageError) and hint.startswith(RIGHTS):
        return f"{hint.partition('; or ')[0]}; then: {line_on(folder, values)}"
    if isinstance(error, DivergenceError) and (way := line_on(folder, values, error.exit_code)):
        return f"{hint}; to go on with it: {way}"
    if isinstance(error, CheckpointError) and "start a new run" in hint:
        return f"the same anew: {line_anew(values)}"
    if isinstance(error, OutOfMemoryError) and "batching.batch_size" in hint and config.batching.batch_size != 1:
        return f"the batch size of a run stays; a new one: {line_anew(values, _smaller(config.batching))}"
    return hint


def _smaller(batching: BatchingConfig) -> dict[str, Any]:
    """Return settings with which a step needs less memory, and sees as many samples where that can be said."""
    size = batching.batch_size
    if size == "full":
        return {"batching.batch_size": 64}
    if batching.auto_batch_size:
        return {"batching.auto_batch_size": "false", "batching.batch_size": max(1, size // 2)}
    return {"batching.batch_size": size // 2, "batching.accumulate": batching.accumulate * 2}
