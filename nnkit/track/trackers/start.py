"""What a tracker is told before the first event, and what it must have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, final


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a tracker is told before the first event.

    Attributes:
        identity: of the run, the same when it goes on.
        name: of the run, for people.
        group: of the runs that it belongs to: its sweep, or the run whose fold it is; empty for none.
        job: train, trial or fold.
        tags: the user's words.
        folder: of the run.
        store: a folder beside the runs, for what several of them share.
        step: steps that are done already; what was told of later ones does not count.
        goes_on: whether the run has been told of before.
        config: every setting by its key, without secrets.
        settings: the tracker's own.
        wait_s: seconds that what is left to write may take when the run has ended.
    """

    identity: str
    name: str
    group: str
    job: str
    tags: list[str]
    folder: str
    store: str
    step: int
    goes_on: bool
    config: Mapping[str, bool | int | float | str]
    settings: Mapping[str, Any]
    wait_s: float


class Tracker(Protocol):
    """A program that a run is told to. Whatever it raises is told to the user, once."""

    def write(self, step: int, epoch: int, values: Mapping[str, float]) -> None:
        """Take one event."""

    def go_back(self, step: int) -> None:
        """Forget the events behind a step, as far as it can: the training goes on from there."""

    def finish(self, status: str, metrics: Mapping[str, float]) -> None:
        """Take how the run ended, and the final metrics; nothing follows."""
