#!/usr/bin/env python3
"""scripts/bench/sweep.py [--rounds 3] [--trials 200] [--only overhead|throughput]: what a sweep costs.

Part 1: what each trial costs besides its own run folder, at 1,000: composing, checking, proposing, journal, table.
Part 2: trials a minute of a small MLP (3 epochs on iris), whole processes, one after the other in each round: nnkit,
Hydra's basic launcher and its joblib launcher with the same function, an Optuna loop by hand with the same function,
all with full run folders; one in plain PyTorch that writes nothing; a process a trial. Then sweeps of a function that
does nothing. Exit code 1 when a bound is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
FIXED = ["data=iris", "model.hidden=[16]", "trainer.max_epochs=3", "trainer.plots=false", "trainer.threads=1"]
SPACE = ["optimizer.lr=tag(log, interval(1e-4,1e-1))", "batching.batch_size=16,32,64"]
MOST_MS = {"random": 5.0, "bayes": 30.0}  # a trial, at 1,000 trials
FEW = 8  # trials of those that need a process each


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=["overhead", "throughput"])
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--empty", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.contender:
        CONTENDERS[asked.contender](asked.trials, asked.empty)
        return 0
    results = [overhead] if asked.only == "overhead" else [throughput] if asked.only else [overhead, throughput]
    fine = [part(asked) for part in results]
    return 0 if all(fine) else 1


def overhead(asked: argparse.Namespace) -> bool:
    """Time a sweep of 1,000 trials that take no time and write nothing."""
    fine = True
    for sweeper, most in MOST_MS.items():
        seconds = [timed(["overhead", sweeper, 1000, True]) for _ in range(asked.rounds)]
        milliseconds = statistics.median(seconds)
        fine &= milliseconds <= most
        print(f"{sweeper:8} {milliseconds:6.2f} ms a trial besides its run folder, at 1,000 trials   at most {most:g}")
    return fine


def timed(words: list[Any]) -> float:
    """Return what a contender prints, in a process of its own."""
    name, argument, count, empty = words
    command = [sys.executable, __file__, "--trials", str(count), "--contender"]
    command += [f"{name}:{argument}" if argument else name, *(["--empty"] if empty else [])]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    return float(done.stdout.strip().splitlines()[-1])


def throughput(asked: argparse.Namespace) -> bool:
    """Time whole processes, one contender after the other in each round."""
    names = {"nnkit": "nnkit, 2 jobs", "nnkit1": "nnkit, 1 job", "basic": "Hydra's basic launcher, the same function"}
    names |= {"joblib": "Hydra's joblib launcher, 2 jobs", "optuna": "an Optuna loop by hand, the same function"}
    names |= {"plain": "an Optuna loop in plain PyTorch, writes nothing", "process": "a process a trial"}
    found: dict[str, list[float]] = {name: [] for name in names}
    empty: dict[str, list[float]] = {"nnkit": [], "basic": []}
    for _ in range(asked.rounds):
        for name in names:
            count = FEW if name == "process" else asked.trials
            found[name].append(60 * count / timed([name, "", count, False]))
        for name in empty:
            empty[name].append(60 * asked.trials / timed([name, "", asked.trials, True]))
    ours = statistics.median(found["nnkit"])
    bounds = {"basic": 5.0, "optuna": 1.5}
    fine = True
    for name, said in names.items():
        rate = statistics.median(found[name])
        bound = f"   at least {bounds[name]:g} x" if name in bounds else ""
        fine &= ours / rate >= bounds.get(name, 0.0)
        print(f"{said:50} {rate:8.0f} trials a minute   nnkit: {ours / rate:5.2f} x{bound}")
    nothing = {name: statistics.median(rates) for name, rates in empty.items()}
    ratio = nothing["nnkit"] / nothing["basic"]
    print(f"{'without a function: nnkit':50} {nothing['nnkit']:8.0f} trials a minute")
    print(f"{'without a function: Hydra, basic':50} {nothing['basic']:8.0f}   nnkit: {ratio:5.2f} x   at least 10 x")
    return fine and ratio >= 10


def run_nnkit(count: int, empty: bool, jobs: int) -> float:
    from nnkit.cli import main as nnkit

    sweep = ["hydra/sweeper=random", f"hydra.sweeper.trials={count}", f"hydra.sweeper.jobs={jobs}"]
    if empty:
        train_nothing()
    begun = time.perf_counter()
    with Quiet():
        assert nnkit(["train", "-m", *FIXED, *sweep, *SPACE]) == 0
    return time.perf_counter() - begun


def train_nothing() -> None:
    """Put an executor in place that trains nothing: what is left is the sweep's own work."""
    from nnkit.cli import sweep
    from nnkit.sweep import run
    from nnkit.sweep.trials import Outcome

    class Nothing:
        def __init__(self) -> None:
            self.outcomes: list[Outcome] = []

        def free(self) -> int:
            return 1 - len(self.outcomes)

        def start(self, trial: Any, folder: Path) -> None:
            score = random.Random(trial.number).random()
            metrics = {"val/accuracy": score, "val/loss": 1 - score}
            self.outcomes.append(Outcome(trial, folder, "completed", metrics, 3, 0.0))

        def wait(self) -> Outcome | None:
            return self.outcomes.pop() if self.outcomes else None

        def close(self) -> None:
            pass

    sweep._executor = lambda *_: Nothing()
    run._test_of = lambda *_: {"test/accuracy": 1.0}


def by_nnkit(jobs: int) -> Callable[[int, bool], None]:
    return lambda count, empty: print(run_nnkit(count, empty, jobs))


def overhead_of(sweeper: str) -> Callable[[int, bool], None]:
    def run(count: int, _: bool) -> None:
        from nnkit.cli import main as nnkit

        train_nothing()
        words = [f"hydra/sweeper={sweeper}", "hydra.sweeper.trials=2", "trainer.plots=false"]
        with Quiet():
            nnkit(["train", "-m", *FIXED[:4], *words, *SPACE])  # what is loaded once
            begun = time.perf_counter()
            words[1] = f"hydra.sweeper.trials={count}"
            assert nnkit(["train", "-m", *FIXED[:4], *words, *SPACE]) == 0
        print(1000 * (time.perf_counter() - begun) / count)

    return run


def points(count: int) -> list[tuple[float, int]]:
    chance = random.Random(0)
    return [(10 ** chance.uniform(-4, -1), chance.choice([16, 32, 64])) for _ in range(count)]


def task(config: Any) -> float:
    """Train one run with nnkit's own function, from what Hydra has composed."""
    from omegaconf import OmegaConf

    from nnkit.config.check import check
    from nnkit.config.origin import Composed
    from nnkit.lock import FolderLock
    from nnkit.run import train
    from nnkit.runs import new_folder

    checked = check(Composed(OmegaConf.to_container(config, resolve=True)))
    folder = new_folder(checked)
    with FolderLock(folder):
        return train(checked, folder, test=False).metrics["val/accuracy"]


def nothing(_: Any) -> float:
    return 0.0


def by_hydra(launcher: list[str]) -> Callable[[int, bool], None]:
    def run(count: int, empty: bool) -> None:
        import hydra

        rates = ",".join(f"{rate:.5g}" for rate, _ in points(count))
        words = [*FIXED, f"optimizer.lr={rates}", "hydra/sweeper=basic", *launcher, "--multirun"]
        sys.argv = ["bench", *words]
        begun = time.perf_counter()
        with Quiet():
            import torch

            torch.set_num_threads(1)
            app = hydra.main(version_base="1.3", config_path=str(ROOT / "configs"), config_name="train")
            app(nothing if empty else task)()
        print(time.perf_counter() - begun)

    return run


def by_optuna(count: int, _: bool) -> None:
    """Sweep as one does by hand: compose and train in the objective."""
    begun = time.perf_counter()
    import optuna
    import torch
    from hydra import compose, initialize_config_dir

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        size = trial.suggest_categorical("size", [16, 32, 64])
        return task(compose("train", [*FIXED, f"optimizer.lr={lr}", f"batching.batch_size={size}"]))

    with Quiet(), initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "configs")):
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(objective, n_trials=count)
    print(time.perf_counter() - begun)


def by_plain(count: int, _: bool) -> None:
    """Sweep in plain PyTorch: the same network, data and steps; nothing is checked, kept or written."""
    begun = time.perf_counter()
    import optuna
    import torch
    from sklearn.datasets import load_iris
    from torch import nn
    from torch.utils.data import DataLoader, TensorDataset

    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    x, y = (torch.as_tensor(a) for a in load_iris(return_X_y=True))
    x = ((x - x.mean(0)) / x.std(0)).float()
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    train, val = TensorDataset(x[order[:98]], y[order[:98]]), (x[order[98:120]], y[order[98:120]])

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
        loader = DataLoader(train, trial.suggest_categorical("size", [16, 32, 64]), shuffle=True)
        net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
        optimizer, loss = torch.optim.Adam(net.parameters(), lr), nn.CrossEntropyLoss()
        for _ in range(3):
            for inputs, target in loader:
                optimizer.zero_grad()
                loss(net(inputs), target).backward()
                optimizer.step()
            with torch.no_grad():
                score = float((net(val[0]).argmax(1) == val[1]).float().mean())
        return score

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=count)
    print(time.perf_counter() - begun)


def by_process(count: int, _: bool) -> None:
    begun = time.perf_counter()
    for lr, size in points(count):
        words = [*FIXED, f"optimizer.lr={lr:.5g}", f"batching.batch_size={size}"]
        subprocess.run([sys.executable, "-m", "nnkit", "train", *words], check=True, capture_output=True)
    print(time.perf_counter() - begun)


class Quiet:
    """Send what is told to nowhere, on both streams."""

    def __enter__(self) -> None:
        self.kept = [os.dup(number) for number in (1, 2)]
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(nowhere, number)
        os.close(nowhere)

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, kept in zip((1, 2), self.kept, strict=True):
            os.dup2(kept, number)
            os.close(kept)


CONTENDERS: dict[str, Callable[[int, bool], None]] = {
    "nnkit": by_nnkit(2),
    "nnkit1": by_nnkit(1),
    "basic": by_hydra([]),
    "joblib": by_hydra(["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]),
    "optuna": by_optuna,
    "plain": by_plain,
    "process": by_process,
    "overhead:random": overhead_of("random"),
    "overhead:bayes": overhead_of("bayes"),
}


if __name__ == "__main__":
    sys.exit(main())
