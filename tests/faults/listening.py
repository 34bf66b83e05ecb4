"""Sockets that nnkit opens: none to the network, and the local ones are their owner's alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.picture_run import words as picture_words
from tests.faults.sent_folders import EVAL, EXPORT, RESUME, ROWS, sent
from tests.faults.strangers import in_child, warm_up
from tests.faults.survival import Promise

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD = "NNKIT_TELLS_SOCKETS"  # the variable that names the file into which each process tells them
TINY = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=2", "trainer.plots=false"]
SWEEP = ["train", "-m", *TINY, "seed=1,2", "hydra.sweeper.jobs=2"]
TUNE = ["tune", *TINY, "model=mlp", "optimizer=adam", "--budget", "20s", "--jobs", "2"]
FOLDS = ["train", *TINY, "cv.folds=2"]
WORDS = "the cat sat on the mat\n" * 40  # of which a net learns to go on
LANGUAGE = ["train", "data=text", "data.path=words.txt", "data.task=language", "model=gru", "model.hidden_size=2"]
LANGUAGE += ["data.segment=10", "trainer.max_epochs=1", "trainer.plots=false"]
# Python runs a module of this name in every process that it starts, those of a sweep as well.
SITE = (
    f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom tests.faults.listening import tell_sockets\ntell_sockets()\n"
)


def tell_sockets() -> None:
    """Let this process tell each address that it binds, listens on, or connects to over the network."""
    file = os.open(os.environ[TOLD], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "socket.bind" or (event == "socket.connect" and not _is_local(arguments[0])):
            os.write(file, f"{event} {_kind(arguments[0], arguments[1])}\n".encode())

    sys.addaudithook(hook)


def _is_local(opened: object) -> bool:
    return isinstance(opened, socket.socket) and opened.family == socket.AF_UNIX


def _kind(opened: object, address: object) -> str:
    """Return what a socket is open to: "owner" where nobody else can reach it."""
    if not _is_local(opened):
        return f"network {address}"
    above = Path(os.fsdecode(address)).parent if isinstance(address, (str, bytes)) else Path("/")
    is_private = isinstance(address, str) and not address.startswith("\0") and not above.stat().st_mode & 0o077
    return f"{'owner' if is_private else 'everybody'} {address!r}"


def outcome(lines: Sequence[Sequence[str]], place: Path, act: Callable[[], int] | None = None) -> str | None:
    """Return what command lines, one after the other, opened to others; None where they opened nothing.

    Args:
        lines: words behind `nnkit`. Those that start processes have one of their own.
        place: an empty folder.
        act: done instead.
    """
    sent(place)
    (place / "words.txt").write_text(WORDS)
    told = place / "sockets"
    told.touch()

    def in_this() -> int:
        from nnkit.cli import main

        os.environ[TOLD] = str(told)
        tell_sockets()
        return max(main(list(words)) for words in lines) if act is None else act()

    if starts := any(map(_starts_processes, lines)):
        code, text = _ended(lines[0], place, told)
    else:
        found = in_child(in_this, place, is_watched=False)
        code, text = found.code, found.text
    heard = told.read_text().splitlines()
    wrong = [line for line in heard if not line.startswith("socket.bind owner")]
    if code:
        wrong.append(f"exit code {code}: {text[-800:]}")
    if starts and not heard:
        wrong.append("no process told of the sockets between the processes")
    return f"{' '.join(lines[-1])}: {'; '.join(wrong)}" if wrong else None


def _starts_processes(words: Sequence[str]) -> bool:
    return "-m" in words or words[0] == "tune" or any(word.startswith("data.workers=") for word in words)


def _ended(words: Sequence[str], place: Path, told: Path) -> tuple[int, str]:
    """Run a command line in processes that tell their sockets, and return its exit code and what it said."""
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(SITE)
    more = {TOLD: str(told), "PYTHONPATH": str(place / "site"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "nnkit", *words]
    ended = subprocess.run(command, cwd=place, env={**os.environ, **more}, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stderr


def commands() -> list[list[list[str]]]:
    """Return what is tried: command lines that follow each other."""
    pictures = [*picture_words(), "trainer.max_epochs=1"]
    one_each = [["train", *TINY], EVAL, ROWS, EXPORT, [*RESUME, "trainer.plots=false"], FOLDS, SWEEP, pictures]
    return [*([words] for words in one_each), [LANGUAGE, ["generate", "last", "--length", "5"]], [TUNE]]


def cases(count: int) -> Iterator[str | None]:
    """Try each command."""
    warm_up()
    for lines in commands()[:count]:
        with tempfile.TemporaryDirectory() as place:
            yield outcome(lines, Path(place).resolve())


LISTENING = Promise(
    name="listening",
    text="train (also with workers, and in folds), eval, predict, export, generate, resume, a sweep and a tune of "
    "two processes: no socket to the network",
    cases=cases,
    in_ci=9,  # the tenth takes twenty seconds
    in_soak=10,
)
