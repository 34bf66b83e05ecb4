"""The process that the trials' processes are forked from: it loads torch once. It can start before all else."""

from __future__ import annotations

import multiprocessing
from typing import Any

from nnkit.processes import start_server

PRELOADED = ["nnkit.sweep.work"]


def context() -> Any:
    """Return the context whose processes come from the fork server."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def warm_up() -> None:
    """Start the server, which loads torch while the words are checked."""
    context()
    start_server()
