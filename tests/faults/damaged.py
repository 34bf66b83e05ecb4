"""A checkpoint, or a pointer to one, in which one bit differs, or whose end is missing, is not taken for whole."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from nnkit.errors import CheckpointError
from nnkit.runs import CHECKPOINTS
from nnkit.train import checkpoints
from nnkit.train.checkpoints import STATE
from tests.faults.survival import Promise
from tests.faults.tried import empty_place, in_memory
from tests.trained import trained

NEWEST, OLDER, BEST = "step-00000009", "step-00000006", "step-00000008"  # the older one is its own best
WORDS = (
    "trainer.max_steps=9",
    "trainer.checkpoint_every=3",
    "trainer.keep_last=2",
    "trainer.validate_every=null",
    "trainer.validate_every_steps=2",
    "optimizer.lr=0.05",
    "trainer.plots=false",
    "trainer.threads=1",
)


@cache
def run_folder() -> Path:
    """Return the folder of a run with two checkpoints and best weights beside them; it is left as it is found."""
    with empty_place():  # a warm process
        place = Path(tempfile.mkdtemp(dir=in_memory()))
        atexit.register(shutil.rmtree, place)
    folder = Path(shutil.copytree(trained(*WORDS).folder, place / "run"))
    assert {path.name for path in (folder / CHECKPOINTS).iterdir()} == {NEWEST, OLDER, BEST, "best", "last"}
    return folder


def files() -> list[str]:
    """Return the files that are damaged: all of the newest checkpoint, of the best weights, and the pointers."""
    place = run_folder() / CHECKPOINTS
    inner = [f"{folder}/{path.name}" for folder in (NEWEST, BEST) for path in sorted((place / folder).iterdir())]
    return [*inner, "best", "last"]


Damage = tuple[str, str, bytes]  # the file, what was done to it, and what it holds from then on


def flips(count: int) -> Iterator[Damage]:
    """Yield files with one bit that differs, each file as often as every other."""
    place, chance = run_folder() / CHECKPOINTS, random.Random(count)
    sizes = {name: 8 * (place / name).stat().st_size for name in files()}
    for number in range(count):
        name = files()[number % len(sizes)]
        bit = chance.randrange(sizes[name])
        data = bytearray((place / name).read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        yield name, f"bit {bit} flipped", bytes(data)


def truncations(count: int) -> Iterator[Damage]:
    """Yield files without their end, each at up to so many lengths."""
    place = run_folder() / CHECKPOINTS
    for name in files():
        data = (place / name).read_bytes()
        for length in sorted({len(data) * number // count for number in range(count)}):
            yield name, f"cut to {length} bytes", data[:length]


def taken(name: str) -> str | None:
    """Say what took the damaged file for whole; None where it was refused, and the older checkpoint is gone on from."""
    place = run_folder() / CHECKPOINTS
    if name in ("best", "last"):
        return _not_refused(lambda: checkpoints.pointed(place, name), f"{place / name} does not name a checkpoint")
    folder = place / Path(name).parent
    read = checkpoints.read_state if name.endswith(STATE) else checkpoints.read_weights
    pointer = "best" if folder.name == BEST else "last"
    found, _, _, skipped = checkpoints.newest(place)
    if found.name != OLDER or not any(str(folder) in text for text in skipped):
        return f"resume goes on from {found.name}, and skipped {skipped}"
    return _not_refused(lambda: read(checkpoints.pointed(place, pointer)), f"checkpoint {folder} ")


def _not_refused(read: Callable[[], object], text: str) -> str | None:
    try:
        read()
    except CheckpointError as error:
        return None if text in str(error) else f"the error does not say where: {error}"
    return "it was taken for whole"


def cases(count: int) -> Iterator[str | None]:
    """Try so many flipped bits, and a fiftieth as many lengths of each file."""
    for name, what, data in (*flips(count), *truncations(max(4, count // 50))):
        path = run_folder() / CHECKPOINTS / name
        whole = path.read_bytes()
        path.write_bytes(data)
        try:
            broken = taken(name)
        except Exception as error:  # noqa: BLE001 - a reader that stumbles has not refused
            broken = f"{type(error).__name__}: {error}"
        finally:
            path.write_bytes(whole)
        yield broken and f"{name}, {what}: {broken}"


DAMAGED = Promise(
    name="damaged",
    text="One flipped bit or a missing end in any file of a checkpoint, or a pointer: refused, the older one taken",
    cases=cases,
    in_ci=2000,
    in_soak=50_000,
    at_least=2000,
)
