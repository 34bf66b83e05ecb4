"""The error tree. Each leaf has one exit code, and each error carries one or more problems.

NnkitError                 1  the run failed
├── ConfigError            2  wrong words or config
├── DataError              3  the data cannot be used
├── CheckpointError        4  a checkpoint is missing, damaged or does not fit
├── StorageError           5  the file system refused
├── FolderInUseError       6  another process owns the run folder
├── OutOfMemoryError       7  the machine or the accelerator has no memory left
├── DataWorkerError        8  a process that reads data died, or hangs
├── SweepError             9  some or all trials of a sweep failed
└── DivergenceError       10  the training became nan or infinite
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to type instead.

    Attributes:
        text: what is wrong, starting with the key or the file.
        hint: what the user can type or do; empty where nothing helps.
    """

    text: str
    hint: str = ""


class NnkitError(Exception):
    """Base of all errors that are worded for the user."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *problems: Problem | str, hint: str = "") -> None:
        """Take one or more problems; `hint` belongs to the first one when that is plain text."""
        listed = [p if isinstance(p, Problem) else Problem(p, hint) for p in problems]
        self.problems: Sequence[Problem] = tuple(listed)
        super().__init__("; ".join(p.text for p in listed))

    @property
    def hint(self) -> str:
        """The hints of all problems, as one text."""
        return "; ".join(dict.fromkeys(p.hint for p in self.problems if p.hint))


class ConfigError(NnkitError):
    """Wrong words on the command line, or a config that cannot be run."""

    exit_code = 2


class DataError(NnkitError):
    """The data is missing, broken, or too small to be split and learned from."""

    exit_code = 3


class CheckpointError(NnkitError):
    """A checkpoint is missing, damaged, or does not fit the model."""

    exit_code = 4


class StorageError(NnkitError):
    """The file system refused to read or to write; the message names path and errno."""

    exit_code = 5


class FolderInUseError(NnkitError):
    """Another process owns the run folder."""

    exit_code = 6


class OutOfMemoryError(NnkitError):
    """The machine or the accelerator has no memory left."""

    exit_code = 7


class DataWorkerError(NnkitError):
    """A process that reads data for the training died, or hangs."""

    exit_code = 8


class SweepError(NnkitError):
    """Some or all trials of a sweep failed; the others are complete."""

    exit_code = 9


class DivergenceError(NnkitError):
    """A loss, gradient, weight or monitored value became nan or infinite; nothing was saved after that."""

    exit_code = 10
