"""A long training with a save an epoch: what it holds, in memory and on disk, stays what it is."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from nnkit.run import train
from nnkit.runs import new_folder
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record
from tests.faults.survival import Promise
from tests.trained import config_of

WORDS = ("trainer.patience=null", "trainer.checkpoint_every=5", "trainer.keep_last=2", "optimizer.lr=0.01")
MOST = 1.02  # of the memory that is held after a quarter of the training
STORED = {"last", "best"}


@dataclass
class Held:
    """A sink that looks at each event at what the run holds: bytes, open files, and what lies in its folder.

    Attributes:
        bytes, files: after each event.
        wrong: what should not have been there.
    """

    bytes: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)
    wrong: list[str | None] = field(default_factory=list)

    def start(self, info: RunInfo) -> None:
        self.folder = info.folder

    def write(self, record: Record) -> None:
        self.bytes.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
        self.files.append(len(list(Path("/proc/self/fd").iterdir())))
        self.wrong.append(self._wrong(record.epoch - 1))

    def _wrong(self, saves: int) -> str | None:
        """Return what is wrong behind so many saves, the last one before this event."""
        if not saves:
            return None
        names = {path.name for path in (self.folder / "checkpoints").iterdir()}
        at = {f"step-{5 * save:08d}" for save in range(max(1, saves - 1), saves + 1)}
        best = json.loads((self.folder / "checkpoints" / "best").read_text())["step"]
        extra = names - STORED - at - {f"step-{best:08d}"}
        older = [name for name in extra if name > min(at) or not name.startswith("step-")]
        # The best of the checkpoint before the last one is kept with it.
        if older or len(extra) > 1:
            return f"epoch {saves + 1}: the checkpoints are {sorted(names)}"
        others = [path.name for path in self.folder.iterdir() if path.name.startswith(".tmp")]
        return f"epoch {saves + 1}: {others} were left" if others else None

    def sync(self) -> None:
        pass

    def warn(self, text: str) -> None:
        self.wrong.append(text)

    def go_back(self, records: int) -> None:
        pass

    def close(self, status: str) -> None:
        pass


def outcomes(count: int) -> Iterator[str | None]:
    """Yield for each epoch, with its save, what was wrong behind it."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        found: list[str | None] = ["the child failed"]
        try:
            found = _epochs(count)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told
            found = [repr(error)]
        with os.fdopen(write, "w") as answer:
            json.dump(found, answer)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        yield from json.load(answer)
    os.waitpid(child, 0)


def _epochs(count: int) -> list[str | None]:
    torch.set_num_threads(1)
    config, held = config_of(*WORDS, f"trainer.max_epochs={count}"), Held()
    train(config, new_folder(config), [held])
    quarter = count // 4
    more = max(held.bytes[quarter:]) / held.bytes[quarter]
    if more > MOST:
        held.wrong[-1] = f"the memory has grown to {more:.3f} of what it was"
    if len(set(held.files[quarter:])) > 1:
        held.wrong[-1] = f"open files: {sorted(set(held.files[quarter:]))}"
    return held.wrong


LONG = Promise(
    "long",
    "a save an epoch: memory grows by less than 2 %, open files and what lies on disk stay",
    outcomes,
    in_ci=40,
    in_soak=500,
)
