"""The run that is killed, starved and cut off from power, the commands that train it and go on with it, and its end."""

from __future__ import annotations

import copy
import io
import json
import mmap
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any

import torch

from nnkit.cli import main
from nnkit.cli import train as command
from nnkit.config.compose import compose
from nnkit.config.origin import Composed
from nnkit.errors import CheckpointError, StorageError
from nnkit.runs import CHECKPOINTS
from nnkit.storage import read_bytes
from nnkit.train import checkpoints, persist
from nnkit.train.saver import Saver
from tests.faults.calls import Act, Call, Calls, let
from tests.faults.child import Ended, in_child
from tests.trained import events, is_equal, last_state, last_weights

# Saves between two validations, at one, and of best weights that are not the last ones; old ones are removed.
WORDS = (
    "data=iris",
    "model.hidden=[4]",
    "regularization=dropout",
    "optimizer.lr=0.05",
    "batching.batch_size=25",
    "trainer.ema_decay=0.5",
    "trainer.max_steps=7",
    "trainer.validate_every=null",
    "trainer.validate_every_steps=2",
    "trainer.checkpoint_every=3",
    "trainer.threads=1",
    "trainer.plots=false",
)


@cache
def _composed() -> Composed:
    return compose(WORDS)


@cache
def _warm() -> None:
    """Load all that a run loads, once: each child that is forked has it then."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stderr(io.StringIO()):
        with redirect_stdout(io.StringIO()) as printed:
            assert main(["train", *WORDS]) == 0
        with redirect_stdout(io.StringIO()):
            assert main(["resume", printed.getvalue().strip(), "trainer.max_steps=8"]) == 0


def trains(act: Act = let, calls: list[Call] | None = None) -> int:
    """Train the run below the working folder, and return the exit code."""
    command.compose = lambda *_, **__: copy.deepcopy(_composed())  # type: ignore[assignment] # composing takes longest
    return counted(["train", *WORDS], act, calls)


def counted(words: list[str], act: Act = let, calls: list[Call] | None = None) -> int:
    """Run the command line below the working folder with its calls counted, and return the exit code."""
    persist.WAIT_S = 0.0
    _note_saves()
    found = Calls(Path.cwd(), act)
    found.made = found.made if calls is None else calls
    found.install()
    return main(words)


_acknowledged = mmap.mmap(-1, 1)  # children share it, and leave it when they are killed


def _note_saves() -> None:
    """Note the step of each save as soon as it is acknowledged."""
    save = Saver.save

    def noted(self: Saver, state: Any, *more: Any) -> Any:
        left = save(self, state, *more)
        _acknowledged[0] = state.step
        return left

    Saver.save = noted  # type: ignore[method-assign]


def lost(folder: Path) -> str | None:
    """Say whether a save that was acknowledged is lost; what is there must be readable."""
    step = _acknowledged[0]
    if not step:
        return None
    try:
        found = checkpoints.newest(folder / CHECKPOINTS)[0]
    except CheckpointError as error:
        return f"step {step} is lost: {error}"
    return (
        f"step {step} is lost: {found.name} is the newest"
        if found < checkpoints.step_folder(found.parent, step)
        else None
    )


def in_memory() -> Path:
    """Return a folder in memory where there is one: waiting for a disk would prove nothing."""
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())


@contextmanager
def empty_place() -> Iterator[Path]:
    """Make an empty folder for one case; a warm process of one thread trains in it."""
    _composed()
    _warm()
    torch.set_num_threads(1)
    _acknowledged[0] = 0
    place = Path(tempfile.mkdtemp(dir=in_memory())).resolve()
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def run_in(place: Path) -> Path | None:
    """Return the folder of the run, where one was made."""
    return next(iter((place / "outputs").glob("mlp-iris/*")), None)


def resumed(place: Path, folder: Path) -> Ended:
    """Go on with the run by the command; the value is its exit code."""
    return in_child(lambda: main(["resume", str(folder)]), place)


def end_of(folder: Path) -> dict[str, Any]:
    """Return all that two runs have in common that are the same."""
    facts = json.loads((folder / "run.json").read_text())
    best = checkpoints.pointed(folder / CHECKPOINTS, "best")
    return {
        "events": events(folder),
        "last": last_weights(folder),
        "state": last_state(folder),
        "best": (best.name, checkpoints.read_weights(best)),
        "facts": {name: facts[name] for name in ("status", "reason", "steps", "best", "metrics", "preprocess_sha256")},
        "files": sorted(path.name for path in (folder / CHECKPOINTS).iterdir()),
    }


@cache
def whole_run() -> tuple[list[Call], dict[str, Any]]:
    """Train the run undisturbed; return its calls and its end."""
    calls: list[Call] = []

    def work() -> Any:
        return trains(calls=calls), calls

    with empty_place() as place:
        ended = in_child(work, place)
        assert ended.code == 0, ended.said
        assert ended.value[0] == 0, ended.said
        folder = run_in(place)
        assert folder is not None
        return ended.value[1], end_of(folder)


def middle() -> int:
    """Return the number of the call behind the first one that names a last checkpoint."""
    return next(n for n, call in enumerate(whole_run()[0]) if call.name == "rename" and call.to.endswith("/last")) + 1


def differs(place: Path, folder: Path) -> str | None:
    """Go on with a run to its end, and say how it differs from the undisturbed one; None where it does not."""
    if (gone := lost(folder)) is not None:
        return gone
    ended = resumed(place, folder)
    if ended.value != 0:
        return f"resume ended with {ended.code} ({ended.value}): {ended.said[-600:]}"
    found, wanted = end_of(folder), whole_run()[1]
    different = [name for name in wanted if not is_equal(found[name], wanted[name])]
    if different:
        return f"{', '.join(different)} differ: {found[different[0]]} is not {wanted[different[0]]}"
    return f"{left[0]} was left" if (left := temporaries(place)) else None


def temporaries(place: Path) -> list[str]:
    """Return the temporary files and folders that were left."""
    return [str(path.relative_to(place)) for path in place.rglob(".tmp-*")]


Check = Callable[[Path, Ended], str | None]


def tried(work: Callable[[], Any], check: Check) -> str | None:
    """Do work in a child in an empty place, and say what the check found there."""
    with empty_place() as place:
        ended = in_child(work, place)
        try:
            return check(place, ended)
        except Exception as error:  # noqa: BLE001 - what cannot even be read is broken, and the next case follows
            return f"{type(error).__name__}: {error}"


def trusting(folder: Path, name: str) -> bytes:
    """Read a file of a checkpoint as a reader without sums would. Raises: CheckpointError."""
    try:
        return read_bytes(folder / name)
    except StorageError as error:
        raise CheckpointError(str(error)) from error
