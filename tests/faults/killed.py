"""A run that is killed at any of its file-system calls goes on to the same end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nnkit.runs import CONFIG
from tests.faults.calls import Act, Call, Mode, kill_at, let
from tests.faults.child import Ended, in_child
from tests.faults.survival import Promise
from tests.faults.tried import counted, differs, empty_place, middle, resumed, run_in, trains, tried, whole_run

SAMPLE = 4  # kills after a call that are tried first
LATER = 5  # kills of a resumed run, at least


def points() -> list[tuple[int, Mode]]:
    """Return where to kill: before each call, in the middle of each write, and after each call."""
    calls = whole_run()[0]
    before: list[tuple[int, Mode]] = [(number, "before") for number in range(len(calls))]
    halves: list[tuple[int, Mode]] = [(n, "half") for n, call in enumerate(calls) if len(call.data) > 1]
    # A kill after a call is one before the next, but for what Python does in between: a sample comes with the rest.
    after: list[tuple[int, Mode]] = [(number, "after") for number in range(len(calls))]
    sample = after[:: len(after) // SAMPLE]
    return [*before, *halves, *sample, *(point for point in after if point not in sample)]


def cases(count: int) -> Iterator[str | None]:
    """Kill at so many points: every one before a call comes first, then the halves of writes.

    A share of them is of a resumed run, spread over all of its calls.
    """
    first = points()
    later = [(number, "before") for number in range(len(resumed_calls()))]
    of_later = min(len(later), max(LATER, count - len(first)))
    for number, mode in first[: count - of_later]:
        broken = tried(lambda n=number, m=mode: trains(kill_at(n, m)), goes_on)  # type: ignore[misc]
        yield broken and f"killed {mode} call {number}, {whole_run()[0][number]}: {broken}"
    for place in range(of_later):
        number = place * len(later) // of_later
        broken = tried(lambda n=number: resumes(kill_at(n, "before")), goes_on)  # type: ignore[misc]
        yield broken and f"resumed, and killed before call {number}, {resumed_calls()[number]}: {broken}"


@cache
def resumed_calls() -> list[Call]:
    """Return the calls of a run that was killed in its middle, from its resume to its end."""
    calls: list[Call] = []
    with empty_place() as place:
        ended = in_child(lambda: (resumes(calls=calls), calls), place)
    assert ended.value[0] == 0, ended.said
    return list(ended.value[1])


def resumes(act: Act = let, calls: list[Call] | None = None) -> int:
    """Train until a kill in the middle, in a child, then go on with the run; return the exit code."""
    place = Path.cwd()
    in_child(lambda: trains(kill_at(middle(), "before")), place)
    folder = run_in(place)
    assert folder is not None
    return counted(["resume", str(folder)], act, calls)


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
    text="SIGKILL at every file-system call of a run (before each, half-way through each write, after some) and at "
    "some of a resumed one, then `nnkit resume`: the same bits",
    cases=cases,
    in_ci=174,
    in_soak=1000,
    at_least=140,
)
