"""A run that is killed at any of its file-system calls goes on to the same end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

from nnkit.runs import CONFIG
from tests.faults.calls import Mode, kill_at
from tests.faults.child import Ended
from tests.faults.survival import Promise
from tests.faults.tried import differs, resumed, run_in, trains, tried, whole_run


def points() -> list[tuple[int, Mode]]:
    """Return where to kill: before each call, in the middle of each write, and after each call."""
    calls = whole_run()[0]
    before: list[tuple[int, Mode]] = [(number, "before") for number in range(len(calls))]
    halves: list[tuple[int, Mode]] = [(n, "half") for n, call in enumerate(calls) if len(call.data) > 1]
    after: list[tuple[int, Mode]] = [(number, "after") for number in reversed(range(len(calls)))]
    return [*before, *halves, *after]


def cases(count: int) -> Iterator[str | None]:
    """Kill at so many points: every one before a call comes first, then the halves of writes."""
    for number, mode in points()[:count]:
        broken = tried(lambda n=number, m=mode: trains(kill_at(n, m)), goes_on)  # type: ignore[misc]
        yield broken and f"killed {mode} call {number}, {whole_run()[0][number]}: {broken}"


def goes_on(place: Path, ended: Ended) -> str | None:
    """Check that a killed run goes on to its end, or is told to start with the same words where nothing had begun."""
    if ended.code != -signal.SIGKILL:
        return f"not killed, but ended with {ended.code}: {ended.said}"
    folder = run_in(place)
    if folder is None:
        return None
    if (folder / CONFIG).exists():
        return differs(place, folder)
    told = resumed(place, folder)
    return None if told.value == 2 and "is not a run folder" in told.said else f"exit {told.value}: {told.said}"


KILLED = Promise(
    name="killed",
    text="SIGKILL at every file-system call of a run (before, half-way, after), then `nnkit resume`: the same bits",
    cases=cases,
    in_ci=161,
    in_soak=1000,
    at_least=140,
)
