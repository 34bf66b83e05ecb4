"""Runs and sweeps that signals end: what they save, with which exit code, and that nobody is left of them."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from nnkit.runs import RUN
from tests.faults.picture_run import cleared, difference, folder_of, steps_saved, until_saved, whole, words
from tests.faults.processes import CAUGHT, Process, ended, start
from tests.faults.survival import Promise
from tests.own_code import HERE
from tests.trained import events, is_equal, last_state, last_weights

A_RUN = 8  # signals, one after the other
LONGEST_STEP_S = 2.0  # a run that is asked to stop has to end within that time
AT_ONCE_S = 1.5


# one signal


def one_signal(count: int) -> Iterator[str | None]:
    """Stop runs by so many signals of the four kinds, in random order."""
    whole()
    chance = random.Random(0)
    numbers = [CAUGHT[k % len(CAUGHT)] for k in range(count)]
    chance.shuffle(numbers)
    run = 0
    while numbers:
        place = Path(f"stopped-{run}").absolute()
        place.mkdir()
        done, problem = _stopped(place, chance, numbers[:A_RUN])
        yield from [problem] * max(done, problem is not None)
        numbers, run = numbers[max(done, problem is not None) :], run + 1
        cleared(place)
        if run > 10 * count:
            yield f"{run} runs ended before they could be stopped"
            return


def _stopped(place: Path, chance: random.Random, numbers: list[signal.Signals]) -> tuple[int, str | None]:
    """Stop a run by one signal after the other, then let it end; return how many were sent, and what went wrong."""
    process = start(words(), place)
    _until_it_trains(process, place)
    for sent, number in enumerate(numbers):
        time.sleep(chance.uniform(0.0, 0.2))
        if process.poll() is not None:
            return sent, _ended(process, place)
        problem = _stop(process, place, number, to_all=chance.random() < 0.5)
        if problem is not None:
            return sent, f"{number.name}: {problem}"
        process = start(["resume", str(folder_of(place))], place)
        _until_it_trains(process, place)
    process.wait()
    return len(numbers), _ended(process, place)


def _until_it_trains(process: Process, place: Path) -> None:
    """Wait until signals are caught."""
    while process.poll() is None:
        folder = folder_of(place)
        if (
            folder is not None
            and (folder / RUN).exists()
            and json.loads((folder / RUN).read_text())["status"] == "running"
        ):
            return
        time.sleep(0.002)


def _stop(process: Process, place: Path, number: signal.Signals, *, to_all: bool) -> str | None:
    (process.send_all if to_all else process.send)(number)
    sent = time.monotonic()
    code = process.wait()
    seconds = time.monotonic() - sent
    folder = folder_of(place)
    assert folder is not None
    facts = json.loads((folder / RUN).read_text())
    if code == 0 and facts["status"] == "completed":  # it came with the last step
        return None
    if code != 128 + number:
        return f"exit code {code}: {process.said()[1]}"
    if seconds > LONGEST_STEP_S:
        return f"the run ended {seconds:.1f} s later"
    if (facts["status"], facts["steps"]) != ("interrupted", steps_saved(folder)):
        return f"{facts['status']} after {facts['steps']} steps, but step {steps_saved(folder)} is saved"
    return process.leaves_nobody()


def _ended(process: Process, place: Path) -> str | None:
    folder = folder_of(place)
    assert folder is not None
    return process.said()[1] if process.poll() != 0 else process.leaves_nobody() or difference(folder)


# a second Ctrl-C, in the middle of a step that takes long


SLEEPY = ("train", "data=iris", "model.hidden=[8]", "loss=code", f"loss.code={HERE}:Sleepy", "trainer.max_epochs=3")
SLEEPY += ("regularization=dropout", "trainer.checkpoint_every=1", "trainer.plots=false", "batching.batch_size=20")


@cache
def _awake() -> Path:
    """Return the folder of the run that nobody has stopped."""
    place = Path(mkdtemp(prefix="nnkit-awake-"))
    code, out, err = ended(SLEEPY, place)
    assert code == 0, err
    return Path(out.strip())


def second_signal(count: int) -> Iterator[str | None]:
    """Send two SIGINT to runs in the middle of a step that takes a minute."""
    wanted = _awake()
    for number in range(count):
        place = Path(f"sleepy-{number}").absolute()
        place.mkdir()
        (place / "asleep-from").write_text(str(2 + number % 13))
        yield _stopped_twice(place, wanted)
        cleared(place)


def _stopped_twice(place: Path, wanted: Path) -> str | None:
    process = start(SLEEPY, place)
    folder = until_saved(process, place)
    while not (place / "asleep").exists():
        time.sleep(0.002)
    process.send(signal.SIGINT)
    time.sleep(0.1)
    if process.poll() is not None:
        return f"the first SIGINT ended it in mid-step, with {process.code}"
    process.send(signal.SIGINT)
    sent = time.monotonic()
    code = process.wait()
    if code != 130:
        return f"exit code {code}: {process.said()[1]}"
    if time.monotonic() - sent > AT_ONCE_S:
        return f"the second SIGINT took {time.monotonic() - sent:.1f} s"
    if (left := process.leaves_nobody()) is not None:
        return left
    (place / "asleep-from").unlink()
    code, _, err = ended(["resume", str(folder), "--trust"], place)
    same = events(folder) == events(wanted) and is_equal(last_weights(folder), last_weights(wanted))
    if code != 0 or not same or not is_equal(last_state(folder), last_state(wanted)):
        return f"resume ended with {code}, the same run: {same}: {err}"
    return None


# a sweep with two jobs


SWEEP = ("train", "-m", "data=iris", "model.hidden=[8]", "seed=0,1,2", "hydra.sweeper.jobs=2", "trainer.patience=null")
SWEEP += ("trainer.max_epochs=1000000", "trainer.plots=false")
WAYS = (
    [signal.SIGTERM],
    [signal.SIGINT],
    [signal.SIGUSR1],
    [signal.SIGHUP],
    [signal.SIGKILL],
    [signal.SIGINT, signal.SIGINT],
)


def sweeps(count: int) -> Iterator[str | None]:
    """Stop sweeps of two jobs in each way."""
    for number in range(count):
        place = Path(f"sweep-{number}").absolute()
        place.mkdir()
        yield _stopped_sweep(place, list(WAYS[number % len(WAYS)]), to_all=number // len(WAYS) % 2 == 0)
        cleared(place)


def _stopped_sweep(place: Path, numbers: list[signal.Signals], *, to_all: bool) -> str | None:
    process = start(SWEEP, place)
    while process.poll() is None and len(list(place.glob("outputs/*/*/*/metrics.jsonl"))) < 2:
        time.sleep(0.005)
    for number in numbers:
        (process.send_all if to_all and number != signal.SIGKILL else process.send)(number)
        time.sleep(0.002)
    try:
        code = process.wait()
    except TimeoutError as error:
        return f"{[number.name for number in numbers]}, {to_all=}: {error}"
    wanted = -signal.SIGKILL if numbers == [signal.SIGKILL] else 128 + numbers[0]
    left = process.leaves_nobody()
    if code != wanted:
        return f"{[number.name for number in numbers]}: exit code {code}, wanted {wanted}: {process.said()[1]}"
    if left is not None:
        return f"{[number.name for number in numbers]}: {left}"
    statuses = [json.loads(path.read_text())["status"] for path in place.glob("outputs/*/*/*/run.json")]
    if len(numbers) == 1 and wanted > 0 and statuses != ["interrupted"] * 2:
        return f"{numbers[0].name}: {statuses}"
    return None


STOPPED = "SIGTERM, SIGINT, SIGUSR1 or SIGHUP at a random time: saved at the next step"
ONE = Promise("signals", STOPPED, one_signal, 20, 400)  # 5 and 100 of each kind
TWICE = Promise("second-signal", "a second SIGINT in the middle of a step", second_signal, 2, 30)
SWEEPS = Promise("sweep-signals", "a signal to a sweep of two jobs: nobody is left", sweeps, 6, 100)
