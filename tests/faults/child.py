"""A piece of work in a process of its own, forked from this one: what it loaded needs not be loaded again."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CRASHED = 99  # its exit code where the work raised


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code, or minus the signal that killed it; what it returned, and what it printed."""

    code: int
    value: Any
    said: str


def in_child(work: Callable[[], Any], place: Path) -> Ended:
    """Do work in a child whose working folder is `place`, and wait for it. What it returns must be picklable."""
    reading, writing = os.pipe()
    said = place / "said.txt"
    gc.freeze()  # what is collected in the child need not be copied
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside other threads, which hold no locks here
        child = os.fork()
    if child == 0:
        os.close(reading)
        _work(work, place, said, writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        sent = pipe.read()
    _, status = os.waitpid(child, 0)
    text = said.read_text() if said.exists() else ""
    said.unlink(missing_ok=True)
    return Ended(os.waitstatus_to_exitcode(status), pickle.loads(sent) if sent else None, text)


def _work(work: Callable[[], Any], place: Path, said: Path, pipe: int) -> None:
    code = CRASHED
    try:
        os.chdir(place)
        sys.stdout = sys.stderr = open(said, "w")  # noqa: SIM115 - until the end
        for number in (1, 2):
            os.dup2(sys.stdout.fileno(), number)
        value = work()
        code = 0
        with open(pipe, "wb") as sent:
            pickle.dump(value, sent)
    except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)
