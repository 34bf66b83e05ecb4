"""A sink that tells trackers, each in a process of its own. What they do, or fail to do, never reaches the training."""

from __future__ import annotations

import json
import os
import select
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, final

from nnkit.secrets import redacted
from nnkit.track.trackers.start import Start
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record

MOST_WAITING = 1000  # messages of a tracker that does not take them
LOOK_EVERY_S = 0.005  # at what still ends
NO_KEY = "API key"  # what W&B says that it lacks
GOES_ON = "; the training goes on"
CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[3]); from nnkit.track.trackers.host import main; main()"


@final
class Hosted:
    """A tracker's process. What it does not take at once waits in memory, as far as there is room.

    Attributes:
        problems: what went wrong, in words.
        remedy: a setting with which a run that goes on tells it what it has missed.
    """

    def __init__(self, name: str, start: Start) -> None:
        """Start the process, which imports the tracker while the training goes on. Raises: OSError."""
        self.problems: list[str] = []
        self.remedy, self._room = f"tracker.{name}.use=true", MOST_WAITING
        self._name, self._wait_s = name, start.wait_s
        self._waiting: deque[bytes] = deque()
        self._lost, self._half, self._is_closing = 0, b"", False
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-c", CODE, name, str(start.wait_s), json.dumps(sys.path), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is for the training; and the group can be ended with what it has started
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._messages, self._replies = self._process.stdin.fileno(), self._process.stdout.fileno()
        for pipe in (self._messages, self._replies):
            os.set_blocking(pipe, False)
        self.send(asdict(start))

    def send(self, message: Mapping[str, Any]) -> None:
        """Let a message go, or wait for its turn."""
        if len(self._waiting) >= self._room:
            self._lost += 1
            if self._lost == 1:
                self.problems.append(f"does not keep up; from step {message.get('step')} on it lacks events")
        else:
            self._waiting.append(json.dumps(message).encode() + b"\n")
        self.move()

    def recall(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Let go what was told before this process began, however much that is."""
        self._room += len(messages)
        for message in messages:
            self.send(message)

    def move(self) -> None:
        """Give the process what it takes, and hear what it tells."""
        with suppress(OSError):  # no room in the pipe, or nobody at its end: `has_ended` tells
            while self._waiting:
                sent = os.write(self._messages, self._waiting[0])
                if sent < len(self._waiting[0]):
                    self._waiting[0] = self._waiting[0][sent:]
                else:
                    self._waiting.popleft()
        with suppress(OSError):  # nothing to hear
            while heard := os.read(self._replies, 65536):
                *lines, self._half = (self._half + heard).split(b"\n")
                self.problems += [redacted(str(json.loads(line))) for line in lines]
        if any(NO_KEY in problem for problem in self.problems):
            self.remedy = "tracker.wandb.mode=offline"

    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self._process.poll() is not None

    def watch(self) -> bool:
        """Note whether the process is gone before it was told to be, and return that."""
        if not self.has_ended():
            return False
        self.move()  # its last words
        if not self.problems and (self._process.returncode or not self._is_closing):
            self.problems.append(f"its process ended with exit code {self._process.returncode}")
        return True

    def close(self, status: str, metrics: Mapping[str, float]) -> None:
        """Tell it how the run ended, whatever waits before."""
        self._is_closing = True
        message = {"do": "close", "status": status, "metrics": dict(metrics)}
        self._waiting.append(json.dumps(message).encode() + b"\n")
        self.move()

    def end(self, since: float) -> None:
        """End the process, and those it has started, where it has not ended in its time."""
        while not self.has_ended() and time.monotonic() < since + self._wait_s:
            self.move()
            select.select([self._replies], [], [], LOOK_EVERY_S)
            time.sleep(LOOK_EVERY_S)
        if not self.has_ended():
            self.remedy = f"tracker.{self._name}.wait_s={6 * self._wait_s:g}"
            self.problems.append(f"was not done {self._wait_s:g} s after the run, and was stopped")
        self.watch()
        with suppress(OSError):  # it is gone, with all that it has started
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _none(_: RunInfo) -> Sequence[Record]:
    return ()


@final
class Trackers:
    """A sink that tells all trackers of a run, and the user the first thing that goes wrong with each.

    Attributes:
        metrics: the final ones, to be told at the end.
        failed: names of trackers with which something went wrong.
    """

    def __init__(
        self,
        start: Callable[[RunInfo, str], Start],
        names: Sequence[str],
        warn: Callable[[str], None],
        history: Callable[[RunInfo], Sequence[Record]] = _none,
    ) -> None:
        """Take what there is to tell.

        Args:
            start: returns what a tracker of this name is told first. Raises: StorageError.
            names: of the trackers.
            warn: tells the user.
            history: returns the events before those that this process will see.
        """
        self._history, self._starts = history, dict[str, Start]()
        self._start, self._names, self._warn = start, names, warn
        self._hosted: dict[str, Hosted] = {}
        self.failed: set[str] = set()
        self._steps: list[int] = []
        self._first, self._records = 0, 0
        self.metrics: Mapping[str, float] = {}

    def start(self, info: RunInfo) -> None:
        """Start the trackers' processes."""
        self._first, self._records = info.step, info.records
        for name in self._names:
            try:
                start = self._starts[name] = self._start(info, name)
                hosted = self._hosted[name] = Hosted(name, start)
            except OSError as error:
                self._tell(name, f"cannot be started: {error}{GOES_ON}")
                continue
            if name != "tensorboard" or not start.goes_on:  # whose files it keeps; the others know what they have
                hosted.recall([_message(record) for record in self._history(info)])

    def write(self, record: Record) -> None:
        """Tell each one an event."""
        self._steps.append(record.step)
        self._send(_message(record))

    def _send(self, message: Mapping[str, Any]) -> None:
        for name, hosted in self._hosted.items():
            if not hosted.watch():
                hosted.send(message)
            self._tell_problems(name, hosted, GOES_ON)

    def sync(self) -> None:
        """Nothing to do: no save waits for a tracker."""

    def warn(self, text: str) -> None:
        """Nothing to do: it stands in run.log."""

    def go_back(self, records: int) -> None:
        """Tell each one the step of the last event that counts."""
        del self._steps[max(0, records - self._records) :]
        self._send({"do": "back", "step": self._steps[-1] if self._steps else self._first})

    def close(self, status: str) -> None:
        """Tell each one how the run ended, and wait for them, all at once, as long as each may take."""
        since = time.monotonic()
        for hosted in self._hosted.values():
            if not hosted.watch():
                hosted.close(status, self.metrics)
        for name, hosted in self._hosted.items():
            hosted.end(since)
            self._tell_problems(name, hosted)
        self._hosted.clear()

    def _tell_problems(self, name: str, hosted: Hosted, and_now: str = "") -> None:
        if hosted.problems:
            later = _later(name, hosted.remedy, self._starts[name])
            self._tell(name, f"{hosted.problems[0]}{and_now}{later}")

    def _tell(self, name: str, text: str) -> None:
        if name not in self.failed:
            self.failed.add(name)
            self._warn(f"tracker={name}: {text}")


def _message(record: Record) -> dict[str, Any]:
    return {"do": "write", "step": record.step, "epoch": record.epoch, "values": dict(record.values)}


def _later(name: str, remedy: str, start: Start) -> str:
    """Return what to type once the run has ended, for a tracker to hear of it; nothing for a fold."""
    if start.job == "fold":
        return ""
    modes = (start.settings.get("mode"), remedy.partition("=")[2])
    is_here = name == "tensorboard" or (name == "wandb" and "offline" in modes)  # and so of no stranger's choice
    words = ["nnkit", "resume", start.folder, *([] if is_here else ["--trust"]), remedy]
    return f"; later: {shlex.join(words)}"
