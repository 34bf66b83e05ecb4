"""The lock of a run folder: a file that one living process holds, and that names it."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import final

from nnkit.errors import FolderInUseError, StorageError
from nnkit.storage import reporting

LOCK_NAME = "lock"
TRIES, WAIT_S = 10, 0.005  # an owner that is about to end, or to write its name, is waited for
# A POSIX lock belongs to the process, and closing *any* descriptor of its file drops it. So the folders that this
# process holds are remembered here, and their lock file is never opened a second time.
_held: dict[Path, int] = {}
_LOCKING = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW  # taking a lock empties its file, which a link would choose
_ASKING = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe in its place would wait for a writer
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)


@final
class FolderLock:
    """The right to write into a run folder. It is freed when its owner dies, whatever way."""

    def __init__(self, folder: Path) -> None:
        """Take the lock.

        Raises:
            FolderInUseError: naming process and host.
            StorageError: the file system refused; where it has no locks at all, a folder that is empty is removed.
        """
        self._folder = folder.resolve()
        path = self._folder / LOCK_NAME
        if self._folder in _held:
            raise FolderInUseError(f"{folder} is in use by this very process")
        with reporting("lock", path):
            descriptor = os.open(path, _LOCKING | os.O_CREAT, 0o644)
        try:
            self._take(folder, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        _held[self._folder] = descriptor

    def _take(self, folder: Path, descriptor: int) -> None:
        path = self._folder / LOCK_NAME
        try:
            owner = _owner_in_the_way(descriptor)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                with reporting("lock", path):
                    raise
            with suppress(OSError):  # nobody can hold it, and a run that is there has other files
                path.unlink()
                self._folder.rmdir()
            text = f"cannot lock {path}: {error.strerror or error} (errno {error.errno})"
            raise StorageError(text, hint="its file system has no locks: choose a local output_dir=FOLDER") from error
        if owner is not None:
            raise FolderInUseError(f"{folder} is in use by {owner}", hint="wait for it, or stop it first")
        with reporting("lock", path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def __enter__(self) -> None:
        """Hold the lock for the length of a `with` block."""

    def __exit__(self, *_: object) -> None:
        """Free the folder."""
        self.release()

    def release(self) -> None:
        """Free the folder; a second call does nothing."""
        descriptor = _held.pop(self._folder, None)
        if descriptor is not None:
            os.close(descriptor)


def is_locked(folder: Path) -> bool:
    """Tell whether a living process owns the run folder; whoever takes the lock meanwhile gets it.

    Raises:
        StorageError: the file system refused.
    """
    path = folder.resolve() / LOCK_NAME
    if folder.resolve() in _held:
        return True
    if not path.exists():
        return False
    with reporting("lock", path):
        descriptor = os.open(path, _ASKING)
        try:
            return _has_owner(descriptor)
        finally:
            os.close(descriptor)


def _owner_in_the_way(descriptor: int) -> str | None:
    """Take the lock and return None, or return who has it. Raises: OSError."""
    owner = ""
    for _ in range(TRIES):
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            owner = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            time.sleep(WAIT_S)
        else:
            return None
    return owner or "another process"


def _has_owner(descriptor: int) -> bool:
    """Ask for the lock without taking it: a lock that is taken, were it for a moment, is refused to others."""
    if sys.platform == "darwin":  # pragma: no cover - macOS
        layout, kind = "qqihh", 3  # where from, how much (all of it), of which process, kind of lock, from the start
        asked = struct.pack(layout, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    else:
        layout, kind = "hhqqi4x", 0  # the same, in another order
        asked = struct.pack(layout, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        found = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))[kind]
    except OSError as error:
        if error.errno in _NO_LOCKS:  # so nobody has one
            return False
        raise
    return bool(found != fcntl.F_UNLCK)
