#!/usr/bin/env python3
"""Tables against scripts written by hand with pandas and torch: whole processes, in turn; medians of pairs.

Adult: from the file to the test error. A generated CSV of a million rows: reading with all checks, in time and memory,
and predicting. Adult needs NNKIT_DATA. Exit code 1 when a budget is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

NNKIT = [sys.executable, "-m", "nnkit"]
ROW_BYTES = 50 * 4  # 50 columns of float32
IDLE = "import nnkit.data, torch, pyarrow, pyarrow.csv"
ADULT_BY_HAND = """
import sys
import pandas as pd, torch
from torch import nn
torch.manual_seed(0)
torch.set_num_threads(1)  # faster here than two: the net is small
NAMES = ["age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship",
         "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country", "income"]
read = lambda path: pd.read_csv(path, names=NAMES, skipinitialspace=True, na_values="?", comment="|")
data, test = read(sys.argv[1] + "/adult.data"), read(sys.argv[1] + "/adult.test")
val = data.sample(frac=0.1, random_state=0)
train = data.drop(val.index)
texts = [c for c in NAMES[:-1] if not pd.api.types.is_numeric_dtype(data[c])]
numbers = [c for c in NAMES[:-1] if c not in texts]
mean, std = train[numbers].mean(), train[numbers].std()
levels = {c: {v: i + 1 for i, v in enumerate(sorted(train[c].dropna().unique()))} for c in texts}
def tensors(rows):
    x = torch.tensor(((rows[numbers] - mean) / std).to_numpy(), dtype=torch.float32)
    codes = torch.tensor(pd.DataFrame({c: rows[c].map(levels[c]).fillna(0).astype(int) for c in texts}).to_numpy())
    return x, codes, torch.tensor(rows["income"].str.strip(" .").eq(">50K").astype(int).to_numpy())
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [len(levels[c]) + 1 for c in texts]
        widths = [round(1.6 * n ** 0.56) for n in sizes]
        self.tables = nn.ModuleList(nn.Embedding(n, w) for n, w in zip(sizes, widths))
        self.layers = nn.Sequential(
            nn.Linear(len(numbers) + sum(widths), 256), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(256, 128), nn.ReLU(), nn.Dropout(0.1), nn.Linear(128, 2))
    def forward(self, x, codes):
        return self.layers(torch.cat([x, *(t(codes[:, k]) for k, t in enumerate(self.tables))], 1))
(x, codes, y), net = tensors(train), Net()
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
steps = -(-len(x) // 256) * 10
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps)
def accuracy(rows):
    net.eval()
    with torch.no_grad():
        a, b, c = tensors(rows)
        return (net(a, b).argmax(1) == c).float().mean().item()
for epoch in range(10):
    net.train()
    for rows in torch.randperm(len(x)).split(256):
        loss = nn.functional.cross_entropy(net(x[rows], codes[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    print(epoch, accuracy(val))
print("test error", 1 - accuracy(test))
"""
PREDICT_BY_HAND = """
import json, pathlib, sys
import pandas as pd, safetensors.torch, torch
from torch import nn
run = pathlib.Path(sys.argv[1])
(table,) = json.loads((run / "preprocess.json").read_text())["inputs"]
(weights,) = run.glob("checkpoints/*/model.safetensors")
net = nn.Sequential(nn.Linear(50, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 2))
net.load_state_dict(dict(zip(net.state_dict(), (
    safetensors.torch.load_file(weights)[f"{layer}.{part}"]
    for layer in ("hidden.0.linear", "hidden.1.linear", "output") for part in ("weight", "bias")))))
data = pd.read_csv(sys.argv[2])
columns = [c["name"] for c in table["numbers"]]
mean, std = ([c[key] for c in table["numbers"]] for key in ("shift", "size"))
x = torch.tensor(((data[columns] - mean) / std).to_numpy(), dtype=torch.float32)
with torch.no_grad():
    found = torch.cat([net(rows).argmax(1) for rows in x.split(1024)])
pd.DataFrame({"y": data["y"], "prediction": found}).to_csv(sys.argv[3], index=False)
"""
GENERATE = """
import sys
import numpy as np, pyarrow as pa, pyarrow.csv
x = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 50)).astype(np.float32)
y = (x[:, 0] + x[:, 1] > 0).astype(np.int64)
pa.csv.write_csv(pa.table({**{f"f{i}": x[:, i] for i in range(50)}, "y": y}), sys.argv[1])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["adult", "data", "predict"], help="of adult, data, predict")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if {"data", "predict"} & set(args.parts):
            finished([sys.executable, "-c", GENERATE, str(folder / "big.csv"), str(args.rows)])
        rows: dict[str, Iterator[bool]] = {
            "adult": adult(folder, args.rounds),
            "data": reading(folder, args.rounds, args.rows),
            "predict": predicting(folder, args.rounds),
        }
        reached = [each for part in args.parts for each in rows[part]]
    return 0 if all(reached) else 1


def adult(folder: Path, rounds: int) -> Iterator[bool]:
    if "NNKIT_DATA" not in os.environ:
        print("adult: skipped, because the environment variable NNKIT_DATA is not set")
        return
    ours = [*NNKIT, "train", "experiment=adult", f"output_dir={folder}"]
    hand = [sys.executable, "-c", ADULT_BY_HAND, f"{os.environ['NNKIT_DATA']}/adult"]
    yield compared("nnkit train experiment=adult", ours, hand, rounds, 2.0)


def reading(folder: Path, rounds: int, rows: int) -> Iterator[bool]:
    runs = [finished([*NNKIT, "data", str(folder / "big.csv"), "data.target=y"]) for _ in range(rounds)]
    cpu = statistics.median(each.cpu_s for each in runs)
    yield row(f"nnkit data: {cpu:.1f} s of CPU time, seconds", median_s(runs), 12 * rows / 1e6)
    idle = finished([sys.executable, "-c", IDLE]).peak
    most = statistics.median(each.peak for each in runs) - idle
    yield row(f"  its peak memory above {idle / 2**20:.0f} MiB idle, in raw sizes", most / (rows * ROW_BYTES), 3.0)


def predicting(folder: Path, rounds: int) -> Iterator[bool]:
    big, run = folder / "big.csv", folder / "runs"
    words = ["data=table", f"data.path={big}", "data.target=y", "data.limit=20000", "model.hidden=[128,64]"]
    finished([*NNKIT, "train", *words, "trainer.max_epochs=1", f"output_dir={run}"])
    (run,) = run.glob("*/*/")
    mine, by_hand = folder / "ours.csv", folder / "hand.csv"
    ours = [*NNKIT, "predict", str(run), str(big), "-o", str(mine)]
    hand = [sys.executable, "-c", PREDICT_BY_HAND, str(run), str(big), str(by_hand)]
    yield compared("nnkit predict", ours, hand, rounds, 1.3)
    pairs = list(zip(mine.read_text().split(), by_hand.read_text().split(), strict=True))
    differing = sum(a.replace('"', "") != b for a, b in pairs)
    yield row("  share of rows answered otherwise", differing / len(pairs), 1e-4)  # where two classes all but tie


def compared(name: str, ours: list[str], hand: list[str], rounds: int, most: float) -> bool:
    """Run two commands in turn, and tell whether the median ratio of their times is within the budget."""
    pairs = [(finished(ours), finished(hand)) for _ in range(rounds)]
    mine, by_hand = ([pair[side] for pair in pairs] for side in (0, 1))
    ratio = statistics.median(a.seconds / b.seconds for a, b in pairs)
    cpu = statistics.median(a.cpu_s / b.cpu_s for a, b in pairs)
    label = f"{name}: {median_s(mine):.2f} s, by hand {median_s(by_hand):.2f} s (CPU time {cpu:.2f}), ratio"
    return row(label, ratio, most)


@dataclass(frozen=True, slots=True)
class Used:
    """What a process used: seconds by the clock and of the processors, and its largest memory in bytes."""

    seconds: float
    cpu_s: float
    peak: int


def median_s(runs: list[Used]) -> float:
    return statistics.median(each.seconds for each in runs)


def finished(command: list[str]) -> Used:
    """Run a command to its end, or end with what it said."""
    with tempfile.TemporaryFile() as log:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log)
        _, status, used = os.wait4(process.pid, 0)  # of this child alone; resource.getrusage mixes all of them
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{log.read().decode()[-3000:]}\n{' '.join(command)[:300]} ended with {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    return Used(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * unit)


def row(name: str, found: float, most: float) -> bool:
    reached = found <= most
    print(f"{name:<84}{found:8.3f}   at most {most:.3f}   {'ok' if reached else 'MISSED'}", flush=True)
    return reached


if __name__ == "__main__":
    sys.exit(main())
