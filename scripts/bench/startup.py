#!/usr/bin/env python3
"""How long nnkit takes before it works: whole processes, in turn with what they are compared to; medians.

For the first training step the comparison is a bare script that imports torch, makes the same net and the same
torch.optim optimizer, and takes one step. Which modules a command imports is asserted by tests/test_imports.py.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

BARE = """
import torch
from torch import nn
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
loss = nn.functional.cross_entropy(net(torch.randn(64, 64)), torch.randint(0, 10, (64,)))
loss.backward()
optimizer.step()
"""
NNKIT = [sys.executable, "-m", "nnkit"]
# name, command, exit code, budget in seconds
ROWS = [
    ("nnkit --help", [*NNKIT, "--help"], 0, 0.15),
    ("nnkit --version", [*NNKIT, "--version"], 0, 0.15),
    ("a mistyped command", [*NNKIT, "trian"], 2, 0.15),
    ("nnkit train --cfg job", [*NNKIT, "train", "--cfg", "job"], 0, 0.6),
    ("a config error", [*NNKIT, "train", "epochs=3"], 2, 0.6),
]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    empty = [seconds([sys.executable, "-c", "pass"], 0) for _ in range(rounds)]
    print(f"{'python -c pass':<28}{statistics.median(empty):6.3f} s")
    for name, command, code, budget in ROWS:
        found = statistics.median(seconds(command, code) for _ in range(rounds))
        print(f"{name:<28}{found:6.3f} s   budget {budget:.2f} s   {'ok' if found <= budget else 'MISSED'}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        one_step = [*NNKIT, "train", "trainer.max_steps=1", f"output_dir={folder}"]
        pairs = [(seconds(one_step, 0), seconds([sys.executable, "-c", BARE], 0)) for _ in range(rounds + 1)][1:]
    mine, bare = (statistics.median(column) for column in zip(*pairs, strict=True))
    difference = statistics.median(a - b for a, b in pairs)
    print(
        f"{'nnkit train, one step, whole':<28} {mine:6.3f} s   bare script {bare:.3f} s   "
        f"difference {difference:+.3f} s   budget +0.80 s   {'ok' if difference <= 0.8 else 'MISSED'}"
    )
    return 0


def seconds(command: list[str], code: int) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, env={**os.environ, "NO_COLOR": "1"}, check=False)
    taken = time.perf_counter() - started
    assert done.returncode == code, (command, done.returncode, done.stderr[-500:])
    return taken


if __name__ == "__main__":
    sys.exit(main())
