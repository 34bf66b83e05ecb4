"""The run that is killed and stopped: dropout, one_cycle, averaged weights, pictures that two processes decode."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image

from nnkit.runs import CHECKPOINTS, RUN
from nnkit.train import checkpoints
from tests.faults.processes import Process, ended
from tests.trained import events, is_equal, last_state, last_weights

SIZE, CLASSES, A_CLASS = 12, 3, 20
EPOCHS = 3
KEPT = ("status", "reason", "epochs", "steps", "best", "metrics", "parameters", "data_fingerprint")


@cache
def words() -> tuple[str, ...]:
    """Return what is typed behind `nnkit`; the pictures are made once."""
    root, rng = Path(mkdtemp(prefix="nnkit-pictures-")), np.random.default_rng(0)
    for number in range(CLASSES):
        (root / str(number)).mkdir()
        for k in range(A_CLASS):
            pixels = np.clip(rng.normal(60 + 50 * number, 60, (SIZE, SIZE)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / str(number) / f"{k:02d}.png")
    data = ("data=images", f"data.path={root}", "data.in_memory=false", "data.workers=2", "data.cache=null")
    model = ("model=mlp", "model.hidden=[1024,512]", "regularization=dropout", "scheduler=one_cycle")
    limits = (f"trainer.max_epochs={EPOCHS}", "trainer.patience=null", "trainer.plots=false")
    machine = ("trainer.device=cpu", "trainer.threads=1")
    return ("train", *data, *model, "trainer.ema_decay=0.9", "batching.batch_size=4", *limits, *machine)


SAVING = ("trainer.checkpoint_every=1",)


@cache
def whole() -> Path:
    """Return the folder of the run that nobody has stopped."""
    place = Path(mkdtemp(prefix="nnkit-whole-"))
    code, out, err = ended([*words(), *SAVING], place)
    assert code == 0, err
    return Path(out.strip())


def folder_of(place: Path) -> Path | None:
    """Return the folder of the run that was started in a place; None before it is made."""
    return next(iter(place.glob("outputs/*/*")), None)


def until_saved(process: Process, place: Path, step: int = 1) -> Path:
    """Wait until the run has saved so many steps, and return its folder. Raises: AssertionError where it has ended."""
    while True:
        folder = folder_of(place)
        if folder is not None and steps_saved(folder) >= step:
            return folder
        assert process.poll() is None, process.said()[1]
        time.sleep(0.002)


def steps_saved(folder: Path) -> int:
    """Return the step of the last checkpoint; 0 before the first."""
    try:
        return int(json.loads((folder / CHECKPOINTS / "last").read_text())["step"])
    except (FileNotFoundError, ValueError):
        return 0


def temporaries(folder: Path) -> set[str]:
    """Return the names of what is half written."""
    return {path.name for path in folder.glob(f"{CHECKPOINTS}/.tmp-*")}


def difference(folder: Path) -> str | None:
    """Return in what a run differs from the one that nobody has stopped; None where bit by bit in nothing."""
    wanted = whole()
    here, there = ({name: json.loads((f / RUN).read_text())[name] for name in KEPT} for f in (folder, wanted))
    if here != there:
        return f"run.json: {here}, wanted {there}"
    if events(folder) != events(wanted):
        return f"metrics.jsonl: {events(folder)}, wanted {events(wanted)}"
    if not is_equal(last_weights(folder), last_weights(wanted)):
        return "weights differ"
    if not is_equal(last_state(folder), last_state(wanted)):
        return "the state of the optimizer or of the training differs"
    best, wanted_best = (checkpoints.pointed(f / CHECKPOINTS, "best") for f in (folder, wanted))
    if best.name != wanted_best.name:
        return f"the best weights are those of {best.name}, wanted {wanted_best.name}"
    if not is_equal(checkpoints.read_weights(best), checkpoints.read_weights(wanted_best)):
        return "the best weights differ"
    return f"left behind: {temporaries(folder)}" if temporaries(folder) else None


def gone_on(folder: Path, place: Path) -> str | None:
    """Go on with a run to its end, and return what went wrong, or in what it differs."""
    code, _, err = ended(["resume", str(folder), *SAVING], place)
    return f"resume ended with {code}: {err}" if code else difference(folder)


def killed(process: Process, chance: random.Random) -> str | None:
    """Kill a process without a warning, now and then with all of its children, and return what it leaves behind."""
    kill = process.send_all if chance.random() < 0.25 else process.send
    kill(signal.SIGKILL)
    process.wait()
    return process.leaves_nobody()


def cleared(place: Path) -> None:
    """Remove what a case has left in a place."""
    shutil.rmtree(place, ignore_errors=True)
