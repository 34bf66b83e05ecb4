"""Writing what must not be lost: tried again before it is given up."""

from __future__ import annotations

import time
from collections.abc import Callable

from nnkit.errors import StorageError

TRIES = 3  # and so many saves in a row may be refused before the training ends
WAIT_S = 1.0  # between two tries, where nothing else is left to do


class GoneError(StorageError):
    """The run's folder has been removed while it trained: there is nothing to try again."""


def persistently(write: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Write, and where the file system refuses, wait and write again.

    Args:
        write: puts something on disk; whole, or not at all.
        warn: is told of each refusal but the last.

    Raises:
        StorageError: of the last try.
    """
    for left in reversed(range(TRIES)):
        try:
            write()
        except StorageError as error:
            if not left or isinstance(error, GoneError):
                raise
            warn(f"{error}; trying again")
            time.sleep(WAIT_S)
        else:
            return
