"""Processes that want the same run folder: one gets it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from tests.faults.picture_run import cleared
from tests.faults.processes import ROOT, ended, start
from tests.faults.survival import Promise
from tests.trained import events, is_equal, last_state, last_weights

TINY = ("data=iris", "model.hidden=[8]", "regularization=dropout", "trainer.patience=null", "trainer.plots=false")
SHORT, LONG, SAVING = "trainer.max_epochs=3", "trainer.max_epochs=1000000", "trainer.checkpoint_every=50"
AFTER = "trainer.max_epochs=40"  # of a run that goes on once its owner was killed
AT_ONCE = 50
QUICK_S = 1.0
TRIES = 3  # a machine that does other things meanwhile may be late now and then
WITHOUT_TORCH = (
    "import sys, nnkit.cli; code = nnkit.cli.main(sys.argv[1:]); sys.exit(99 if 'torch' in sys.modules else code)"
)


@cache
def _begun() -> Path:
    """Return the folder of a short run that has ended."""
    place = Path(mkdtemp(prefix="nnkit-begun-"))
    code, out, err = ended(["train", *TINY, SHORT, SAVING], place)
    assert code == 0, err
    return Path(out.strip())


@cache
def _longer() -> Path:
    """Return the folder of that run, gone on by one process alone."""
    folder = _copy(Path(mkdtemp(prefix="nnkit-longer-")))
    code, _, err = ended(["resume", str(folder), AFTER], folder.parent)
    assert code == 0, err
    return folder


def _copy(place: Path) -> Path:
    return Path(shutil.copytree(_begun(), place / "run"))


def at_once(count: int) -> Iterator[str | None]:
    """Let so many processes go on with one folder, all at once; then kill the one that got it, and go on."""
    wanted = _longer()
    for number in range(max(1, count // AT_ONCE)):
        place = Path(f"at-once-{number}").absolute()
        place.mkdir()
        outcomes = list(_at_once(_copy(place), wanted, AT_ONCE))
        yield from outcomes
        cleared(place)


def _at_once(folder: Path, wanted: Path, count: int) -> Iterator[str | None]:
    processes = [start(["resume", str(folder), LONG, SAVING], folder.parent) for _ in range(count)]
    deadline = time.monotonic() + 60
    while sum(process.poll() is None for process in processes) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    running = [process for process in processes if process.poll() is None]
    if len(running) != 1:
        for process in running:
            process.send_all(signal.SIGKILL)
        yield f"{len(running)} of {count} processes run: {[process.code for process in processes]}"
        return
    (owner,) = running
    owned = f"is in use by process {owner.pid} on {socket.gethostname()}"
    for process in processes:
        if process is not owner:
            named = owned in process.said()[1]
            yield None if (process.code, named) == (6, True) else f"exit code {process.code}: {process.said()[1]}"
    time.sleep(0.05)
    owner.send(signal.SIGKILL)
    owner.wait()
    code, _, err = ended(["resume", str(folder), AFTER], folder.parent)
    if code == 2 and (further := re.search(r"hint: (trainer\.max_epochs=\d+) or more goes on", err)):
        code, _, err = ended(["resume", str(folder), further[1]], folder.parent)  # the owner had gone further than that
    yield f"after SIGKILL resume ended with {code}: {err}" if code else _difference(folder, wanted)


def _difference(folder: Path, wanted: Path) -> str | None:
    """Return in what the run differs from the one without an owner that was killed, up to the epochs that both have."""
    num = min(len(events(folder)), len(events(wanted)))
    if events(folder)[:num] != events(wanted)[:num]:
        return "metrics.jsonl differs"
    if len(events(folder)) > num:  # the owner had gone further before it was killed
        return None
    same = is_equal(last_weights(folder), last_weights(wanted)) and is_equal(last_state(folder), last_state(wanted))
    return None if same else "weights or state differ"


def second(count: int) -> Iterator[str | None]:
    """Start a second process, as a new process of Python, on a folder that is in use, so many times."""
    place = Path(mkdtemp(prefix="nnkit-second-", dir=Path.cwd()))
    folder = _copy(place)
    owner = start(["resume", str(folder), LONG, SAVING], place)
    while not (folder / "lock").exists() or str(owner.pid) not in (folder / "lock").read_text():
        assert owner.poll() is None, owner.said()[1]
        time.sleep(0.002)
    os.kill(owner.pid, signal.SIGSTOP)  # it keeps the lock, and leaves the machine to the other
    try:
        for _ in range(count):
            for _ in range(TRIES):
                problem = _second(folder, owner.pid)
                if problem is None or not problem.startswith("it took"):
                    break
            yield problem
    finally:
        owner.send_all(signal.SIGKILL)
        owner.wait()


def _second(folder: Path, owner: int) -> str | None:
    started = time.perf_counter()
    command = [sys.executable, "-c", WITHOUT_TORCH, "resume", str(folder), LONG]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode != 6:
        return f"exit code {done.returncode} (99: torch was loaded): {done.stderr}"
    if f"is in use by process {owner} on {socket.gethostname()}" not in done.stderr:
        return f"neither process nor host is named: {done.stderr}"
    return f"it took {seconds:.2f} s" if seconds >= QUICK_S else None


ONE_OF_FIFTY = Promise("one-folder", "one of fifty processes gets a run's folder, at once", at_once, 50, 1000)
SECOND = Promise("second-process", "a second process is told whose the folder is, in under a second", second, 2, 20)
