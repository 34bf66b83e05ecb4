"""A disk that is full, or broken, at any file-system call of a run: for once, or from then on."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnkit.cli import main
from nnkit.runs import CHECKPOINTS, CONFIG
from tests.faults.calls import Call, Name, refuse_at
from tests.faults.child import Ended
from tests.faults.survival import Promise
from tests.faults.tried import WORDS, differs, end_of, lost, run_in, temporaries, trains, tried, whole_run
from tests.trained import is_equal

# What a full disk refuses; a broken one refuses everything.
NEED_ROOM: frozenset[Name] = frozenset({"open", "write", "fsync", "rename", "mkdir", "ftruncate"})
EVERYTHING: frozenset[Name] = NEED_ROOM | {"unlink", "rmdir"}
IO_ERROR = 5  # the exit code


@dataclass(frozen=True)
class Fault:
    """What is refused: a call, by an error, and perhaps all that follow."""

    number: int
    code: int
    from_then_on: bool

    @property
    def names(self) -> frozenset[Name]:
        """The calls that are refused behind the first one."""
        return NEED_ROOM if self.code == errno.ENOSPC else EVERYTHING

    def __str__(self) -> str:
        how = "from then on" if self.from_then_on else "once"
        return f"{errno.errorcode[self.code]} {how} at call {self.number}, {whole_run()[0][self.number]}"


def faults() -> list[Fault]:
    """Return every fault: each call, each error, once and from then on."""
    numbers = range(len(whole_run()[0]))
    kinds = [(code, on) for on in (False, True) for code in (errno.ENOSPC, errno.EIO)]
    # One kind at each call first, in turn: so a part of them has every call.
    turns = [[Fault(number, *kinds[(number + turn) % len(kinds)]) for number in numbers] for turn in range(len(kinds))]
    return [fault for turn in turns for fault in turn]


def cases(count: int) -> Iterator[str | None]:
    """Try so many faults."""
    for fault in faults()[:count]:
        broken = tried(lambda f=fault: trained(f), lambda place, ended, f=fault: bears(f, place, ended))  # type: ignore[misc]
        yield broken and f"{fault}: {broken}"


def trained(fault: Fault) -> tuple[int, list[Call]]:
    """Train the run with a fault; return the exit code, and what was refused."""
    refused: list[Call] = []
    act = refuse_at(fault.number, fault.code, fault.names, from_then_on=fault.from_then_on, refused=refused)
    return trains(act), refused


def bears(fault: Fault, place: Path, ended: Ended) -> str | None:
    """Check how a run took a fault; where it ended, it goes on without the fault to the end that it would have had."""
    if ended.code:
        return f"crashed: {ended.said}"
    code, refused = ended.value
    if not refused:
        return "nothing was refused"
    folder = run_in(place)
    has_begun = folder is not None and (folder / CONFIG).exists()
    if code not in (0, IO_ERROR):
        return f"exit {code}: {ended.said}"
    if code == IO_ERROR and not _is_told("error: ", refused, ended.said, fault):
        return f"the error names no path or errno: {ended.said}"
    if code == 0 and _is_worth_telling(refused) and not _is_told("warning: ", refused, ended.said, fault):
        return f"nothing was told: {ended.said}"
    if not any(_removes(call) for call in refused) and (found := temporaries(place)):
        return f"{found[0]} was left"
    if not has_begun:
        return None if code == IO_ERROR else "no run was left"
    assert folder is not None
    if code == IO_ERROR:
        if not fault.from_then_on and (folder / "metrics.jsonl").exists():
            return f"one refusal ended the run: {ended.said}"
        return differs(place, folder)
    return lost(folder) or (None if _is_same(folder) else "the run ended in another way than the undisturbed one")


def _is_same(folder: Path) -> bool:
    found, wanted = end_of(folder), whole_run()[1]
    return all(is_equal(found[name], wanted[name]) for name in wanted if name != "files")


def _is_told(prefix: str, refused: list[Call], said: str, fault: Fault) -> bool:
    """Tell whether a line names what was refused: a file or folder, not its temporary name, and the errno."""
    lines = [line for line in said.splitlines() if line.startswith(prefix) and f"(errno {fault.code})" in line]
    named = (re.sub(r"/\.tmp-([^/]+)-\d+(?=/|$)", r"/\1", call.path) for call in refused)
    places = {str(Path(path).parent) for path in (*named, *(call.path for call in refused))}
    return any(place in line for line in lines for place in places)


def _is_worth_telling(refused: list[Call]) -> bool:
    """Tell whether a refusal costs anything, which a line of a log, one that waits, or a folder there is does not."""
    return any(not call.path.endswith(("run.log", "metrics.jsonl", CHECKPOINTS)) for call in refused)


def _removes(call: Call) -> bool:
    return call.name in ("unlink", "rmdir") or "/.tmp-" in call.to


REFUSED = Promise(
    name="refused",
    text="A full disk (ENOSPC) or a broken one (EIO) at every file-system call, once or from then on",
    cases=cases,
    in_ci=168,
    in_soak=1000,
    at_least=160,
)

NEW_NAMESPACES, NO_MOUNTS = 0x00020000, 0x10000000  # of mounts; of users
PRIVATE, REMOUNT = 1 << 18 | 1 << 14, 32
NOT_PERMITTED = "mounting is not permitted"


def on_a_small_disk() -> str | None:
    """Train on a real disk that becomes full, make it larger, and go on; say what broke. Run it in a child."""
    libc = ctypes.CDLL(None, use_errno=True)
    Path("disk").mkdir()
    if libc.unshare(NEW_NAMESPACES if os.geteuid() == 0 else NEW_NAMESPACES | NO_MOUNTS):
        return NOT_PERMITTED
    libc.mount(b"none", b"/", None, PRIVATE, None)
    if libc.mount(b"tmpfs", b"disk", b"tmpfs", 0, b"size=120k"):
        return NOT_PERMITTED
    os.chdir("disk")
    place = Path.cwd()
    words = ["trainer.keep_last=100", "trainer.checkpoint_every=1", "trainer.max_steps=40"]
    code = main(["train", *WORDS, *words])
    folder = run_in(place)
    if code != IO_ERROR or folder is None:
        return f"exit {code}, not {IO_ERROR}"
    if (gone := lost(folder)) is not None:
        return gone
    if found := temporaries(place):
        return f"{found[0]} was left"
    if libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", REMOUNT, b"size=8m"):
        return f"not mounted anew: {os.strerror(ctypes.get_errno())}"
    code = main(["resume", str(folder)])
    return None if code == 0 else f"exit {code} where there is room again"
