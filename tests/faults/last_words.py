"""Runs that end badly: run.log has the traceback, where the run took place, and what to type to see the same again."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.picture_run import cleared, until_saved
from tests.faults.processes import ROOT, ended, start
from tests.faults.survival import Promise
from tests.own_code import HERE

QUIET = ("trainer.plots=false", "trainer.max_epochs=3")
DIVERGES = ("optimizer=sgd", "optimizer.lr=1e9", "data.limit=200", "data.scaling=none")
BREAKS = (f"loss.code={HERE}:Breaks", "loss=code")
# What is typed behind `nnkit train`, and what the error says.
WAYS = (
    (("data=digits", "model=cnn", "model.channels=[4]", *DIVERGES, "tags=[two words]"), "training loss became"),
    (("data=iris", *BREAKS, "loss.kwargs.step=4", "trainer.checkpoint_every=2"), "it breaks in step 4"),
    (("-m", "data=iris", *BREAKS, "loss.kwargs.step=4,5", "trainer.checkpoint_every=2"), "it breaks in step 4"),
    (("data=iris", *BREAKS, "loss.kwargs.step=4", "cv.folds=3", "data.test_fraction=null"), "it breaks in step 4"),
    (("data=digits", *DIVERGES, "cv.folds=3", "cv.final=none"), "training loss became"),
)
SECRET = "NNKIT_TEST_SECRET"
LINE = "to see the same again: "


def cases(count: int) -> Iterator[str | None]:
    """Let runs end badly in each way, and do what their run.log says."""
    os.environ[SECRET] = "hunter2"
    for number in range(count):
        place = Path(f"bad end {number}").absolute()
        place.mkdir()
        way = number % (len(WAYS) + 2)
        if way < len(WAYS):
            yield _failed(place, *WAYS[way], cold=number >= len(WAYS) + 2)
        else:
            yield _resumed(place) if way == len(WAYS) else _stopped(place)
        cleared(place)


def _failed(place: Path, words: tuple[str, ...], text: str, *, cold: bool) -> str | None:
    code, _, err = ended(["train", *words, *QUIET], place)
    log = _innermost_log(place)
    typed = shlex.join(["nnkit", "train", *words, *QUIET])
    if not {"-m", "cv.folds=3"} & set(words) and f"{LINE}cd {shlex.quote(str(place))} && {typed}" not in log:
        return f"run.log does not tell what was typed, {typed}: {log}"
    if code == 0 or text not in err + log:
        return f"{words} ended with {code}: {err}"
    return _lacks(log, text) or _again(log, text, cold=cold)


def _innermost_log(place: Path) -> str:
    """Return the first log of a run, of a trial, or of a fold."""
    logs = sorted(place.glob("outputs/**/run.log"), key=lambda path: (-len(path.parts), path))
    return logs[0].read_text() if logs else ""


def _lacks(log: str, text: str) -> str | None:
    wanted = ("Traceback (most recent call last)", text, LINE, "Python 3.", "thread(s), seed 0", "OMP_NUM_THREADS=1")
    missing = [each for each in wanted if each not in log]
    if missing:
        return f"run.log lacks {missing}: {log}"
    return f"run.log has a secret: {log}" if "hunter2" in log else None


def _again(log: str, text: str, *, cold: bool) -> str | None:
    """Do what the log says, in an empty folder of results, and return what is not as before."""
    line = re.findall(rf"{LINE}(.*)", log)[-1]
    if cold:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(line, shell=True, env=environment, capture_output=True, text=True, check=False)
        code, err = done.returncode, done.stderr
    else:
        _, place, _, command, *words = shlex.split(line)
        assert command == "nnkit"
        code, _, err = ended(words, Path(place))
    return None if code != 0 and text in err else f"{line} ended with {code}: {err}"


def _resumed(place: Path) -> str | None:
    """Go on with a run that failed: it fails again, and so does what its log says."""
    code, _, err = ended(["train", *WAYS[1][0], *QUIET], place)
    (folder,) = place.glob("outputs/*/*")
    (folder / "run.log").unlink()
    code, _, err = ended(["resume", "last", "--trust", "trainer.checkpoint_every=1000"], place)
    if code != 1 or "it breaks in step 4" not in err:  # counted anew, by a process of its own
        return f"resume ended with {code}: {err}"
    log = (folder / "run.log").read_text()
    return _lacks(log, "it breaks in step 4") or _again(log, "it breaks in step 4", cold=False)


def _stopped(place: Path) -> str | None:
    """Stop a run by a signal: its log says how to go on, and that goes on."""
    words = ("data=iris", "trainer.max_epochs=100000", "trainer.patience=null", "trainer.checkpoint_every=9")
    process = start(["train", *words, "trainer.plots=false"], place)
    folder = until_saved(process, place)
    process.send(signal.SIGTERM)
    if process.wait() != 143:
        return process.said()[1]
    log = (folder / "run.log").read_text()
    line = re.findall(r"to go on: (.*)", log)[-1]
    _, there, _, _, *more = shlex.split(line)
    process = start(more, Path(there))
    deadline = time.monotonic() + 30
    while (folder / "run.log").read_text().count("from step") < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_all(signal.SIGKILL)
    process.wait()
    return None if (folder / "run.log").read_text().count("from step") == 2 else f"{line}: {process.said()[1]}"


LAST_WORDS = Promise("last-words", "a bad end leaves its traceback, and what to type to see it again", cases, 7, 14)
