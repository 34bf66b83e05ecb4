"""Every call that changes files below a folder, counted as it happens: it can be let through, refused, or be the last.

The calls are caught below nnkit/storage.py, at the functions of Python that reach the system. They stay caught: whoever
does so does it in a child process.
"""

from __future__ import annotations

import builtins
import io
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
Name = Literal["open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "ftruncate"]
Mode = Literal["before", "half", "after"]


@dataclass(frozen=True)
class Call:
    """One call.

    Attributes:
        name: which.
        path: of the file or folder.
        to: of a rename, what it is called from then on.
        data: of a write.
        size: of a ftruncate; of an open, 0 where it empties the file and 1 where it does not.
    """

    name: Name
    path: str
    to: str = ""
    data: bytes = b""
    size: int = 0


# Takes a call's number, the call, how to do it, and how to do half of it (a write) or nothing of it.
Act = Callable[[int, Call, Callable[[], Any], Callable[[], Any]], Any]


def let(_: int, __: Call, do: Callable[[], Any], ___: Callable[[], Any]) -> Any:
    """Do every call."""
    return do()


def kill_at(number: int, mode: Mode) -> Act:
    """Return what kills the process before, after or in the middle of a call."""

    def act(found: int, _: Call, do: Callable[[], Any], do_half: Callable[[], Any]) -> Any:
        if found != number:
            return do()
        try:
            if mode != "before":
                (do if mode == "after" else do_half)()
        finally:  # a call that fails by itself has an end, too
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def refuse_at(number: int, code: int, names: frozenset[str], *, from_then_on: bool, refused: list[Call]) -> Act:
    """Return what refuses a call, or also those of some names behind it, and notes them; half of a write is done."""

    def act(found: int, call: Call, do: Callable[[], Any], do_half: Callable[[], Any]) -> Any:
        if found == number or (from_then_on and found > number and call.name in names):
            refused.append(call)
            do_half()
            raise OSError(code, os.strerror(code), call.path)
        return do()

    return act


class Calls:
    """The calls so far, and what is done with each."""

    def __init__(self, root: Path, act: Act = let) -> None:
        self.made: list[Call] = []
        self._root = f"{root.resolve()}/"
        self._act = act
        self._open: dict[int, str] = {}  # paths by descriptor
        self._real: dict[str, Callable[..., Any]] = {}

    def install(self) -> None:
        """Stand in for the functions of this process that change files."""
        self._real = {name: getattr(os, name) for name in ("open", "write", "fsync", "ftruncate")}
        os.open, os.write = self._os_open, self._os_write  # type: ignore[assignment]
        os.fsync, os.ftruncate = self._fsync, self._ftruncate  # type: ignore[assignment]
        for name in ("mkdir", "rmdir", "unlink", "remove"):
            setattr(os, name, self._of_path("unlink" if name == "remove" else name, getattr(os, name)))  # type: ignore[arg-type]
        for name in ("rename", "replace"):
            setattr(os, name, self._renaming(getattr(os, name)))
        builtins.open = io.open = self._file(open)  # type: ignore[assignment]

    def through(self, call: Call, do: Callable[[], Any], do_half: Callable[[], Any] = lambda: None) -> Any:
        """Count a call, and do with it what shall be done."""
        if not f"{call.path}/".startswith(self._root):
            return do()
        self.made.append(call)
        return self._act(len(self.made) - 1, call, do, do_half)

    def _path(self, path: Any, dir_fd: int | None = None) -> str:
        if isinstance(path, int):
            return self._open.get(path, "")
        text = os.fsdecode(path)
        if dir_fd is not None:
            return f"{self._open.get(dir_fd, '')}/{text}"
        return str(Path.cwd() / text)

    def _os_open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = self._path(path, dir_fd)

        def do() -> int:
            descriptor: int = self._real["open"](path, flags, mode, dir_fd=dir_fd)
            self._open[descriptor] = place
            return descriptor

        if not flags & WRITES:
            return do()
        return int(self.through(Call("open", place, size=int(not flags & os.O_TRUNC)), do))

    def _os_write(self, descriptor: int, data: Any) -> int:
        real, whole = self._real["write"], bytes(data)
        call = Call("write", self._path(descriptor), data=whole)
        return int(self.through(call, lambda: real(descriptor, whole), lambda: real(descriptor, half(whole))))

    def _fsync(self, descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        self.through(Call("fsync", self._path(number)), lambda: self._real["fsync"](number))

    def _ftruncate(self, descriptor: int, size: int) -> None:
        call = Call("ftruncate", self._path(descriptor), size=size)
        self.through(call, lambda: self._real["ftruncate"](descriptor, size))

    def _of_path(self, name: Name, real: Callable[..., None]) -> Callable[..., None]:
        def stands_in(path: Any, *more: Any, dir_fd: int | None = None) -> None:
            self.through(Call(name, self._path(path, dir_fd)), lambda: real(path, *more, dir_fd=dir_fd))

        return stands_in

    def _renaming(self, real: Callable[..., None]) -> Callable[..., None]:
        def stands_in(source: Any, target: Any) -> None:
            self.through(Call("rename", self._path(source), to=self._path(target)), lambda: real(source, target))

        return stands_in

    def _file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def stands_in(path: Any, mode: str = "r", buffering: int = -1, *more: Any, **named: Any) -> Any:
            if not set(mode) & set("wax+") or not f"{self._path(path)}/".startswith(self._root):
                return real(path, mode, buffering, *more, **named)
            place = self._path(path)
            do = lambda: _Raw(self, path, mode.replace("b", "").replace("t", ""), place)  # noqa: E731
            raw: _Raw = self.through(Call("open", place, size=int("w" not in mode)), do)
            self._open[raw.fileno()] = place
            if not buffering:
                return raw
            buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return buffered if "b" in mode else io.TextIOWrapper(buffered, *more, **named)

        return stands_in


class _Raw(io.FileIO):
    """A file whose writes are counted."""

    def __init__(self, calls: Calls, path: Any, mode: str, place: str) -> None:
        super().__init__(path, mode)
        self._calls, self._place = calls, place

    def write(self, data: Any) -> int:
        whole, write = bytes(data), super().write
        call = Call("write", self._place, data=whole)
        return int(self._calls.through(call, lambda: write(whole), lambda: write(half(whole))))


def half(data: bytes) -> bytes:
    """The first half of what is written."""
    return data[: len(data) // 2]
