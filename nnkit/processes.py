"""Processes that this one starts: none outlives it."""

from __future__ import annotations

import os
import signal
import threading

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # they ask a run to stop


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
