"""A power loss after any file-system call: what had not been synced may be there, or in part, or not at all.

The calls of a run are replayed on a model of a disk, which keeps what is in memory and what has reached the disk apart:
the content of a file reaches it by a sync of the file, a name in a folder by a sync of the folder. Each state that a
loss of power can leave is written into an empty folder and read as nnkit reads it.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nnkit.errors import CheckpointError, NnkitError
from nnkit.runs import CHECKPOINTS, CONFIG, RUN
from nnkit.train import checkpoints
from nnkit.train.checkpoints import STATE, WEIGHTS
from tests.faults.calls import Call, let
from tests.faults.child import in_child
from tests.faults.survival import Promise
from tests.faults.tried import counted, empty_place, in_memory, middle, run_in, trains, whole_run
from tests.trained import is_equal


@dataclass
class File:
    """A file: what is in memory, and what has reached the disk."""

    now: bytes = b""
    disk: bytes = b""


@dataclass
class Folder:
    """A folder: its names in memory, those that have reached the disk, and the changes in between, in order."""

    now: dict[str, File | Folder] = field(default_factory=dict)
    disk: dict[str, File | Folder] = field(default_factory=dict)
    waiting: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        change(self.now)
        self.waiting.append(change)

    def sync(self) -> None:
        for change in self.waiting:
            change(self.disk)
        self.waiting.clear()


class Disk:
    """The files below a folder, as calls have left them."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.top = Folder()

    def at(self, path: str) -> Any:
        found: Any = self.top
        for name in path.removeprefix(self._root).strip("/").split("/"):
            found = found.now[name] if name else found
        return found

    def do(self, call: Call) -> None:
        """Replay a call, which had done what it should."""
        above, _, name = call.path.rpartition("/")
        if call.name == "fsync":
            found = self.at(call.path)
            if isinstance(found, Folder):
                found.sync()
            else:
                found.disk = found.now
        elif call.name == "write":
            self.at(call.path).now += call.data
        elif call.name == "ftruncate":
            self.at(call.path).now = self.at(call.path).now[: call.size]
        elif call.name == "open" and name in self.at(above).now:
            self.at(call.path).now = self.at(call.path).now if call.size else b""
        elif call.name in ("open", "mkdir"):
            self._make(above, name, File() if call.name == "open" else Folder())
        elif call.name == "rename":
            self._rename(above, name, call.to.rpartition("/")[2])
        else:
            self.at(above).change(lambda names: names.pop(name, None))

    def _make(self, above: str, name: str, made: File | Folder) -> None:
        try:
            folder = self.at(above)
        except KeyError:  # a mkdir in a folder that is not there was refused
            return
        if name not in folder.now:  # and so was one of a folder that is there
            folder.change(lambda names: names.__setitem__(name, made))

    def _rename(self, above: str, name: str, to: str) -> None:
        moved = self.at(above).now[name]

        def change(names: dict[str, Any]) -> None:
            names.pop(name, None)
            names[to] = moved

        self.at(above).change(change)

    def folders(self, found: Folder | None = None) -> Iterator[Folder]:
        """Yield all folders in memory or on the disk that changes wait in."""
        found = found or self.top
        if found.waiting:
            yield found
        for inner in {id(x): x for x in (*found.now.values(), *found.disk.values())}.values():
            if isinstance(inner, Folder):
                yield from self.folders(inner)


# What may have become of the content of a file that had not been synced: from memory and disk to what is found.
CONTENTS: dict[str, Callable[[bytes, bytes], bytes]] = {
    "kept": lambda now, _: now,
    "lost": lambda _, disk: disk,
    "halved": lambda now, disk: now[: (len(disk) + len(now)) // 2],
    "zeroed": lambda now, disk: disk[: len(now)] + bytes(max(0, len(now) - len(disk))),
    "torn": lambda now, _: now[: len(now) * 7 // 8] + bytes(len(now) - len(now) * 7 // 8),
}


def left(disk: Disk) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield each state that a loss of power can leave: in words, and contents by path.

    Of each folder in which changes wait, the first ones have reached the disk, from none to all, whatever is true of
    the others; contents that wait have the same fate, or all but one have been kept, or lost.
    """
    waiting = list(disk.folders())
    for reached in itertools.product(*(range(len(folder.waiting) + 1) for folder in waiting)):
        names = {id(folder): count for folder, count in zip(waiting, reached, strict=True)}
        found = dict(_found(disk.top, "", names))
        doubtful = [path for path, file in found.items() if file.now != file.disk]
        for fates in _fates(len(doubtful)):
            become = dict(zip(doubtful, fates, strict=True))
            yield (
                f"{reached} names, contents {fates}",
                {path: CONTENTS[become.get(path, "kept")](file.now, file.disk) for path, file in found.items()},
            )


def _fates(count: int) -> Iterator[tuple[str, ...]]:
    """Yield what may become of so many contents."""
    for fate in CONTENTS:
        yield (fate,) * count
        for other, place in itertools.product(("kept", "lost"), range(count)):
            yield tuple(fate if number == place else other for number in range(count))


def _found(folder: Folder, path: str, names: Mapping[int, int]) -> Iterator[tuple[str, File]]:
    there = dict(folder.disk)
    for change in folder.waiting[: names.get(id(folder), 0)]:
        change(there)
    for name, inner in there.items():
        if isinstance(inner, Folder):
            yield from _found(inner, f"{path}{name}/", names)
        else:
            yield f"{path}{name}", inner


@dataclass(frozen=True)
class Truth:
    """What a run had written, by step: the weights and the state of each checkpoint; the lines of metrics.jsonl."""

    weights: dict[int, Any]
    states: dict[int, Any]
    lines: list[bytes]


def acknowledged(call: Call) -> bool:
    """Tell whether a save has been acknowledged with this call: the sync behind the renaming of `last`."""
    return call.name == "fsync" and call.path.endswith(f"/{CHECKPOINTS}")


@dataclass(frozen=True, eq=False)
class Story:
    """The calls of a run from its beginning; power is lost at those from `first` on."""

    calls: list[Call]
    first: int = 0


@cache
def undisturbed() -> Story:
    """A run that nothing stops."""
    return Story(whole_run()[0])


@cache
def gone_on() -> Story:
    """A run that is killed in its middle, and then resumed; power is lost during the resume."""
    before: list[Call] = []
    after: list[Call] = []
    with empty_place() as place, tempfile.TemporaryDirectory() as outside:
        told = Path(outside, "calls")

        def tell_and_die(number: int, _: Call, do: Callable[[], Any], __: Callable[[], Any]) -> Any:
            if number == middle():
                told.write_bytes(pickle.dumps(before[: middle()]))
                os.kill(os.getpid(), signal.SIGKILL)
            return do()

        assert in_child(lambda: trains(tell_and_die, before), place).code == -signal.SIGKILL
        folder = run_in(place)
        ended = in_child(lambda: (counted(["resume", str(folder)], let, after), after), place)
        assert ended.value[0] == 0, ended.said
        return Story([*pickle.loads(told.read_bytes()), *ended.value[1]], middle())


@cache
def truth(story: Story) -> Truth:
    """Return what the run had written."""
    calls, disk = story.calls, Disk(_root(story))
    written: dict[str, bytes] = {}
    for call in calls:
        disk.do(call)
        if call.name == "write":
            written[call.path] = written.get(call.path, b"") + call.data
    metrics = next(path for path in written if path.endswith("metrics.jsonl"))
    found = Truth({}, {}, disk.at(metrics).now.splitlines(keepends=True))
    with tempfile.TemporaryDirectory() as folder:
        for call in calls:
            if call.name == "rename" and Path(call.to).name.startswith("step-"):
                place = Path(folder, Path(call.to).name)
                place.mkdir()
                for path, data in written.items():
                    if path.startswith(f"{call.path}/"):
                        (place / Path(path).name).write_bytes(data)
                step = int(place.name.removeprefix("step-"))
                found.weights[step] = checkpoints.read_weights(place)
                if (place / STATE).exists():
                    found.states[step] = checkpoints.read_state(place)
    return found


def _root(story: Story) -> str:
    return story.calls[0].path.partition("/outputs")[0]


def wrong(story: Story, folder: Path, saved: int, *, disk_lies: bool = False) -> str | None:
    """Say what is wrong with a run folder that a loss of power has left.

    Args:
        story: what the run had done.
        folder: of the run.
        saved: the step of the last save that was acknowledged; 0 before the first.
        disk_lies: what was synced is damaged, too; then it may be refused, but not be taken for whole.
    """
    may_refuse = disk_lies or not saved
    place = folder / CHECKPOINTS
    try:
        found, weights, state, _ = checkpoints.newest(place)
    except NnkitError as error:
        return None if may_refuse else f"step {saved} is lost: {error}"
    step = int(found.name.removeprefix("step-"))
    if step < saved and not disk_lies:
        return f"step {saved} is lost: {found.name} is the newest"
    if not is_equal((weights, state), (truth(story).weights[step], truth(story).states[step])):
        return f"{found.name} is damaged, and taken for whole"
    for name in ("best", "last"):
        try:
            named = checkpoints.pointed(place, name)
            if not is_equal(checkpoints.read_weights(named), truth(story).weights[int(named.name[5:])]):
                return f"{name} is damaged, and taken for whole"
        except CheckpointError as error:
            if not may_refuse:
                return f"{name} is lost: {error}"
    if disk_lies:
        return None
    return _wrong_beside(story, folder, state)


def _wrong_beside(story: Story, folder: Path, state: Mapping[str, Any]) -> str | None:
    """Say what is wrong with what stands beside a checkpoint."""
    records, path = state["train"]["records"], folder / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:records] if path.exists() else []
    if lines != truth(story).lines[:records]:
        return f"of {records} lines of metrics.jsonl that a save has counted there are {len(lines)}"
    try:
        yaml.safe_load((folder / CONFIG).read_bytes())["model"]
        json.loads((folder / RUN).read_bytes())["status"]
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        return f"what the run is cannot be read: {error!r}"
    return None


@contextmanager
def written(contents: Mapping[str, bytes]) -> Iterator[Path]:
    """Write a state into an empty folder, and yield the folder of its run."""
    top = Path(tempfile.mkdtemp(dir=in_memory()))
    for path, data in contents.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(data)
    try:
        yield next(iter(top.glob("outputs/*/*")), top)
    finally:
        shutil.rmtree(top)


Filter = Callable[[Call, Disk], bool]


def states(story: Story, is_done: Filter) -> Iterator[tuple[str, dict[str, bytes], int]]:
    """Yield the states after each call, each but once, with the step that had been acknowledged.

    Args:
        story: what is replayed.
        is_done: whether a call is replayed at all; those that are not, a careless writer would have left out.
    """
    disk, seen, saved, pending = Disk(_root(story)), set(), 0, 0
    for number, call in enumerate(story.calls):
        if is_done(call, disk):
            disk.do(call)
        if call.name == "rename" and call.to.endswith("/last"):
            pending = int(json.loads(disk.at(call.to).now)["step"])
        elif pending and acknowledged(call):
            saved, pending = pending, 0
        for words, contents in left(disk) if number >= story.first else ():
            kept = {p: d for p, d in contents.items() if not p.endswith(("run.log", "lock"))}
            key = hash((saved, frozenset(kept.items())))
            if key not in seen:
                seen.add(key)
                yield f"after call {number}, {words}", kept, saved


def lying(contents: Mapping[str, bytes]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield what a disk may hold that says too early that it has written: a file of a checkpoint in part."""
    for path, data in contents.items():
        if path.endswith((WEIGHTS, STATE, "manifest.json", "best", "last")):
            for fate in ("lost", "halved", "zeroed", "torn"):
                yield f"{Path(path).name} {fate}", {**contents, path: CONTENTS[fate](data, b"")}


def outcomes(story: Story, is_done: Filter = lambda *_: True) -> Iterator[str | None]:
    """Try all states, and then those of a disk that lies, of what each acknowledged save has left."""
    told, last = 0, {}
    for words, contents, saved in states(story, is_done):
        with written(contents) as folder:
            broken = wrong(story, folder, saved)
        yield broken and f"{words}: {broken}"
        if saved != told:
            told, last = saved, contents
            for more, damaged in lying(last):
                with written(damaged) as folder:
                    broken = wrong(story, folder, saved, disk_lies=True)
                yield broken and f"after step {saved}, {more}: {broken}"


def cases(count: int) -> Iterator[str | None]:
    """Try the states; all of them are few enough for any count."""
    yield from itertools.islice(itertools.chain(outcomes(undisturbed()), outcomes(gone_on())), count)


POWER = Promise(
    name="power",
    text="Power loss after every file-system call of a run, and of a resumed one: un-synced data lost, halved, "
    "zeroed or torn, names not there",
    cases=cases,
    in_ci=100_000,
    in_soak=100_000,
    at_least=800,
)
