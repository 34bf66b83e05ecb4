#!/usr/bin/env python3
"""How long `nnkit runs ls` takes on many run folders: whole processes, without an index and with one; medians.

The folders hold what a run writes before its first step and behind its last, with settings, seeds and metrics drawn by
chance; a hundredth of them are sweeps of ten trials.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from nnkit.catalog.index import INDEX
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.schema import to_plain

MOST_S = 1.0  # with an index
TRIALS = 10
LS = [sys.executable, "-m", "nnkit", "runs", "ls"]
WORDS = {
    "warm": [],
    "warm, filtered and sorted": ["model=cnn", "optimizer.lr<0.01", "--sort", "val/accuracy"],
    "warm, by seed": ["--by-seed"],
    "warm, all as JSON": ["--all", "--json"],
    "the best": ["best"],
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "outputs"
        generate(root, args.runs)
        cold = statistics.median(measured(root, [], forget=True) for _ in range(min(args.rounds, 3)))
        print(f"{args.runs:,} runs\n{'cold, without an index':<28}{cold:7.2f} s")
        first = 0.0
        for name, words in WORDS.items():
            found = statistics.median(measured(root, words) for _ in range(args.rounds))
            first = first or found
            print(f"{name:<28}{found:7.2f} s   of cold {found / cold:.3f}", flush=True)
        last = statistics.median(seconds([*LS[:-1], "show", "last", f"output_dir={root}"]) for _ in range(args.rounds))
        print(f"{'show last':<28}{last:7.2f} s")
        print(f"index: {(root / INDEX).stat().st_size / 1e6:.1f} MB")
    print(f"warm: {first:.2f} s, budget {MOST_S:.2f} s   {'ok' if first <= MOST_S else 'MISSED'}")
    return int(first > MOST_S)


def generate(root: Path, count: int) -> None:
    """Write run folders below `root`."""
    chance = random.Random(0)
    plain = {kind: to_plain(check(compose([f"model={kind}", "data=digits"]))) for kind in ("mlp", "cnn")}
    texts = {kind: yaml.safe_dump(values, sort_keys=False) for kind, values in plain.items()}
    for i in range(count):
        kind, seed = chance.choice(["mlp", "cnn"]), chance.randrange(5)
        name = f"{kind}-digits" if i % 100 >= TRIALS else f"{kind}-digits/sweep-{i // 100:05d}"
        folder = root / name / f"{i:06d}"
        (folder / "checkpoints").mkdir(parents=True)
        lr = f"lr: {chance.choice([0.1, 0.03, 0.01, 0.003, 0.001, 0.0003])}"
        text = texts[kind].replace("lr: 0.001", lr).replace("seed: 0", f"seed: {seed}", 1)
        (folder / "config.yaml").write_text(text)
        (folder / "run.json").write_text(json.dumps(facts(chance, i, kind, seed), indent=2))
        for file in ("lock", "metrics.jsonl", "run.log", "data.json", "preprocess.json"):
            (folder / file).write_text("{}\n")
    for sweep in root.glob("*/sweep-*"):
        (sweep / "sweep.json").write_text(json.dumps({"format": 1, "objective": "val/accuracy", "mode": "max"}))


def facts(chance: random.Random, number: int, kind: str, seed: int) -> dict[str, object]:
    """Return what run.json says of a finished run."""
    started = (
        f"2026-{1 + number // 28 % 12:02d}-{1 + number % 28:02d}T12:{number % 60:02d}:00.{number % 10**6:06d}+00:00"
    )
    names = (f"{part}/{name}" for part in ("train", "val", "test") for name in ("loss", "accuracy", "macro_f1"))
    return {
        "format": 2,
        "status": chance.choice(["completed", "stopped_early", "completed", "failed"]),
        "started": started,
        "title": f"{kind} on digits",
        "seed": seed,
        "versions": {"nnkit": "0.1.0", "torch": "2.14.1", "python": "3.11.7"},
        "data_fingerprint": "0" * 64,
        "parameters": 36_010,
        "epochs": chance.randrange(5, 100),
        "steps": 1368,
        "seconds": chance.random() * 100,
        "best": {"epoch": 57, "step": 1083, "value": chance.random(), "monitor": "val/loss"},
        "metrics": {name: chance.random() for name in names},
    }


def measured(root: Path, words: list[str], *, forget: bool = False) -> float:
    """Return the seconds of one listing."""
    if forget:
        (root / INDEX).unlink(missing_ok=True)
    command = LS[:-1] if words[:1] == ["best"] else LS
    return seconds([*command, *words, f"output_dir={root}"])


def seconds(command: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env={**os.environ, "NO_COLOR": "1"}, check=False)
    taken = time.perf_counter() - started
    assert done.returncode == 0, (command, done.returncode, done.stderr[-500:])
    return taken


if __name__ == "__main__":
    sys.exit(main())
