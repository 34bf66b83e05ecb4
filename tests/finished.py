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
def folder_of(kind: str) -> Path:
    """The folder of a finished run; not to be written into."""
    path, data = data_path(kind), "array" if kind in ("array", "pixels") else "table"
    words = (f"data={data}", f"data.path={path}", "optimizer.lr=0.01", *WORDS.get(kind, ()))
    if kind == "pixels":
        words = (*words, "model=cnn", "model.channels=[4]")
    folder = place() / "outputs" / kind
    folder.mkdir(parents=True)
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
        (path / "manifest.json").write_text(json.dumps(manifest))
