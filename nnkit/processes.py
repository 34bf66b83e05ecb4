"""Processes that this one starts: none outlives it."""

from __future__ import annotations

import os
import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)  # they ask a run to stop


def of_terminal() -> list[int]:
    """Return which of standard output and standard error go to a terminal, by their descriptors."""
    return [number for number in (1, 2) if os.isatty(number)]


def leave_terminal(descriptors: list[int]) -> None:
    """Let what was written to a terminal that has been closed go nowhere: it would be an error.

    Args:
        descriptors: that went to a terminal while it was there.
    """
    gone = [number for number in descriptors if not os.isatty(number)]
    if gone:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in gone:
            os.dup2(nowhere, number)
        os.close(nowhere)


def end_with_parent() -> None:
    """Let this process, which multiprocessing has started, end at once when the one that asked for it has died.

    Where a fork server has made the process, neither its parent's number nor a closed pipe tells: it and its siblings
    hold the pipe that the server watches, and the server is the parent.
    """
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    assert parent is not None, "multiprocessing has not started this process"
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def start_server() -> None:
    """Start the server that multiprocessing forks from, where it does not run yet, deaf to what asks a run to stop.

    Sent to a whole group of processes, these signals are for the main one, which saves and ends its processes itself.
    Meanwhile they wait: none is lost.
    """
    from multiprocessing import forkserver, resource_tracker

    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        resource_tracker.ensure_running()  # it takes two of the signals out of the mask again
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
