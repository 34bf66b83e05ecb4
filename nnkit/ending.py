"""A run that ends badly: what run.log and run.json keep of it."""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

import nnkit
from nnkit.catalog.compare import typed_words
from nnkit.command import Command
from nnkit.config.schema import Config, to_plain
from nnkit.errors import DataWorkerError, NnkitError, OutOfMemoryError, StorageError
from nnkit.runs import write_run
from nnkit.track.log import RunLog
from nnkit.usercode import OWN
from nnkit.way_on import code_of, words_on

# What the course of a run can depend on. All others stay out: a token of some service may be among them.
ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES",
    "CUBLAS_WORKSPACE_CONFIG",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTHONHASHSEED",
    "NNKIT_DATA",
)


def circumstances(config: Config) -> Iterator[str]:
    """Yield where a run takes place, in lines for run.log."""
    trainer = config.trainer
    versions = f"nnkit {nnkit.__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    yield f"{versions} on {platform.platform()} ({platform.node()})"
    device = str(trainer.device)
    if device == "cuda" and torch.cuda.is_available():
        device = f"cuda, {torch.cuda.get_device_name()}"  # pragma: no cover - needs a GPU
    yield f"{device} in {trainer.precision} with {trainer.threads} thread(s), seed {config.seed}"
    found = [f"{name}={os.environ[name]}" for name in ENVIRONMENT if name in os.environ]
    yield f"environment: {' '.join(found) or 'none of the variables that matter is set'}"


def ways_on(config: Config, folder: Path, command: Command | None, error: BaseException | None = None) -> Iterator[str]:
    """Yield what to type: to see the same again, and to go on, where it has begun and would not end in the same way.

    Args:
        config: of the run.
        folder: of it.
        command: that has started it; None for one that its settings make, such as that of a trial by itself.
        error: that has ended it; None for a signal.
    """
    if command is None:
        with suppress(NnkitError):  # an option of the user's own is gone, or stands in two folders
            command = Command.here("train", *typed_words(to_plain(config)))
    if command is not None:
        yield f"to see the same again: {command.line()}"
    words = words_on(folder, to_plain(config), None if error is None else code_of(error))
    if words:
        yield f"to go on: {Command.here(*words).line()}"


def note_failure(
    folder: Path, config: Config, command: Command | None, error: BaseException, facts: Mapping[str, Any] | None
) -> str:
    """Note how a run ended by an error that is being handled, and return its status.

    What cannot be written is left out: the error itself says more, and is raised by the caller.

    Args:
        folder: of the run.
        config: of it.
        command: that has started it; None where there was none.
        error: which ended it.
        facts: of run.json so far; None for a run whose run.log does not say where it takes place, and which has no
            run.json, or one that shall stay as it is.
    """
    status = "failed" if isinstance(error, Exception) else "interrupted"
    with suppress(StorageError), closing(RunLog(folder)) as log:
        for line in (*(circumstances(config) if facts is None else ()), *ways_on(config, folder, command, error)):
            log.note(line)
        log.note(traceback.format_exc())  # last: the end of the log is the cause
    if facts is not None:
        with suppress(StorageError):
            told = {"status": status, "error": str(error) or type(error).__name__}
            write_run(folder, {**facts, **told, **(cause_of(error) if status == "failed" else {})})
    return status


def cause_of(error: BaseException) -> dict[str, Any]:
    """Return what run.json says of an error beside its text: its exit code, and what to type, where that is known."""
    hint = {"hint": error.hint} if isinstance(error, NnkitError) and error.hint else {}
    return {**hint, "exit_code": code_of(error)}


@contextmanager
def noting_bugs(folder: Path, config: Config, command: Command | None) -> Iterator[None]:
    """Leave the traceback of what ends a run before it has begun in run.log; of wrong words or data, all is told.

    Memory that runs out, and a worker that dies, are of the machine, and code of the user's own may be long: where that
    was, and at what, is worth keeping.
    """
    try:
        yield
    except (OutOfMemoryError, DataWorkerError, *OWN) as error:
        note_failure(folder, config, command, error, None)
        raise
    except NnkitError:
        raise
    except Exception as error:
        note_failure(folder, config, command, error, None)
        raise
