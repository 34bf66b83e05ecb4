"""A sweep whose process is killed at random times, and what is left of it. Used by a test and by scripts/soak."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

from tests.faults.processes import Process, start

TRIALS, PLACE = 60, "outputs/killed/sweep"
SWEEP = ["train", "-m", "name=killed", "data=iris", "model.hidden=[8]", "trainer.max_epochs=30"]
SWEEP += ["trainer.patience=null", "hydra/sweeper=random", f"hydra.sweeper.trials={TRIALS}", "hydra.sweeper.jobs=2"]
SWEEP += ["optimizer.lr=tag(log, interval(1e-4,1e-1))", "trainer.checkpoint_every=100", "batching.batch_size=8"]


def sweep(folder: Path) -> Process:
    """Start the sweep, or go on with it."""
    return start(SWEEP, folder)


def killed(folder: Path, times: int, seed: int) -> int:
    """Kill the sweep at random times, once its trials run, then let it end; return how often it was killed."""
    chance, done = random.Random(seed), 0
    journal = folder / PLACE / "journal.jsonl"
    while done < times:
        process = sweep(folder)
        before = journal.read_text().count('"start"') if journal.exists() else 0
        while process.poll() is None and (not journal.exists() or journal.read_text().count('"start"') == before):
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 1.5))
        if process.poll() is not None:  # it has ended before it could be killed
            break
        process.send(signal.SIGKILL)
        process.wait()
        done += 1
    last = sweep(folder)
    assert last.wait() == 0, "\n".join(last.said()[1].splitlines()[-100:])
    return done


def facts_of(folder: Path) -> dict[str, Any]:
    """Return sweep.json of the sweep in a folder."""
    return dict(json.loads((folder / PLACE / "sweep.json").read_text()))


def check_same(killed_folder: Path, whole_folder: Path) -> str:
    """Compare a killed sweep with one that ran through, and say what was seen. Raises: AssertionError."""
    there, here = facts_of(whole_folder), facts_of(killed_folder)
    runs = [json.loads(path.read_text()) for path in (killed_folder / PLACE).glob("*/run.json")]
    assert len(here["trials"]) == len(runs) == TRIALS
    assert {trial["status"] for trial in here["trials"]} == {"completed"}
    assert here["best"] == there["best"]
    scores = [{t["folder"]: t["metrics"] for t in facts["trials"]} for facts in (here, there)]
    assert scores[0] == scores[1]
    entries = [json.loads(line) for line in (killed_folder / PLACE / "journal.jsonl").read_text().splitlines()]
    over: set[int] = set()
    for entry in entries:
        assert entry["event"] != "start" or entry["trial"] not in over, f"trial {entry['trial']} was run twice"
        if entry["event"] == "end":
            over.add(entry["trial"])
    starts = [entry["trial"] for entry in entries if entry["event"] == "start"]
    resumed = sum("resumed" in run for run in runs)
    return f"{len(starts) - len(set(starts))} trials were under way, {resumed} of them went on from a checkpoint"
