"""Memory that runs out, for real: a child whose address space ends a little above what it has."""

from __future__ import annotations

import os
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from nnkit.errors import NnkitError
from nnkit.run import train
from nnkit.runs import new_folder
from tests.faults.survival import Promise
from tests.trained import config_of

MIB = 1 << 20
BASE = ("data=array", "data.task=classification", "batching.batch_size=64", "trainer.max_epochs=1")
READING = ("data.path=large.npz",)
BUILDING = ("data.path=small.npz", "model.hidden=[9000,9000]")
TRAINING = ("data.path=small.npz", "model.hidden=[4000]", "batching.batch_size=full")
MEASURING = (*TRAINING[:2], "batching.batch_size=64", "batching.eval_batch_size=100000")
# Words, what is said of the place, and within how many MiB more the memory ends.
PLACES = (
    (READING, "out of memory reading the data with batching.batch_size=64: ", (60, 150)),
    (BUILDING, "out of memory building the network with batching.batch_size=64: ", (60, 250)),
    (TRAINING, "out of memory with batching.batch_size=full: ", (100, 250)),
    (MEASURING, "out of memory measuring with batching.eval_batch_size=100000: ", (110, 170)),
)


def write_data() -> None:
    """Write zeros: the large file of them has 50 megabytes, of whole numbers, which become 200 when they are read."""
    for name, size, features, dtype in (("large", 500_000, 100, np.uint8), ("small", 30_000, 8, np.float32)):
        x = np.zeros((size, features), dtype)
        x[:, 0] = np.arange(size) % 200
        np.savez_compressed(f"{name}.npz", x=x, y=np.arange(size) % 2)


def outcome(words: tuple[str, ...], more_mib: int) -> str:
    """Train in a child that gets so much more memory than it has, and return its exit code and message."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        code, text = 1, ""
        try:
            torch.set_num_threads(1)
            config = config_of(*BASE, *words, "trainer.threads=1")
            folder = new_folder(config)
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + more_mib * MIB,) * 2)
            text = f"trained: {train(config, folder).status}"
        except NnkitError as error:
            code, text = error.exit_code, f"{error} | {error.problems[0].hint}"
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent is told
            text = repr(error)
        os.write(write, f"{code} {text}".encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as answer:
        return answer.read()


def outcomes(count: int) -> Iterator[str | None]:
    """Yield what came of so many trainings that ran out of memory."""
    write_data()
    for number in range(count):
        words, wanted, ends = PLACES[number % len(PLACES)]
        more = random.Random(number).randint(*ends)
        found = outcome(words, more)
        yield None if found.startswith(f"7 {wanted}") and " | " in found else f"{' '.join(words)}, {more} MiB: {found}"


MEMORY = Promise(
    "memory",
    "memory that runs out, at the data, the network, a step or a validation: exit code 7, with place, size and "
    "a way out",
    outcomes,
    in_ci=8,
    in_soak=300,
)
