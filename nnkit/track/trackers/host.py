"""The process of a tracker: it takes messages, a line each, and tells what went wrong. What hangs, hangs here."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

from nnkit.processes import STOPPING
from nnkit.track.trackers.start import Start, Tracker

LOOK_EVERY_S = 0.5  # whether the training's process is alive
CLOSE: dict[str, Any] = {"do": "close", "status": "lost", "metrics": {}}  # where the training could not say it
MOST_TOLD, LONGEST_TOLD = 20, 500  # problems, and signs of each


def main() -> None:
    """Serve the tracker that the command line names until the messages end.

    The words behind it: seconds that the end may take, the import path, and the training's process.
    """
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)  # they are for the training, which tells when it ends
    os.nice(10)  # the training goes first
    messages, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):  # what a tracker prints, or starts, gets none of ours
        os.dup2(nothing, stream)
    threading.Thread(target=_end_with, args=(int(sys.argv[4]), float(sys.argv[2])), daemon=True).start()
    serve(sys.argv[1], messages, lambda text: _tell(replies, text))


def _end_with(parent: int, wait_s: float) -> None:
    """End this process and those it has started some time after the training's, even if it hangs."""
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_S)
    time.sleep(wait_s)
    os.killpg(os.getpgrp(), signal.SIGKILL)  # the group is our own: we were started as its first


def _tell(replies: int, text: str) -> None:
    with suppress(OSError):  # nobody listens any more
        os.write(replies, json.dumps(text).encode() + b"\n")


def serve(name: str, messages: Iterable[bytes], tell: Callable[[str], None]) -> None:
    """Give a tracker the messages, the first of which is its `Start`, until they end.

    Args:
        name: of the tracker.
        messages: lines of JSON; where they end without a close, the training has died.
        tell: takes what goes wrong, each problem once.
    """
    told: set[str] = set()
    tracker: Tracker | None = None
    for message in _until_closed(messages):
        try:
            if tracker is None:
                tracker = opened(name, Start(**message))
            else:
                _give(tracker, message)
        except Exception as error:  # noqa: BLE001 - of a program that is not ours
            text = f"{type(error).__name__}: {error}"[:LONGEST_TOLD]
            if text not in told and len(told) < MOST_TOLD:
                told.add(text)
                tell(text)
            if tracker is None:
                return


def _until_closed(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """Yield the messages up to the one that ends them; half of one, which the training could not end, is none."""
    for line in lines:
        message = json.loads(line) if line.endswith(b"\n") else CLOSE
        yield message
        if message.get("do") == "close":
            return
    yield CLOSE


def _give(tracker: Tracker, message: dict[str, Any]) -> None:
    if message["do"] == "write":
        tracker.write(message["step"], message["epoch"], message["values"])
    elif message["do"] == "back":
        tracker.go_back(message["step"])
    else:
        tracker.finish(message["status"], message["metrics"])


def opened(name: str, start: Start) -> Tracker:
    """Return a tracker; only the one that is asked for is imported. Raises: whatever it raises."""
    if name == "tensorboard":
        from nnkit.track.trackers.tensorboard import Tensorboard

        return Tensorboard(start)
    if name == "wandb":
        from nnkit.track.trackers.wandb import Wandb

        return Wandb(start)
    from nnkit.track.trackers.mlflow import Mlflow

    return Mlflow(start)
