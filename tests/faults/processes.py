"""Real processes of `nnkit` that start in no time: they are forked from one that has loaded Python and torch.

A forked process runs `nnkit.cli.main` in a session of its own, as the shell would start it. The servers that Python's
multiprocessing would start from nothing (fork server, resource tracker) are forked, too.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST_S = 120.0  # that a process may take to end
GONE_S = 5.0  # that the children of a process may outlive it
SUBREAPER = 36  # of Linux's prctl
CAUGHT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)


# the client


@dataclass
class Process:
    """A process of `nnkit`, cold or forked.

    Attributes:
        pid: also of its session and of the group of its children.
        folder: in which it runs, with what it printed in the files out and err.
    """

    pid: int
    folder: Path
    code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, the negative of a signal that killed it; None while it runs."""
        if self.code is None:
            self.code = _asked({"ended": self.pid})
        return self.code

    def wait(self, longest_s: float = LONGEST_S) -> int:
        """Return the exit code when it has ended. Raises: TimeoutError."""
        deadline = time.monotonic() + longest_s
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                left = _members(self.pid)
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"process {self.pid} has not ended in {longest_s:g} s: {left}, {self.said()[1]}")
            time.sleep(0.002)
        return code

    def send(self, number: int) -> None:
        """Send a signal to the process alone."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def send_all(self, number: int) -> None:
        """Send a signal to the process and all of its children, as a terminal does."""
        if self.poll() is None:
            os.killpg(self.pid, number)

    def said(self) -> tuple[str, str]:
        """Return what it has printed: standard output and standard error."""
        out, err = ((self.folder / f"{name}-{self.pid}").read_text(errors="replace") for name in ("out", "err"))
        return out, err

    def leaves_nobody(self, longest_s: float = GONE_S) -> str | None:
        """Return None when it and its children are gone in time; else what is left, which is then killed."""
        deadline = time.monotonic() + longest_s
        while time.monotonic() < deadline:
            self.poll()
            _asked({"ended": 0})  # reaps
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return None
            except PermissionError:  # macOS says so of a group of zombies
                pass
            time.sleep(0.005)
        left = _members(self.pid)
        os.killpg(self.pid, signal.SIGKILL)
        return f"after {longest_s:g} s {left} of process {self.pid} were left"


def start(words: Sequence[str], folder: Path, *, cold: bool = False) -> Process:
    """Start `nnkit` with these words in a folder; `cold`: as a new process of Python."""
    pid = _asked({"words": list(words), "folder": str(folder), "cold": cold})
    return Process(int(pid), folder)


def ended(words: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Run `nnkit` to its end, and return exit code, standard output and standard error."""
    process = start(words, folder)
    return process.wait(), *process.said()


def _members(group: int) -> str:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat=,args="], capture_output=True, text=True, check=False)
    rows = [line.split(None, 3) for line in listed.stdout.splitlines()]
    return str([f"{row[0]} {row[2]} {row[3][:80]}" for row in rows if len(row) == 4 and row[1] == str(group)])


def _asked(question: dict[str, Any]) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(question) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


@cache
def _server() -> subprocess.Popen[str]:
    """Start the process that all others are forked from; it ends with this one."""
    return subprocess.Popen(
        [sys.executable, "-c", "from tests.faults.processes import serve; serve()"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@contextmanager
def while_running(process: Process) -> Iterator[None]:
    """Kill what is left of a process at the end, whatever happens meanwhile."""
    try:
        yield
    finally:
        process.send_all(signal.SIGKILL)


# the server


def serve() -> None:
    """Answer questions on standard input until it is closed: words by a process, a process by its exit code."""
    _load()
    if sys.platform == "linux":  # orphans are reaped here, so that a group without a living process is gone
        ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)
    codes: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "words" in question:
            pid = _started(**question)
            codes.pop(pid, None)  # of a process that had its number before
            answer: int | None = pid
        else:
            _reap(codes)
            answer = codes.get(question["ended"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _load() -> None:
    import torch

    from nnkit.config.compose import compose

    torch.set_num_threads(1)
    compose(["data=images", "data.path=nowhere"])  # Hydra's plugins, and the files of configs/


def _reap(codes: dict[int, int]) -> None:
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            codes[pid] = os.waitstatus_to_exitcode(status)
    except ChildProcessError:
        return


def _started(words: list[str], folder: str, cold: bool) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        for number, name in ((1, "out"), (2, "err")):
            file = os.open(f"{name}-{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, number)
            os.close(file)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        if cold:
            os.execv(sys.executable, [sys.executable, "-m", "nnkit", *words])
        _run(words)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    finally:
        os._exit(code)


def _run(words: list[str]) -> NoReturn:
    """Run the command line, and end as an interpreter does."""
    import atexit
    from multiprocessing import util

    from nnkit.cli import main

    sys.stdin = open(0)  # noqa: SIM115 - the parent's has read ahead
    sys.argv = ["nnkit", *words]
    util.spawnv_passfds = _forked  # type: ignore[attr-defined]
    code = 1
    try:
        code = main(words)
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    sys.exit(code)


def _forked(path: bytes, args: Sequence[bytes | str], passed: Sequence[int]) -> int:
    """Stand in for multiprocessing's spawnv_passfds: the same process, but forked, with nothing but what is passed."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in CAUGHT:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        least = 3
        for descriptor in [*sorted(passed), os.sysconf("SC_OPEN_MAX")]:
            os.closerange(least, descriptor)
            least = descriptor + 1
        words = [os.fsdecode(word) for word in args]
        exec(words[words.index("-c") + 1], {"__name__": "__main__"})
    finally:
        os._exit(0)
