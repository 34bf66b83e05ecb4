"""Where the trials of a sweep come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

from nnkit.sweep.trials import Outcome, Trial


class Source(Protocol):
    """Where the trials come from."""

    @property
    def planned(self) -> int:
        """How many trials there are in all."""

    def known(self) -> Sequence[Trial]:
        """Return the trials that are there before the first one starts: those of a journal, or all."""

    def next(self) -> Trial | None:
        """Return one more trial, beyond the known ones; None where there is none."""

    def ended(self, outcome: Outcome) -> None:
        """Learn from a trial's end."""


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """Trials that are all known before the first one starts."""

    trials: Sequence[Trial]

    @property
    def planned(self) -> int:
        """How many trials there are in all."""
        return len(self.trials)

    def known(self) -> Sequence[Trial]:
        """Return all trials."""
        return self.trials

    def next(self) -> Trial | None:
        """Return nothing: all are known."""
        return None

    def ended(self, outcome: Outcome) -> None:
        """Learn nothing."""
