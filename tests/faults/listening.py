"""Sockets that nnkit opens: none to the network, and the local ones are their owner's alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.faults.sent_folders import EVAL, EXPORT, RESUME, ROWS, sent
from tests.faults.strangers import in_child, warm_up
from tests.faults.survival import Promise

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD = "NNKIT_TELLS_SOCKETS"  # the variable that names the file into which each process tells them
TINY = ["data=iris", "model.hidden=[2]", "trainer.max_epochs=2", "trainer.plots=false"]
SWEEP = ["train", "-m", *TINY, "seed=1,2", "hydra.sweeper.jobs=2"]
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


def outcome(words: Sequence[str], place: Path, act: Callable[[], int] | None = None) -> str | None:
    """Return what a command opened to others; None where it opened nothing."""
    sent(place)
    told = place / "sockets"
    told.touch()

    def in_this() -> int:
        from nnkit.cli import main

        os.environ[TOLD] = str(told)
        tell_sockets()
        return main(list(words)) if act is None else act()

    if "-m" in words:
        (place / "site").mkdir()
        (place / "site" / "sitecustomize.py").write_text(SITE)
        more = {TOLD: str(told), "PYTHONPATH": str(place / "site"), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "nnkit", *words]
        ended = subprocess.run(
            command, cwd=place, env={**os.environ, **more}, capture_output=True, text=True, check=False
        )
        code, text = ended.returncode, ended.stderr
    else:
        found = in_child(in_this, place, is_watched=False)
        code, text = found.code, found.text
    lines = told.read_text().splitlines()
    wrong = [line for line in lines if not line.startswith("socket.bind owner")]
    if code:
        wrong.append(f"exit code {code}: {text[-800:]}")
    if "-m" in words and not lines:
        wrong.append("no process told of the sockets between the processes of a sweep")
    return f"{' '.join(words)}: {'; '.join(wrong)}" if wrong else None


def cases(count: int) -> Iterator[str | None]:
    """Try each command."""
    warm_up()
    commands = [["train", *TINY], EVAL, ROWS, EXPORT, [*RESUME, "trainer.plots=false"], SWEEP]
    for words in commands[:count]:
        with tempfile.TemporaryDirectory() as place:
            yield outcome(words, Path(place).resolve())


LISTENING = Promise(
    name="listening",
    text="train, eval, predict, export, resume and a sweep of two processes: no socket to the network",
    cases=cases,
    in_ci=6,
    in_soak=6,
)
