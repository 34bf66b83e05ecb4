#!/usr/bin/env python3
"""Our training loop against a hand-written one: the same net, data, threads and precision, in turn, in one process.

The hand-written loop has resident tensors, one gather a batch and torch's fused Adam; ours has early stopping,
checkpoints, metrics and the bar on. Printed: microseconds a step, median of 7, and the ratio pair by pair.
"""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812

from nnkit.assemble import assemble, prepare
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.models import build
from nnkit.runs import CHECKPOINTS
from nnkit.track.console import ProgressBar
from nnkit.track.jsonl import JsonLines
from nnkit.train.loop import fit
from nnkit.train.sink import RunInfo
from nnkit.train.state import TrainState
from nnkit.train.stopping import stop_when

CASES = {
    "MLP 64-128-128-10": ["model=mlp", "model.hidden=[128,128]", "trainer.max_epochs=200"],
    "default CNN": ["model=cnn", "trainer.max_epochs=30"],
}
MOST = 1.05
COMMON = ["data=digits", "batching.batch_size=64", "trainer.patience=1000"]


class Terminal(io.StringIO):
    """A terminal that nobody looks at, so that the bar is drawn."""

    def isatty(self) -> bool:
        return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0, help="0: what nnkit picks")
    args = parser.parse_args()
    missed = False
    for name, words in CASES.items():
        threads = [f"trainer.threads={args.threads}"] if args.threads else []
        words = [*COMMON, *words, *threads]
        pairs = [(ours(words), by_hand(words)) for _ in range(args.rounds + 1)][1:]  # the first is a warm-up
        mine, hand = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = [a / b for a, b in pairs]
        missed |= statistics.median(ratios) > MOST
        print(
            f"{name:<20} ours {mine:7.1f} us/step   by hand {hand:7.1f} us/step   "
            f"ratio {statistics.median(ratios):.3f} (from {min(ratios):.3f} to {max(ratios):.3f})",
            flush=True,
        )
    return int(missed)


def ours(words: list[str]) -> float:
    """Return microseconds a step of `fit`, everything on, with a validation an epoch as in the loop by hand."""
    prepared = prepare(check(compose(words)))
    with tempfile.TemporaryDirectory() as folder:
        run = assemble(prepared, Path(folder) / CHECKPOINTS)
        state = TrainState(run.trainer.max_epochs * len(run.train), sums=run.metrics.zero(run.device))
        sinks = [JsonLines(), ProgressBar()]
        screen, sys.stderr = sys.stderr, Terminal()
        for sink in sinks:
            sink.start(RunInfo(Path(folder), "bench", run.trainer.max_epochs, len(run.train), run.monitor))
        started = time.perf_counter()
        fit(run, state, sinks, stop_when(run.trainer))
        seconds = time.perf_counter() - started
        for sink in sinks:
            sink.close("completed")
        sys.stderr = screen
    return seconds / state.step * 1e6


def by_hand(words: list[str]) -> float:
    """Return microseconds a step of the loop that one would write oneself, validating once an epoch."""
    prepared = prepare(check(compose(words)))
    config = prepared.config
    torch.set_num_threads(int(config.trainer.threads))
    run = assemble(prepared, None)  # for its tensors
    (x,), y = run.train.samples.inputs, run.train.samples.target
    (vx,), vy = run.val.samples.inputs, run.val.samples.target
    model = build(config, prepared.spec, prepared.num_outputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.optimizer.lr, fused=True)
    size, steps = int(config.batching.batch_size), 0
    started = time.perf_counter()
    for _ in range(config.trainer.max_epochs):
        model.train()
        order = torch.randperm(len(x))
        for i in range(0, len(x), size):
            rows = order[i : i + size]
            loss = F.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            steps += 1
        model.eval()
        with torch.no_grad():
            F.cross_entropy(model(vx), vy).item()
    return (time.perf_counter() - started) / steps * 1e6


if __name__ == "__main__":
    sys.exit(main())
