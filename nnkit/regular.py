"""Reading whole files that a stranger may have made: ordinary ones alone, and none that is larger than it can be."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

from nnkit.errors import OutOfMemoryError
from nnkit.machine import available_bytes

LESS = "a part of it, or a machine with more memory"
LARGEST_JSON = 64 * 2**20  # bytes; a vocabulary of 200,000 words has a tenth of it


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading. Raises: OSError, also for a pipe or a device, which might never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for its writer
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise OSError(*((errno.EISDIR, "it is a folder") if stat.S_ISDIR(mode) else (errno.EINVAL, "it is no file")))
    return open(descriptor, "rb")


def read_regular(path: Path, largest: int | None = None) -> bytes:
    """Return the whole content of a file.

    Args:
        path: of the file.
        largest: bytes of the largest one that can be meant; None for what the memory holds.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than it can be.
        OutOfMemoryError: it is larger than what the memory holds.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if largest is None:
            refuse_too_large(f"{path} has", size)
        elif size > largest:
            raise OSError(errno.EFBIG, f"it has {size:,} bytes, more than the {largest:,} that it may have")
        return file.read()


def refuse_too_large(what: str, size: int) -> None:
    """Refuse data of so many bytes where the memory has less. Raises: OutOfMemoryError; `what` begins its message."""
    if size > (most := available_bytes()):
        told = f"{what} {size:,} bytes, more than the {most:,} that the memory has left"
        raise OutOfMemoryError(told, hint=LESS)


def json_of(data: bytes) -> Any:
    """Return what a JSON text holds. Raises: ValueError, also where it is nested deeper than anything that we write."""
    if len(data) > LARGEST_JSON:
        raise ValueError(f"it has {len(data):,} bytes")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
