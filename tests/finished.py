"""Finished runs of every kind, each trained once a session, for the tests of what is done with a run afterwards."""

from __future__ import annotations

import atexit
import hashlib
import json
import pickle
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nnkit.cli import main
from nnkit.infer.finished import Finished, open_run
from nnkit.run import train
from nnkit.train.checkpoints import sealed
from tests.own_code import HERE
from tests.trained import config_of

OLD = Path(__file__).parent / "fixtures" / "run-format-1"  # never to be written into
ROWS = 240
KINDS = ("binary", "values", "counts", "labels", "several", "array", "embedded", "headerless", "pixels")
WORDS: dict[str, tuple[str, ...]] = {
    "binary": (
        "data.target=bought",
        "data.id=id",
        'data.drop=["price", "count", "red", "big"]',
        "trainer.decision_threshold=f1",
        "trainer.max_epochs=8",
    ),
    "values": ("data.target=price", 'data.drop=["bought", "id", "count", "red", "big"]'),
    "counts": ("data.target=count", "loss=poisson", 'data.drop=["bought", "id", "price", "red", "big"]'),
    "labels": ('data.target=["red", "big"]', "data.task=multilabel", 'data.drop=["bought", "id", "count", "price"]'),
    "several": ('data.target=["price", "count"]', "data.task=regression", 'data.drop=["bought", "id", "red", "big"]'),
    "embedded": (
        "data.target=bought",
        "data.categories=embedding",
        "data.missing_numeric=error",
        "data.missing_categorical=error",
    ),
    "headerless": ("data.target=c3", "data.header=false"),
}
TINY = ("model.hidden_size=8", "trainer.max_epochs=2", "batching.batch_size=32")
SERIES = ("data.window=24", "data.horizon=6", "data.season=12", "model=lstm")
STATEFUL = ("batching.stateful=true", "batching.shuffle=false", "batching.batch_size=4")
# Runs on sequences; {} is the file of `sequence_path`.
SEQUENCES: dict[str, tuple[str, ...]] = {
    "adding": ("data=adding", "data.samples=120", "data.min_length=5", "data.length=9", "model=gru"),
    "bits": ("data=parity", "data.samples=90", "data.min_length=3", "data.length=7", "model=lstm"),
    "even": ("data=parity", "data.samples=90", "data.length=6", "model=rnn"),
    "sine": ("data=sine", "data.steps=260", "data.window=26", "data.horizon=4", "model=gru"),
    "load": ("data=series", "data.path={}", "data.time=date", "data.target=[load,gas]", *SERIES),
    "known": ("data=series", "data.path={}", "data.time=date", "data.target=load", "data.future=[holiday]", *SERIES),
    "letters": ("data=text", "data.path={}", "data.task=language", "data.tokens=char", "data.segment=12", "model=gru"),
    "words": ("data=text", "data.path={}", "data.task=language", "data.segment=8", "model=lstm", *STATEFUL),
    "reviews": ("data=text", "data.path={}", "model=gru", "model.summary=mean"),
    "opinions": ("data=text", "data.path={}", "data.text=review", "model=cnn", "model.global_pooling=max"),
    "vowels": ("data=ts", "data.path={}", "model=gru"),
    "steps": ("data=ts", "data.path={}", "model=lstm"),
    "padded": ("data=array", "data.path={}", "model=gru"),
}
RAW = ("binary", "values", "counts", "labels", "several")  # they read table.csv


@cache
def place() -> Path:
    """The folder of this session."""
    found = Path(tempfile.mkdtemp(prefix="nnkit-tests-"))
    atexit.register(shutil.rmtree, found, ignore_errors=True)
    return found


@cache
def table() -> pd.DataFrame:
    """Rows with cells of every kind, some of them missing."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=ROWS)
    town = rng.choice(["Rome", "Oslo", "Bern"], ROWS)
    score = size + (town == "Oslo") + 0.3 * rng.normal(size=ROWS)
    frame = pd.DataFrame(
        {
            "id": [f"r{i:03d}" for i in range(ROWS)],
            "size": size.round(4),
            "weight": (5 + 2 * rng.normal(size=ROWS)).round(4),
            "town": town,
            "is_new": rng.choice(["yes", "no"], ROWS),
            "built": [f"20{10 + i % 10}-0{1 + i % 9}-15" for i in range(ROWS)],
            "bought": np.where(score > 0.8, "yes, gladly", "no"),
            "price": (300_000 + 50_000 * score).round(1),
            "count": rng.poisson(np.exp(np.clip(score, -1, 2) + 1)),
            "red": (score > 0).astype(int),
            "big": (size > 0.5).astype(int),
        }
    )
    frame.loc[::17, "size"] = np.nan
    frame.loc[::23, "town"] = None
    return frame


def unlabelled(*names: str) -> pd.DataFrame:
    """The table without its targets, or some columns of it."""
    return table()[list(names) if names else ["id", "size", "weight", "town", "is_new", "built"]]


def data_path(kind: str) -> Path:
    """The file that a kind of run is trained on."""
    if kind == "array":
        path = place() / "array.npz"
        rng = np.random.default_rng(1)
        y = np.arange(90) % 3
        x = rng.normal(size=(90, 4)) + 3 * np.eye(4)[y]
        return _made(path, lambda: np.savez(path, x=x, y=y))
    if kind == "pixels":
        path = place() / "pixels.npz"
        rng = np.random.default_rng(2)
        y = np.arange(60) % 2
        x = (rng.integers(0, 100, (60, 1, 8, 8)) + 100 * y[:, None, None, None]).astype(np.uint8)
        return _made(path, lambda: np.savez(path, x=x, y=y))
    if kind == "headerless":
        path = place() / "headerless.csv"
        frame = table()[["weight", "price", "bought"]]
        return _made(path, lambda: frame.to_csv(path, index=False, header=False))
    path = place() / ("table.csv" if kind in RAW else "whole.csv")
    frame = table() if kind in RAW else table()[["size", "town", "bought"]].dropna()
    return _made(path, lambda: frame.to_csv(path, index=False))


def _made(path: Path, write: Any) -> Path:
    if not path.exists():
        write()
    return path


@cache
def load_table() -> pd.DataFrame:
    """A series of half-hours, with two channels and what is known beforehand."""
    rng, steps = np.random.default_rng(3), np.arange(300)
    load = 100 + 20 * np.sin(2 * np.pi * steps / 12) + rng.normal(size=300)
    return pd.DataFrame(
        {
            "date": pd.date_range("2026-01-01", periods=300, freq="30min").strftime("%Y-%m-%d %H:%M"),
            "load": load.round(3),
            "gas": (5 + 0.1 * load + rng.normal(size=300)).round(3),
            "holiday": (steps // 48 % 7 > 4).astype(int),
        }
    )


def text() -> str:
    """A text of 160 lines for a language model."""
    rng = np.random.default_rng(4)
    return "".join(rng.choice(["the cat sat, on a mat.\n", "a dog ran home!\n", "one (two) three\n"], 160))


def reviews() -> list[tuple[str, str]]:
    """80 texts, no two of them alike, with a label each."""
    rng = np.random.default_rng(5)
    words = {"good": ["fine", "lovely", "great", "film"], "bad": ["dull", "slow", "awful", "film"]}
    return [(label, " ".join([*rng.choice(words[label], 3 + i % 4), f"n{i}"])) for i in range(40) for label in words]


def ts_text(*, varies: bool, labels: bool = True) -> str:
    """60 series of two channels in the .ts format."""
    rng = np.random.default_rng(6)
    head = f"@problemName t\n@univariate false\n@dimensions 2\n@equalLength {str(not varies).lower()}\n"
    head += "@classLabel true a b\n@data\n" if labels else "@classLabel false\n@data\n"
    lines = []
    for i in range(60):
        channels = rng.normal(size=(2, int(rng.integers(4, 9)) if varies else 6)) + i % 2
        told = ":".join(",".join(f"{value:.4f}" for value in channel) for channel in channels)
        lines.append(f"{told}:{'ab'[i % 2]}\n" if labels else f"{told}\n")
    return head + "".join(lines)


def sequence_path(kind: str) -> Path:
    """The file that a kind of run on sequences is trained on; one that is made up has none."""
    folder = place()
    if kind in ("load", "known"):
        return _made(folder / "load.csv", lambda: load_table().to_csv(folder / "load.csv", index=False))
    if kind in ("letters", "words"):
        return _made(folder / "book.txt", lambda: (folder / "book.txt").write_text(text()))
    if kind == "reviews":
        lines = "".join(f"{label} {review}\n" for label, review in reviews())
        return _made(folder / "reviews.txt", lambda: (folder / "reviews.txt").write_text(lines))
    if kind == "opinions":
        frame = pd.DataFrame(reviews(), columns=["label", "review"]).assign(id=range(80))
        return _made(folder / "opinions.csv", lambda: frame.to_csv(folder / "opinions.csv", index=False))
    if kind in ("vowels", "steps"):
        path = folder / f"{kind}.ts"
        return _made(path, lambda: path.write_text(ts_text(varies=kind == "vowels")))
    path = folder / "padded.npz"
    rng = np.random.default_rng(7)
    lengths, y = rng.integers(3, 8, 60), np.arange(60) % 2
    x = (rng.normal(size=(60, 7, 2)) + y[:, None, None]) * (np.arange(7) < lengths[:, None])[..., None]
    return _made(path, lambda: np.savez(path, x=x, y=y, lengths=lengths))


@cache
def folder_of(kind: str) -> Path:
    """The folder of a finished run; not to be written into."""
    folder = place() / "outputs" / kind
    folder.mkdir(parents=True)
    if kind in SEQUENCES:
        words = tuple(word.format(sequence_path(kind)) for word in SEQUENCES[kind])
        tiny = [word for word in TINY if not (word.startswith("model.") and "model=cnn" in words)]
        train(config_of(*tiny, *words), folder)
        return folder
    path, data = data_path(kind), "array" if kind in ("array", "pixels") else "table"
    words = (f"data={data}", f"data.path={path}", "optimizer.lr=0.01", *WORDS.get(kind, ()))
    if kind == "pixels":
        words = (*words, "model=cnn", "model.channels=[4]", "trainer.precision=fp32")  # auto is bf16 on some processors
    train(config_of(*words), folder)
    return folder


@cache
def own_folder() -> Path:
    """The folder of a finished run with a model of the user's own."""
    folder = place() / "own"
    folder.mkdir(parents=True)
    train(config_of("model=code", f"model.code={HERE}:Net"), folder)
    return folder


@cache
def opened(kind: str) -> Finished:
    """A finished run."""
    return open_run(folder_of(kind))


def copy_of(folder: Path) -> Path:
    """A fresh copy of a run folder in the working directory, which a test may change."""
    shutil.rmtree(Path.cwd() / folder.name, ignore_errors=True)
    return Path(shutil.copytree(folder, Path.cwd() / folder.name))


def facts_of(folder: Path) -> dict[str, Any]:
    """The content of run.json."""
    found: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return found


def change_facts(folder: Path, **changes: Any) -> None:
    """Change run.json."""
    (folder / "run.json").write_text(json.dumps({**facts_of(folder), **changes}))


def command(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Run a command; return exit code, standard output and standard error."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


class Bomb:
    """What pickle would execute on loading."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def put_bombs(folder: Path) -> None:
    """Replace all checkpoints by pickles that leave a file `executed`, with right checksums."""
    data = pickle.dumps(Bomb())
    for path in folder.glob("checkpoints/step-*"):
        manifest = json.loads((path / "manifest.json").read_text())
        for name in manifest["sha256"]:
            (path / name).write_bytes(data)
            manifest["sha256"][name] = hashlib.sha256(data).hexdigest()
        reseal(path / "manifest.json", manifest)


def reseal(path: Path, manifest: dict[str, Any]) -> None:
    """Write another manifest of a checkpoint, with its right check."""
    path.write_bytes(sealed({key: value for key, value in manifest.items() if key != "check"}))
