#!/usr/bin/env python3
"""scripts/bench/search.py [--seeds 20] [--trials 40] [--picture FILE]: what bayes and asha find, beside random.

A space of six settings of an MLP on breast_cancer, val/loss. For each seed: random and bayes, so many trials each;
random with asha, four times as many trials, for about random's epochs. Printed: the paired difference of bayes and
random with its 95 % interval, and the share of random's epochs after which asha has reached random's score. The picture
has the best score so far. Exit code 1 when bayes is not better, or asha needs more than half of the epochs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import os
import statistics
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
EPOCHS = 27
MONITOR = "val/loss"
FIXED = ["data=breast_cancer", f"trainer.max_epochs={EPOCHS}", "trainer.patience=null", "trainer.plots=false"]
FIXED += ["trainer.threads=1", "optimizer=sgd", "regularization=dropout", f"hydra.sweeper.objective={MONITOR}"]
SPACE = ["optimizer.lr=tag(log, interval(1e-5,1.0))", "optimizer.momentum=interval(0.0,0.99)"]
SPACE += ["optimizer.weight_decay=tag(log, interval(1e-6,1.0))", "regularization.dropout=interval(0.0,0.9)"]
SPACE += ["regularization.input_noise=interval(0.0,2.0)", "batching.batch_size=16,64,256"]
KINDS = {"random": "random", "bayes": "bayes", "asha": "random"}
T_95 = {5: 2.776, 10: 2.262, 20: 2.093, 40: 2.023}  # Student's t, two-sided, for so many pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, choices=sorted(T_95))
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--picture", type=Path, default=Path("search.png"))
    asked = parser.parse_args()
    jobs = [(kind, seed, asked.trials) for seed in range(asked.seeds) for kind in KINDS]
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        found = dict(zip([job[:2] for job in jobs], pool.map(searched, jobs), strict=True))
    curves = {kind: [found[kind, seed] for seed in range(asked.seeds)] for kind in KINDS}
    asked.picture.write_bytes(drawn(curves))
    ends = {kind: [best[-1] for _, best in runs] for kind, runs in curves.items()}
    fine = compare(ends["random"], ends["bayes"])
    return 0 if reached(curves["random"], curves["asha"]) and fine else 1


def searched(job: tuple[str, int, int]) -> tuple[list[int], list[float]]:
    """Return the epochs after each trial, and the best score so far."""
    from nnkit.cli import main as nnkit

    kind, seed, trials = job
    words = [f"hydra/sweeper={KINDS[kind]}", f"hydra.sweeper.seed={seed}", "name=search"]
    words += [f"hydra.sweeper.trials={trials * (4 if kind == 'asha' else 1)}"]
    words += ["hydra.sweeper.pruner=asha"] if kind == "asha" else []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        told = io.StringIO()
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            code = nnkit(["train", "-m", *FIXED, *SPACE, *words])
        if code not in (0, 9):  # 9: some have diverged
            raise SystemExit(told.getvalue()[-2000:])
        trials_of = json.loads(Path("outputs/search/sweep/sweep.json").read_text())["trials"]
    epochs, best = [], []
    for trial in trials_of:
        if not trial["metrics"]:
            continue
        epochs.append((epochs[-1] if epochs else 0) + trial["epochs"])
        best.append(min([trial["metrics"][MONITOR], *best[-1:]]))
    return epochs, best


def compare(random: list[float], bayes: list[float]) -> bool:
    """Print the paired difference with its 95 % interval."""
    differences = [a - b for a, b in zip(random, bayes, strict=True)]
    mean = statistics.fmean(differences)
    half = T_95[len(differences)] * statistics.stdev(differences) / math.sqrt(len(differences))
    means = f"random {statistics.fmean(random):.4f}, bayes {statistics.fmean(bayes):.4f}"
    print(f"best {MONITOR}, mean of {len(random)} seeds: {means}")
    print(f"random less bayes, paired: {mean:.4f}, 95 % interval {mean - half:.4f} to {mean + half:.4f}   above 0")
    return mean - half > 0


def reached(random: list[tuple[list[int], list[float]]], asha: list[tuple[list[int], list[float]]]) -> bool:
    """Print the share of random's epochs after which asha has what random has at its end."""
    shares = []
    for (epochs, best), (spent, so_far) in zip(random, asha, strict=True):
        places = [used for used, score in zip(spent, so_far, strict=True) if score <= best[-1]]
        shares.append(places[0] / epochs[-1] if places else math.inf)
    missed = sum(share > 1 for share in shares)
    median = statistics.median(shares)
    print(f"asha has random's score after {median:.2f} of its epochs (median; {missed} seeds need more)   at most 0.5")
    return median <= 0.5


def drawn(curves: dict[str, list[tuple[list[int], list[float]]]]) -> bytes:
    """Draw the best score so far by the epochs spent, mean over the seeds."""
    import numpy as np

    from nnkit.plots import BLUE, GREEN, RED, panels, png_of

    figure, (axis,) = panels(1, 1, "breast_cancer, six settings: the best so far", size=(6.4, 4.2))
    for (kind, runs), colour in zip(curves.items(), (RED, BLUE, GREEN), strict=True):
        last = min(runs_[0][-1] for runs_ in runs)
        grid = np.linspace(EPOCHS, last, 200)
        values = [np.interp(grid, epochs, best) for epochs, best in runs]
        axis.plot(grid, np.mean(values, 0), color=colour, label="random with asha" if kind == "asha" else kind)
    axis.set(xlabel="epochs in all", ylabel=f"{MONITOR}, mean of the seeds")
    axis.set_xlim(0, max(runs[0][0][-1] for kind, runs in curves.items() if kind == "random"))
    axis.legend()
    return png_of(figure)


if __name__ == "__main__":
    sys.exit(main())
