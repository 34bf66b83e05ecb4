"""Code of the user's own that fails where no run has begun: its traceback is kept all the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.cli.messages import note
from nnkit.errors import StorageError
from nnkit.usercode import OWN

if TYPE_CHECKING:
    from nnkit.command import Command
    from nnkit.config.schema import Config


@contextmanager
def leaving_log(config: Config, command: Command | None = None) -> Iterator[None]:
    """Leave a run.log, in the folder that the run would have had, of own code that fails before there is one.

    Args:
        config: of the run.
        command: that the user typed; None for the one that the settings make.
    """
    try:
        yield
    except OWN as error:
        from nnkit.ending import note_failure
        from nnkit.runs import new_folder

        with suppress(StorageError):  # what is wrong is told, and --debug shows the rest
            folder = new_folder(config)
            note_failure(folder, config, command, error, None)
            tell_log(folder)
        raise


def tell_log(folder: Path) -> None:
    """Note where to read how something ended that never was a run."""
    from nnkit.track.log import LOG

    note(f"{folder / LOG} has the traceback, and what to type to see the same again")
