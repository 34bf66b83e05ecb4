"""Runs that are killed without a warning, at any time, and go on."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.picture_run import (
    SAVING,
    cleared,
    difference,
    killed,
    steps_saved,
    temporaries,
    until_saved,
    whole,
    words,
)
from tests.faults.processes import Process, start
from tests.faults.survival import Promise

A_RUN = 10  # kills, one after the other
INSIDE = 0.3  # of all kills, at least, fall inside a save
COLD = 10  # every so many runs one starts as a new process of Python
ANY_TIME_S = 0.5  # after its start, a run is killed at the latest
SAVE_S = 0.1  # after a save, likewise
WRITE_S = 0.006  # after it has begun to write, likewise


def cases(count: int) -> Iterator[str | None]:
    """Kill runs so many times; what is wrong with a run is wrong with each of its kills."""
    whole()
    tried = inside = number = 0
    while tried < count:
        place = Path(f"killed-{number}").absolute()
        place.mkdir()
        outcome = _killed(place, random.Random(number), min(A_RUN, count - tried), cold=number % COLD == COLD - 1)
        inside += outcome.inside
        yield from [outcome.problem] * max(outcome.kills, outcome.problem is not None)
        tried += outcome.kills
        number += 1
        cleared(place)
        if number > 10 * count:
            yield f"{number} runs ended before they could be killed"
            return
    if inside < INSIDE * tried:
        yield f"only {inside} of {tried} kills fell inside a save"


@dataclass
class _Outcome:
    """What came of killing a run: how often, how often inside a save, and what is wrong with it."""

    kills: int = 0
    inside: int = 0
    problem: str | None = None


def _killed(place: Path, chance: random.Random, kills: int, *, cold: bool) -> _Outcome:
    """Kill a run again and again, then let it end."""
    outcome = _Outcome()
    process = start([*words(), *SAVING], place, cold=cold)
    folder = until_saved(process, place)
    for _ in range(kills):
        before = temporaries(folder)
        few = outcome.inside < 1.3 * INSIDE * outcome.kills  # a fast disk is hard to hit
        _wait(process, folder, chance, "write" if few else chance.choice(["start", "save", "write", "write"]))
        if process.poll() is not None:  # no time was left to kill it
            break
        outcome.problem = killed(process, chance)
        outcome.kills += 1
        outcome.inside += bool(temporaries(folder) - before)
        if outcome.problem is not None:
            return outcome
        process = start(["resume", str(folder), *SAVING], place, cold=cold)
    if (code := process.wait()) != 0:
        outcome.problem = f"resume ended with {code}: {process.said()[1]}"
    else:
        outcome.problem = process.leaves_nobody() or difference(folder)
    return outcome


def _wait(process: Process, folder: Path, chance: random.Random, way: str) -> None:
    """Wait for a random time: after the start, after the next save, or while something is written."""
    saved, begun = steps_saved(folder), temporaries(folder)
    if way == "start":
        time.sleep(chance.uniform(0.0, ANY_TIME_S))
        return
    while process.poll() is None and steps_saved(folder) == saved:
        time.sleep(0.001)
    if way == "save":
        time.sleep(chance.uniform(0.0, SAVE_S))
        return
    deadline = time.monotonic() + 1
    while not temporaries(folder) - begun and time.monotonic() < deadline:
        pass
    time.sleep(chance.uniform(0.0, WRITE_S))


KILLS = Promise("kills", "kill -9 at a random time, a third of them inside a save", cases, 20, 200)
