"""What a stranger's files make nnkit do: a command in a forked child that tells what it executes and writes."""

from __future__ import annotations

import os
import platform
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import torch

from nnkit.cli import main
from nnkit.config.compose import compose
from nnkit.errors import ConfigError

T = TypeVar("T")
CANARY, MODULE = "canary-was-touched", "evil_canary"  # MODULE touches CANARY when it is imported
SECRET = "hunter2-canary"  # in the environment, as HF_TOKEN
REFUSED = (2, 3, 4, 7)  # also for want of memory: what unpacks to terabytes has to say so
MORE_MEMORY = 1 << 30  # bytes that a command may take beside what the warm process has
TIMES_TIMED = 3
LONGEST_S, HUNG_S = 1.0, 60.0  # of computing; of waiting, on a machine that does other things as well
_RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "os.fork"}
_TALKS = {"socket.bind", "socket.connect", "socket.getaddrinfo", "urllib.Request"}
_CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass(frozen=True)
class Attack:
    """What was sent, and what the user does with it.

    Attributes:
        name: for messages.
        send: puts it into the folder that the user works in, and returns the words behind `nnkit`.
        is_live: tells whether it would do harm where it is not refused.
        codes: exit codes that are right.
    """

    name: str
    send: Callable[[Path], list[str]]
    is_live: Callable[[Path], bool]
    codes: Sequence[int] = REFUSED


@dataclass(frozen=True)
class Ended:
    """How a command ended in its process, and what it did there."""

    code: int
    text: str
    seconds: float
    done: tuple[str, ...] = field(default_factory=tuple)


def spread(listed: Sequence[T], count: int) -> list[T]:
    """Return so many of them, evenly spread."""
    return [listed[k * len(listed) // count] for k in range(count)] if count < len(listed) else list(listed)


def cases_of(attacks: Sequence[Attack]) -> Callable[[int], Iterator[str | None]]:
    """Return what tries so many of the attacks, of every kind some, all of them where there are fewer."""

    def cases(count: int) -> Iterator[str | None]:
        warm_up()
        for attack in spread(attacks, count):
            for _ in range(TIMES_TIMED):  # other processes make this one slow as well
                with tempfile.TemporaryDirectory() as place:
                    broken = outcome(attack, Path(place).resolve())
                if broken is None or "s of computing" not in broken:
                    break
            yield broken

    return cases


def warm_up() -> None:
    """Load what the commands need, so that no child does; on one thread there is none that a fork would lose."""
    torch.set_num_threads(1)
    platform.processor()  # asks a process once
    for name in ("train", "resume", "evaluate", "predict", "export", "generate", "runs", "data", "pictures", "folds"):
        import_module(f"nnkit.cli.{name}")
    for name in ("infer.evaluate", "infer.predict", "infer.export", "infer.generate", "infer.rows", "folds", "plots"):
        import_module(f"nnkit.{name}")
    import_module("torchvision.datasets")
    with suppress(ConfigError):
        compose(["data=nope"])


def outcome(attack: Attack, place: Path) -> str | None:
    """Return what an attack did that it should not; None where it was refused as it should be."""
    work = place / "work"
    work.mkdir()
    (work / f"{MODULE}.py").write_text(f"from pathlib import Path\nPath({str(place / CANARY)!r}).touch()\n")
    words = attack.send(work)
    if not attack.is_live(work):
        return f"{attack.name}: it would do no harm, so that nothing is tried"
    (place / CANARY).unlink(missing_ok=True)
    found = in_child(lambda: main(words), work)
    wrong = [*found.done]
    if (place / CANARY).exists():
        wrong.append("it was executed")
    if found.code not in attack.codes:
        wrong.append(f"exit code {found.code}")
    if "Traceback" in found.text:
        wrong.append("a traceback")
    if SECRET in found.text:
        wrong.append("the secret was told")
    if found.seconds > LONGEST_S:
        wrong.append(f"{found.seconds:.2f} s of computing")
    return f"{attack.name}: {'; '.join(wrong)}: {found.text[-800:]}" if wrong else None


def apart(is_live: Callable[[Path], bool]) -> Callable[[Path], bool]:
    """Return what lets an attack do its harm in a process of its own, to tell whether it can."""
    return lambda work: in_child(lambda: int(not is_live(work)), work, is_watched=False).code == 0


def in_child(work: Callable[[], int], place: Path, *, is_watched: bool = True) -> Ended:
    """Do something in a forked child whose folder is `place`, with little memory, and return how it ended."""
    told, ours = os.pipe()
    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            os.close(told)
            _work(work, place, output.fileno(), ours if is_watched else None)
        os.close(ours)
        done, status, usage = _awaited(child, told)
        output.seek(0)
        text = output.read().decode(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, text, usage.ru_utime + usage.ru_stime, tuple(dict.fromkeys(done.splitlines())))


def _awaited(child: int, told: int) -> tuple[str, int, Any]:
    """Return what a child tells until it ends; one that hangs is killed."""
    ends, pieces = time.monotonic() + HUNG_S, []
    with os.fdopen(told, "rb", buffering=0) as pipe:
        while left := max(0.0, ends - time.monotonic()):
            if select.select([pipe], [], [], left)[0]:
                if not (piece := pipe.read(65536)):
                    break
                pieces.append(piece)
        else:
            pieces.append(b"it hangs\n")
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        _, status, usage = os.wait4(child, 0)
    return b"".join(pieces).decode(errors="replace"), status, usage


def _work(work: Callable[[], int], place: Path, output: int, told: int | None) -> None:
    """Work in this child, and end it."""
    code = 99
    sys.settrace(None)  # the time is nnkit's, not that of who measures which lines are run
    try:
        for number in (1, 2):
            os.dup2(output, number)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - pytest has put others in their place
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
        sys.stdin = open(os.devnull)  # noqa: SIM115
        os.chdir(place)
        os.environ |= {"HOME": str(place), "HF_TOKEN": SECRET, "NNKIT_CANARY": SECRET}
        sys.path = [path for path in sys.path if path not in ("", str(Path.cwd()))]
        pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (pages + MORE_MEMORY, pages + MORE_MEMORY))
        if told is not None:
            sys.addaudithook(_watch(place.resolve(), told))
        code = work()
    except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
        traceback.print_exc()
    finally:
        with suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _watch(place: Path, told: int) -> Callable[[str, tuple[Any, ...]], None]:
    """Return an audit hook that tells what is executed, imported, sent, and changed outside of a folder."""
    allowed = (f"{place}/", "/dev/null", "/dev/shm/sem", "/dev/shm/torch", "/dev/shm/psm", "/dev/shm/pym")

    def tell(text: str) -> None:
        os.write(told, f"{text}\n".encode(errors="replace"))
        raise PermissionError(text)

    def is_outside(path: Any, flags: int = 0) -> bool:
        if isinstance(path, int):
            return False
        above, name = os.path.split(os.fsdecode(path))
        real = os.path.realpath(above) + f"/{name}" if flags & os.O_NOFOLLOW else os.path.realpath(os.fsdecode(path))
        return not f"{real}/".startswith(allowed) and real not in allowed

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _RUNS or event in _TALKS:
            tell(f"{event}: {str(arguments)[:200]}")
        elif event == "import" and str(arguments[0]).partition(".")[0] == MODULE:
            tell(f"import of {arguments[0]}")
        elif event == "open" and arguments[2] & _WRITING and is_outside(arguments[0], arguments[2]):
            tell(f"open for writing: {arguments[0]}")
        elif event in _CHANGES:
            for path in arguments[:2]:
                if isinstance(path, (str, bytes, os.PathLike)) and is_outside(path):
                    tell(f"{event}: {path!s}")

    return hook
