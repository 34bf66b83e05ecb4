"""Trials in several processes of this machine. They come from a fork server that has loaded torch already."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.sharedctypes import RawValue
from multiprocessing.util import Finalize
from pathlib import Path
from threading import RLock
from typing import Any, final

from nnkit.machine import cores
from nnkit.processes import STOPPING, end_with_parent
from nnkit.sweep import forkserver
from nnkit.sweep.executor import ended
from nnkit.sweep.trials import Outcome, Trial
from nnkit.sweep.work import Judge, Score, Terms, run_trial
from nnkit.train.stopping import Signals

LOOK_EVERY_S = 0.2  # at the signals, while nothing is told
THREADS, DEVICES = "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"
HINTS = {signal.SIGKILL: "; out of memory?", signal.SIGSEGV: "; a fault in a library?"}


@final
@dataclass(slots=True)
class _Worker:
    """A process, and what it does."""

    process: BaseProcess
    connection: Connection
    trial: Trial | None = None
    folder: Path = field(default_factory=Path)


@final
class Pool:
    """So many trials at once, each in a process that takes one after the other. One that dies costs its trial alone."""

    def __init__(self, jobs: int, devices: list[str], signals: Signals, terms: Terms, judge: Judge) -> None:
        """Take what the trials need.

        Args:
            jobs: processes.
            devices: names of the GPUs, which the processes share round robin; empty for none.
            signals: stop the trials at their next step.
            terms: what each trial is held to.
            judge: is told each validation, in this process.
        """
        self._context: Any = get_context("spawn") if devices else forkserver.context()
        self._jobs, self._devices, self._signals, self._terms, self._judge = jobs, devices, signals, terms, judge
        self._stop = RawValue(ctypes.c_int, 0)
        self._workers: list[_Worker] = []
        # A second SIGINT may come anywhere, also in `close`: at its end Python would wait for a process without work.
        self._at_exit = Finalize(None, _end, (self._workers,), exitpriority=0)

    def free(self) -> int:
        """How many trials can start now."""
        return self._jobs - sum(worker.trial is not None for worker in self._workers)

    def start(self, trial: Trial, folder: Path) -> None:
        """Give a trial to a process that has none."""
        for worker in [each for each in self._workers if each.trial is None and not each.process.is_alive()]:
            self._workers.remove(worker)
        worker = next((each for each in self._workers if each.trial is None), None) or self._hired()
        worker.trial, worker.folder = trial, folder
        with suppress(OSError):  # one that has died meanwhile is found by the next look
            worker.connection.send((trial, folder, self._terms))

    def _hired(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        place = len(self._workers)
        threads = max(1, cores() // self._jobs)
        device = self._devices[place % len(self._devices)] if self._devices else None
        process = self._context.Process(target=_work, args=(theirs, self._stop, threads, device))
        self._workers.append(_Worker(process, ours))  # before it starts: whatever comes between, it is known
        process.start()
        theirs.close()
        return self._workers[-1]

    def wait(self) -> Outcome | None:
        """Return how the next trial ended; None where none is running."""
        while busy := [worker for worker in self._workers if worker.trial is not None]:
            self._stop.value = self._signals.number
            for connection in wait([worker.connection for worker in busy], LOOK_EVERY_S):
                worker = next(each for each in busy if each.connection is connection)
                outcome = self._heard(worker)
                if outcome is not None:
                    return outcome
        return None

    def _heard(self, worker: _Worker) -> Outcome | None:
        """Take one message of a process: a validation, which is answered, or the end of its trial."""
        assert worker.trial is not None
        died = ""
        try:
            message = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            worker.process.join()
            self._workers.remove(worker)
            message, died = None, _how_it_died(worker.process.exitcode)
        if isinstance(message, Score):
            with suppress(OSError):  # one that has died meanwhile is found by the next look
                worker.connection.send(self._judge(message))
            return None
        if isinstance(message, Exception):
            raise message
        trial, worker.trial = worker.trial, None
        return ended(trial, worker.folder, died)

    def close(self) -> None:
        """Stop whatever still runs, at once."""
        _end(self._workers)
        self._at_exit.cancel()


def _end(workers: list[_Worker]) -> None:
    """Kill processes, and wait until they are gone. Where that is interrupted, it can be called again."""
    started = [worker for worker in workers if worker.process.pid is not None]
    for worker in started:
        worker.process.kill()
    for worker in started:
        worker.process.join()
    for worker in workers:
        worker.connection.close()
    workers.clear()


def gpus() -> list[str]:
    """Return the names of the GPUs that the trials may share, as CUDA_VISIBLE_DEVICES has them; empty for none."""
    import torch

    given = os.environ.get(DEVICES)
    if given is not None:
        return [name for name in given.split(",") if name.strip()] if torch.cuda.is_available() else []
    return [str(number) for number in range(torch.cuda.device_count())]


def _how_it_died(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with exit code {code}"
    number = signal.Signals(-code)
    return f"its process was killed by {number.name}{HINTS.get(number, '')}"


@final
class _Shared:
    """The signal that the sweep's process has seen, as `Signals` has it."""

    def __init__(self, stop: Any) -> None:
        self._stop = stop

    @property
    def number(self) -> int:
        return int(self._stop.value)


def _work(connection: Connection, stop: Any, threads: int, device: str | None) -> None:
    """Train trial after trial, until the sweep's process closes the connection or dies."""
    import torch
    from tqdm import tqdm

    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # the sweep's process hears them, and tells
    end_with_parent()  # and the folder is free for a process that goes on with it
    tqdm.set_lock(RLock())  # its own is a semaphore as well, which a process that is killed leaves behind
    os.environ[THREADS] = str(threads)
    torch.set_num_threads(threads)
    if device is not None:
        os.environ[DEVICES] = device
    signals: Any = _Shared(stop)

    def judge(score: Score) -> bool:
        connection.send(score)
        return bool(connection.recv())

    while True:
        try:
            trial, folder, terms = connection.recv()
        except EOFError:
            return
        try:
            run_trial(trial, folder, signals, terms, judge)
        except Exception as error:  # noqa: BLE001 - it goes to the sweep's process
            connection.send(error)
        else:
            connection.send(None)
