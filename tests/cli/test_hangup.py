"""A terminal that is closed while a run prints to it: the run is saved, and goes on later."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

WORDS = ["data=iris", "model.hidden=[8]", "trainer.patience=null", "trainer.plots=false", "trainer.threads=1"]


def test_a_closed_terminal_leaves_a_run_that_goes_on() -> None:
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nnkit", "train", *WORDS, "trainer.max_epochs=100000"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in Path("outputs").glob("*/*/metrics.jsonl")):
        assert time.monotonic() < deadline
        if select.select([controller], [], [], 0.05)[0]:
            os.read(controller, 4096)
    os.close(controller)
    try:
        assert process.wait(timeout=60) == 129
    finally:
        process.kill()
    (folder,) = (path.parent for path in Path("outputs").glob("*/*/run.json"))
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "interrupted"
    saved = json.loads((folder / "checkpoints" / "last").read_text())["step"]
    assert saved == facts["steps"] > 0
