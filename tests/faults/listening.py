"""Nobody listens on the network: no process of a command binds, or is connected by, a socket of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.survival import Promise

ROOT = Path(__file__).resolve().parent.parent.parent
TOLD = "sockets.txt"
# Python runs this first, in each process that it starts: the command, its data workers, its fork server, its trials.
WATCH = """
import os, socket, sys

def hook(event, arguments):
    if event in ("socket.bind", "socket.connect") and arguments[0].family != socket.AF_UNIX:
        with open(os.environ["NNKIT_TEST_TOLD"], "a") as file:
            file.write(f"{event} {arguments[1]} by {sys.argv}\\n")

sys.addaudithook(hook)
"""
NET = ["data=iris", "model.hidden=[4]", "trainer.max_epochs=2"]
SWEEP = ["train", "-m", "name=many", *NET, "hydra.sweeper.jobs=2", "seed=0,1"]
EXPORT = ["export", "last", "--format", "safetensors"]
COMMANDS = [["train", *NET], ["eval", "last"], ["predict", "last", "rows.csv"], EXPORT, ["resume", "last"], SWEEP]
SERVER = "import socket; socket.socket().bind(('127.0.0.1', 0))"


def told(program: Sequence[str]) -> str:
    """Run a program under the watch, in the working folder, and return what it does on the network, or else its end."""
    Path("sitecustomize.py").write_text(WATCH)
    Path(TOLD).unlink(missing_ok=True)
    places = {"PYTHONPATH": f"{Path.cwd()}{os.pathsep}{ROOT}", "NNKIT_TEST_TOLD": str(Path(TOLD).absolute())}
    environment = {**os.environ, **places}
    done = subprocess.run([sys.executable, *program], env=environment, capture_output=True, text=True, check=False)
    if Path(TOLD).exists():
        return Path(TOLD).read_text()
    return f"exit code {done.returncode}: {done.stderr[-2000:]}" if done.returncode else ""


def cases(count: int) -> Iterator[str | None]:
    """Run the commands one after the other in one process, with the processes that they start."""
    assert "socket.bind" in told(["-c", SERVER]), "the watch sees nothing"
    Path("rows.csv").write_text("0,1,2,3\n" + "5.1,3.5,1.4,0.2\n" * 3)
    for _ in range(count):
        program = f"from nnkit.cli import main\nfor words in {COMMANDS!r}:\n    assert main(words) == 0, words\n"
        yield told(["-c", f"if __name__ == '__main__':\n    {program.replace(chr(10), chr(10) + '    ')}"]) or None


LISTENING = Promise(
    "listening", "no socket of the network in train, eval, predict, export, resume or a sweep of two jobs", cases, 1, 1
)
