"""The process that the trials' processes are forked from: it loads torch once. It can start before all else."""

from __future__ import annotations

import multiprocessing
import multiprocessing.forkserver
import signal
from typing import Any

PRELOADED = ["nnkit.sweep.work"]


def context() -> Any:
    """Return the context whose processes come from the fork server."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def warm_up() -> None:
    """Start the server, which loads torch while the words are checked."""
    context()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the sweep, which tells its processes
    try:
        multiprocessing.forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before)
