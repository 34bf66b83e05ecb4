"""Short trainings, and what is left of them, for the tests of several modules."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import torch
import yaml

from nnkit.assemble import assemble, prepare
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.origin import Composed
from nnkit.config.schema import Config
from nnkit.final import Result
from nnkit.run import train
from nnkit.runs import CHECKPOINTS, new_folder
from nnkit.train import checkpoints
from nnkit.train.run import Run
from nnkit.train.sink import RunInfo, Sink
from nnkit.train.state import Record, TrainState
from nnkit.train.stopping import Signals

TINY = ("data=iris", "model.hidden=[8]", "batching.batch_size=20", "trainer.max_epochs=3")  # 5 steps an epoch
PLAIN = ("seed", "tags")  # settings that stand in no section


@cache
def config_of(*words: str) -> Config:
    """Return the checked config of a tiny network on iris, changed by the words."""
    kept = [w for w in TINY if not (w.startswith("model.") and any(other.startswith("model=") for other in words))]
    pairs = [word.partition("=")[::2] for word in (*kept, *words)]
    values = deepcopy(_composed(*(f"{key}={option}" for key, option in pairs if "." not in key and key not in PLAIN)))
    for key, text in pairs:
        *section, name = key.split(".")
        if section or key in PLAIN:
            (values[section[0]] if section else values)[name] = _value(text)
    return check(Composed(values))


@cache
def _composed(*options: str) -> dict[str, Any]:
    """Compose options alone: Hydra takes most of the time of a short test."""
    return compose(options).values


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def run_of(*words: str) -> Run:
    """Return the wired training of a config that saves nothing."""
    return assemble(prepare(config_of(*words)), None)


def state_of(run: Run) -> TrainState:
    """Return the state before the first step."""
    steps = run.trainer.max_epochs * len(run.train)
    return TrainState(steps, sums=run.metrics.zero(run.device))


def trained(*words: str, sinks: tuple[Sink, ...] = (), signals: Signals | None = None) -> Result:
    """Train the config of the words in a new folder."""
    config = config_of(*words)
    return train(config, new_folder(config), sinks, signals)


class Watcher:
    """A sink that keeps what it sees; after so many records or saves it sets a signal or raises an error."""

    def __init__(
        self,
        *,
        signals: Signals | None = None,
        at_record: int | None = None,
        at_save: int | None = None,
        error: BaseException | None = None,
    ) -> None:
        self.records: list[Record] = []
        self.saves = 0
        self.warnings: list[str] = []
        self.info: RunInfo | None = None
        self.status = ""
        self._signals, self._at_record, self._at_save, self._error = signals, at_record, at_save, error

    def start(self, info: RunInfo) -> None:
        self.info = info

    def write(self, record: Record) -> None:
        self.records.append(record)
        if len(self.records) == self._at_record:
            self._act()

    def sync(self) -> None:
        self.saves += 1
        if self.saves == self._at_save:
            self._act()

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def go_back(self, records: int) -> None:
        del self.records[records - self.info.records if self.info else records :]

    def close(self, status: str) -> None:
        self.status = status

    def _act(self) -> None:
        if self._signals is not None:
            self._signals.number = 15
        if self._error is not None:
            raise self._error


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl without their times."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if not k.startswith("time/")} for line in lines]


def last_weights(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run's last checkpoint."""
    return checkpoints.read_weights(checkpoints.pointed(folder / CHECKPOINTS, "last"))


def last_state(folder: Path) -> dict[str, Any]:
    """Return the state of a run's last checkpoint, without the seconds that it took."""
    state = checkpoints.read_state(checkpoints.pointed(folder / CHECKPOINTS, "last"))
    del state["train"]["seconds"]
    return state


def is_equal(a: Any, b: Any) -> bool:
    """Tell whether two nests of containers, tensors and plain values are equal, bit by bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(is_equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        same_size = isinstance(b, (list, tuple)) and len(a) == len(b)
        return same_size and all(is_equal(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
