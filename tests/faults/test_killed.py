"""SIGKILL at every file-system call; and that it is every one, which the interpreter and the system say themselves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnkit.train import saver
from tests.faults.calls import WRITES, Call
from tests.faults.child import in_child
from tests.faults.killed import KILLED, goes_on, kill_at
from tests.faults.survival import check, not_tried
from tests.faults.tried import empty_place, trains, tried, whole_run

AUDITED = {"os.mkdir": "mkdir", "os.rename": "rename", "os.remove": "unlink", "os.rmdir": "rmdir"}
AUDITED |= {"os.truncate": "ftruncate", "open": "open"}
TRACED = (
    "open,openat,creat,write,pwrite64,writev,pwritev,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,mkdir,"
)
TRACED += (
    "mkdirat,unlink,unlinkat,rmdir,ftruncate,truncate,fallocate,link,linkat,symlink,symlinkat,sendfile,copy_file_range"
)
LINE = re.compile(r"^\d+ +(\w+)\((.*)\) += (-?\d+)")


def test_a_run_that_is_killed_at_any_call_goes_on_to_the_same_end(
    record_property: Callable[[str, object], None],
) -> None:
    check(KILLED, record_property)


def test_every_changing_call_that_the_interpreter_sees_is_counted() -> None:
    seen: list[tuple[str, str]] = []

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event not in AUDITED or (event == "open" and (isinstance(args[0], int) or not args[2] & WRITES)):
            return
        place, folder = args[0], args[-1] if event in ("os.remove", "os.rmdir") else -1
        if isinstance(place, int) or folder not in (-1, None):
            above = Path(f"/proc/self/fd/{place if isinstance(place, int) else folder}").readlink()
            place = above if isinstance(place, int) else above / place
        path = Path.cwd() / os.fsdecode(place)
        if path.is_relative_to(Path.cwd()):
            seen.append((AUDITED[event], str(path)))

    def work() -> tuple[list[Call], list[tuple[str, str]]]:
        calls: list[Call] = []
        sys.addaudithook(note)
        trains(calls=calls)
        return calls, list(seen)

    with empty_place() as place:
        ended = in_child(work, place)
        calls, audited = ended.value
    counted = [(call.name, call.path) for call in calls if call.name not in ("write", "fsync")]
    assert len(counted) > 60
    assert audited == counted


def test_every_changing_call_that_the_system_sees_is_counted(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    text = "that every file-system call is counted, by the system (strace)"
    if shutil.which("strace") is None:
        not_tried(text, "strace is not installed", record_property)
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.faults.tried import trains\n"
        "calls = []; assert trains(calls=calls) == 0\n"
        "print(*(call.name for call in calls), file=sys.stderr)"
    )
    words = ["strace", "-f", "--seccomp-bpf", "-y", "-s", "0", "-e", f"trace={TRACED}", "-o", "trace"]
    (tmp_path / "run").mkdir()
    words[-1] = str(tmp_path / "trace")
    done = subprocess.run([*words, sys.executable, "-c", code], cwd=tmp_path / "run", capture_output=True, text=True)
    if "ptrace" in done.stderr.lower() and done.returncode:
        not_tried(text, "strace may not trace", record_property)
    assert done.returncode == 0, done.stderr
    assert Counter(done.stderr.splitlines()[-1].split()) == traced(tmp_path / "trace", tmp_path / "run")


def test_what_a_machine_does_not_allow_stands_in_the_table() -> None:
    told: list[object] = []
    with pytest.raises(pytest.skip.Exception, match="strace is not installed here"):
        not_tried("the calls", "strace is not installed", lambda _, row: told.append(row))
    assert told == ["| the calls | not tried here: strace is not installed | |"]


def traced(path: Path, root: Path) -> Counter[str]:
    """Return how often each changing call was made below a folder, by the words of the shim, as strace saw them."""
    found: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        read = LINE.match(re.sub(r"AT_FDCWD<[^>]*>, (?=\"/)", "", line))
        if read is None or re.search(rf"{root}[/>]", read[2]) is None:
            continue
        name = {"openat": "open", "unlinkat": "unlink", "renameat2": "rename", "mkdirat": "mkdir"}.get(read[1], read[1])
        if name == "unlink" and "AT_REMOVEDIR" in read[2]:
            name = "rmdir"
        if name != "open" or re.search(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)", read[2]):
            found[name] += 1
    return found


def test_a_save_without_its_order_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where old checkpoints go before the new one is there, a kill in between takes what was saved."""
    write = saver.write

    def careless(folder: Path, *more: Any, **named: Any) -> None:
        for old in folder.parent.glob("step-*") if folder.name == "step-00000006" else ():
            shutil.rmtree(old)
        write(folder, *more, **named)

    first = next(number for number, call in enumerate(whole_run()[0]) if "step-00000006" in call.path)
    monkeypatch.setattr(saver, "write", careless)
    broken = [tried(lambda n=first + more: trains(kill_at(n, "before")), goes_on) for more in range(12)]  # type: ignore[misc]
    assert any(text is not None and "step 3 is lost" in text for text in broken)
