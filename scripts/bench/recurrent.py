#!/usr/bin/env python3
"""Our recurrent layers against torch.nn fed padded or packed and Keras on JAX: whole training steps, in turn.

The task: sequences of 16 inputs, hidden size 64, batches of 128, 10 classes from the last state; forward, loss,
backward and Adam: nnkit's own for ours, torch's fused one for torch.nn, Keras' for Keras. With fixed lengths each
sequence has 40 steps. With skewed lengths they are log-normal, about 30 on average and at most 100: ours sorts
stretches of many batches by length and shuffles the batches, the others take random batches. Printed: thousands of
samples a second, median of the rounds, and the ratios, median of those round by round. Exit code 1 if a bound is
missed.

Keras runs in a Python of its own, named by NNKIT_BENCH_PYTHON, for example of `python3 -m venv keras` with
`keras/bin/pip install keras jax`; without it that column stays empty. Where other programs share the cores, measure
with `--threads 1` or OMP_WAIT_POLICY=PASSIVE: two threads of torch that spin lose ten times as much as they gain.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from nnkit.config.sections.optimizer import AdamConfig
from nnkit.models.scan import Kind, scan
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer

# B batch, T time, F features, H hidden
STEPS, LONGEST, FEATURES, HIDDEN, BATCH, CLASSES = 40, 100, 16, 64, 128, 10
MODULES: dict[Kind, type[nn.LSTM | nn.GRU | nn.RNN]] = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN}
LAYERS: dict[Kind, str] = {"lstm": "LSTM", "gru": "GRU", "rnn_tanh": "SimpleRNN"}
Feeding = Literal["padded", "packed"]
Epoch = Callable[[], float]  # trains once on all sequences and returns samples a second
# lengths, layer, what ours is compared with, how many times as fast it must be; our LSTM and torch's padded one are the
# same kernel of oneDNN, so that on a noisy machine that row falls on either side of 1
BOUNDS: list[tuple[str, Kind, list[str], float]] = [
    ("fixed", "lstm", ["padded", "packed", "keras"], 1.0),
    ("fixed", "gru", ["padded", "packed"], 1.2),
    ("fixed", "rnn_tanh", ["padded", "packed", "keras"], 1.0),
    ("skewed", "lstm", ["padded"], 1.5),
    ("skewed", "gru", ["padded"], 1.5),
    ("skewed", "rnn_tanh", ["padded"], 1.5),
]
# Keras' own loop, which trains one epoch for each line that it reads, on as many cores as torch has threads. Masked
# sequences are padded to the longest of all, for any other length would be compiled anew.
KERAS = """
import os, sys, time
layer, steps, samples, batch, classes, hidden, features, spread, threads = sys.argv[1], *map(int, sys.argv[2:])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
import keras, numpy as np
rng = np.random.default_rng(0)
x = rng.standard_normal((samples, steps, features)).astype("float32")
y = rng.integers(0, classes, samples)
lengths = np.array(sys.stdin.readline().split(), int)
if spread:
    x[np.arange(steps) >= lengths[:, None]] = 0
model = keras.Sequential([keras.Input((steps, features)), *([keras.layers.Masking()] if spread else []),
                          getattr(keras.layers, layer)(hidden), keras.layers.Dense(classes)])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True),
              steps_per_execution=samples // batch)
model.fit(x, y, batch_size=batch, verbose=0)
print("ready", flush=True)
for _ in sys.stdin:
    started = time.perf_counter()
    model.fit(x, y, batch_size=batch, verbose=0)
    print(samples / (time.perf_counter() - started), flush=True)
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--kinds", nargs="+", choices=list(MODULES), default=list(MODULES))
    parser.add_argument("--lengths", nargs="+", choices=["fixed", "skewed"], default=["fixed", "skewed"])
    parser.add_argument("--batches", type=int, default=16, help="batches an epoch, one epoch a round")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: what torch picks")
    args = parser.parse_args()
    torch.set_num_threads(args.threads or torch.get_num_threads())
    print(f"{'':<18}{'ours':>8}{'padded':>8}{'packed':>8}{'keras':>8}   ours / other: median, from, to", flush=True)
    missed = False
    for spread, kind, others, least in BOUNDS:
        if kind in args.kinds and spread in args.lengths:
            missed |= not compare(spread, kind, others, least, args.rounds, args.batches)
    if "NNKIT_BENCH_PYTHON" not in os.environ:
        print("keras: skipped, NNKIT_BENCH_PYTHON is not set")
    return int(missed)


def compare(spread: str, kind: Kind, others: list[str], least: float, rounds: int, batches: int) -> bool:
    """Print one line of the table; return whether ours is fast enough."""
    x, y, lengths = drawn(spread, batches * BATCH)
    runs: dict[str, Epoch] = {
        "ours": ours(kind, x, y, lengths),
        "padded": by_torch(kind, x, y, lengths, "padded"),
        "packed": by_torch(kind, x, y, lengths, "packed"),
    }
    child = start_keras(kind, x, lengths)
    if child is not None:
        runs["keras"] = lambda: float(ask(child, "epoch"))
    speeds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, epoch in runs.items():
            speed = epoch()
            if number:  # the first round is a warm-up
                speeds[name].append(speed)
    if child is not None:
        child.kill()
    return report(spread, kind, speeds, others, least)


def report(spread: str, kind: Kind, speeds: dict[str, list[float]], others: list[str], least: float) -> bool:
    """Print the medians and ratios; return whether the smallest ratio that counts reaches the bound."""
    cells = [f"{statistics.median(speeds[n]) / 1e3:8.1f}" if n in speeds else f"{'-':>8}" for n in (*speeds, "keras")]
    ratios = {
        name: [a / b for a, b in zip(speeds["ours"], speeds[name], strict=True)] for name in speeds if name != "ours"
    }
    texts = [f"{n} {statistics.median(r):.2f} ({min(r):.2f}-{max(r):.2f})" for n, r in ratios.items()]
    lowest = min(statistics.median(ratios[name]) for name in others if name in ratios)
    verdict = "ok" if lowest >= least else "MISSED"
    print(
        f"{spread + ' ' + kind:<18}{''.join(cells[:4])}   {', '.join(texts)}; at least {least}: {verdict}", flush=True
    )
    return lowest >= least


def drawn(spread: str, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return random sequences (N, T, F), classes (N,) and lengths (N,)."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, CLASSES, (samples,), generator=generator)
    if spread == "fixed":
        return torch.randn(samples, STEPS, FEATURES, generator=generator), y, torch.full((samples,), STEPS)
    lengths = torch.empty(samples).log_normal_(3.1, 0.8, generator=generator).long().clamp(1, LONGEST)
    return torch.randn(samples, LONGEST, FEATURES, generator=generator), y, lengths


def ours(kind: Kind, x: Tensor, y: Tensor, lengths: Tensor) -> Epoch:
    """Return an epoch with `scan`, our optimizer and batches of similar lengths."""
    torch.manual_seed(0)
    layer, head = MODULES[kind](FEATURES, HIDDEN), nn.Linear(HIDDEN, CLASSES)
    flat = FlatParameters(nn.ModuleList([layer, head]))
    optimizer = Optimizer(flat, AdamConfig(kind="adam", lr=0.001))
    w, u, b, c = layer.parameters()

    def epoch() -> float:
        started = time.perf_counter()
        order = torch.randperm(len(x))
        batches = torch.split(order[lengths[order].argsort()], BATCH)
        for number in torch.randperm(len(batches)).tolist():
            rows = batches[number]
            ends = lengths[rows]
            _, state = scan(kind, x[rows, : int(ends.max())], (w, u, b, c), lengths=ends)
            loss = F.cross_entropy(head(state[0]), y[rows])
            flat.grad.zero_()
            torch.autograd.backward(loss)
            optimizer.step()
        return len(x) / (time.perf_counter() - started)

    return epoch


def by_torch(kind: Kind, x: Tensor, y: Tensor, lengths: Tensor, feeding: Feeding) -> Epoch:
    """Return an epoch with torch.nn and random batches."""
    torch.manual_seed(0)
    layer, head = MODULES[kind](FEATURES, HIDDEN, batch_first=True), nn.Linear(HIDDEN, CLASSES)
    optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], fused=True)
    is_even = bool((lengths == x.shape[1]).all())

    def last_state(x: Tensor, ends: Tensor) -> Tensor:
        if feeding == "packed":
            out, state = layer(pack_padded_sequence(x, ends, batch_first=True, enforce_sorted=False))
        else:
            out, state = layer(x)
        h: Tensor = (state[0] if kind == "lstm" else state)[0]
        return h if feeding == "packed" or is_even else out[torch.arange(len(ends)), ends - 1]

    def epoch() -> float:
        started = time.perf_counter()
        for rows in torch.split(torch.randperm(len(x)), BATCH):
            ends = lengths[rows]
            loss = F.cross_entropy(head(last_state(x[rows, : int(ends.max())], ends)), y[rows])
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
        return len(x) / (time.perf_counter() - started)

    return epoch


def start_keras(kind: Kind, x: Tensor, lengths: Tensor) -> subprocess.Popen[str] | None:
    """Return a process that has compiled and warmed up, or None where no Python for it is named."""
    python = os.environ.get("NNKIT_BENCH_PYTHON")
    if python is None:
        return None
    numbers = [x.shape[1], len(x), BATCH, CLASSES, HIDDEN, FEATURES, int(lengths.min() < x.shape[1])]
    numbers.append(torch.get_num_threads())
    child = subprocess.Popen(
        [python, "-c", KERAS, LAYERS[kind], *map(str, numbers)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax"},
    )
    if ask(child, " ".join(map(str, lengths.tolist()))) != "ready":
        print(f"keras: skipped, {python} has no keras and jax")
        return None
    return child


def ask(child: subprocess.Popen[str], line: str) -> str:
    """Send a line and return the one that comes back, which is empty when the process has ended."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()
    return child.stdout.readline().strip()


if __name__ == "__main__":
    sys.exit(main())
