"""A process that decodes pictures is killed, or stands still: the run ends in time, says at which file, and goes on."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nnkit.assemble import prepare
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.errors import DataWorkerError
from tests.faults.picture_run import SAVING, cleared, difference, until_saved, whole, words
from tests.faults.processes import Process, ended, start, while_running
from tests.faults.survival import Promise

HANGS_S = 2.0  # data.worker_timeout_s
ENDS_S = 20.0  # after that, at the latest
WAYS = ((signal.SIGKILL, "train"), (signal.SIGSTOP, "val"), (signal.SIGKILL, "val"), (signal.SIGSTOP, "train"))


def cases(count: int) -> Iterator[str | None]:
    """Kill or stop so many workers at a picture of the training or of the validation part."""
    whole()
    for number in range(count):
        place = Path(f"worker-{number}").absolute()
        how, part = WAYS[number % len(WAYS)]
        pictures = _pictures(part)
        wrong = _ended(place, how, pictures[number // len(WAYS) % len(pictures)])
        yield wrong and f"{how.name}, {part}: {wrong}"
        cleared(place)


@cache
def _pictures(part: str) -> list[str]:
    """Return the pictures of a part, as paths below the folder of all."""
    prepared = prepare(check(compose(words()[1:])))
    files = prepared.source.inputs[0].files  # type: ignore[union-attr]
    return [files.paths[row] for row in getattr(prepared.splits, part)]


def _ended(place: Path, how: signal.Signals, picture: str) -> str | None:
    """Say what is wrong with a run whose worker ends at a picture."""
    kept = Path(next(word for word in words() if word.startswith("data.path=")).partition("=")[2])
    own = shutil.copytree(kept, place / "pictures")
    process = start([*words(), *SAVING, f"data.path={own}", f"data.worker_timeout_s={HANGS_S}"], place)
    with while_running(process):
        folder = until_saved(process, place)
        os.mkfifo(place / "pipe")
        (place / "pipe").rename(own / picture)  # whoever opens it waits, and so is there at a known time
        writer = _opened_by_a_worker(own / picture, process)
        if writer is None:
            return f"nobody has read {picture}"
        for worker in _workers(process):
            os.kill(worker, how)
        since = time.monotonic()
        code = process.wait()
        os.close(writer)
        if time.monotonic() - since > HANGS_S + ENDS_S:
            return f"it ended {time.monotonic() - since:.1f} s later"
        said = process.said()[1]
        if code != DataWorkerError.exit_code or str(own / picture) not in said:
            return f"exit code {code}, not at {picture}: {said}"
        if (left := process.leaves_nobody()) is not None:
            return left
    shutil.copy(kept / picture, place / "whole")
    (place / "whole").rename(own / picture)
    code, _, said = ended(["resume", str(folder), *SAVING], place)
    return f"resume ended with {code}: {said}" if code else difference(folder)


def _opened_by_a_worker(pipe: Path, process: Process) -> int | None:
    """Return the open end of a pipe, as soon as somebody waits at the other one."""
    while process.poll() is None:
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # not yet
            time.sleep(0.005)
    return None


def _workers(process: Process) -> list[int]:
    """Return the processes of a run that are no children of it: their parent is the server that forks them."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, parent, group = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it has ended
            continue
        if int(group) == process.pid:
            found[int(path.parent.name)] = int(parent)
    return [pid for pid, parent in found.items() if parent in found and parent != process.pid]


WORKERS = Promise(
    "workers",
    "SIGKILL or SIGSTOP of the processes that decode pictures, in training or validation: exit 8 in time, with the "
    "file; then `nnkit resume`: the same bits",
    cases,
    2,
    40,
)
