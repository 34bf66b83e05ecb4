"""The lock of a run folder."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.errors import FolderInUseError, StorageError
from nnkit.lock import TRIES, FolderLock, is_locked

HOLD = """
import sys, time
from pathlib import Path
from nnkit.lock import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


def failing(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_lock_that_cannot_be_written_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "ftruncate", failing)
        with pytest.raises(StorageError, match=r"cannot lock .*lock: No space left on device"):
            FolderLock(tmp_path)
    assert not is_locked(tmp_path)
    FolderLock(tmp_path).release()


def begun(code: str, folder: Path) -> subprocess.Popen[str]:
    """Start another process, and wait until it has said its first word."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def ended(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_locked_folder_names_its_owner_and_is_free_once_that_is_killed(tmp_path: Path) -> None:
    process = begun(HOLD, tmp_path)
    try:
        assert is_locked(tmp_path)
        with pytest.raises(
            FolderInUseError, match=f"in use by process {process.pid} on {socket.gethostname()}"
        ) as caught:
            FolderLock(tmp_path)
        assert caught.value.exit_code == 6
    finally:
        ended(process)
    deadline = time.monotonic() + 10
    while is_locked(tmp_path) and time.monotonic() < deadline:
        pass
    with FolderLock(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def test_the_same_process_cannot_own_a_folder_twice(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(FolderInUseError, match="by this very process"):
        FolderLock(tmp_path)
    lock.release()
    lock.release()
    FolderLock(tmp_path).release()


def test_a_folder_without_a_lock_is_free(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)


def test_who_asks_takes_nothing_that_somebody_else_might_want_at_that_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lock").write_text("")
    (tmp_path / "lock").chmod(0o444)
    monkeypatch.setattr(fcntl, "lockf", lambda *_: pytest.fail("the lock was taken"))
    assert not is_locked(tmp_path)
    assert (tmp_path / "lock").read_text() == ""


def test_an_owner_that_is_about_to_end_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = begun(HOLD, tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: ended(process))
    with FolderLock(tmp_path):
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} ")


def test_an_owner_that_has_not_written_its_name_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = begun(HOLD, tmp_path)
    (tmp_path / "lock").write_text("")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            (tmp_path / "lock").write_text("process 1 on there")

    monkeypatch.setattr(time, "sleep", wait)
    try:
        with pytest.raises(FolderInUseError, match="in use by process 1 on there"):
            FolderLock(tmp_path)
    finally:
        ended(process)
    assert len(waited) == TRIES


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A file system that has no locks, as some that are mounted over a network."""

    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    monkeypatch.setattr(fcntl, "fcntl", refuse)
    return int(request.param)


def test_a_file_system_without_locks_is_told_and_an_empty_folder_goes(tmp_path: Path, without_locks: int) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    before = len(list(Path("/dev/fd").iterdir()))
    text = rf"cannot lock {folder}/lock: .* \(errno {without_locks}\)"
    with pytest.raises(StorageError, match=text) as caught:
        FolderLock(folder)
    assert "choose a local output_dir" in caught.value.problems[0].hint
    assert len(list(Path("/dev/fd").iterdir())) == before
    assert not folder.exists()


def test_a_run_on_a_file_system_without_locks_stays_and_is_nobodys(tmp_path: Path, without_locks: int) -> None:
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / "lock").write_text("")
    assert not is_locked(tmp_path)
    with pytest.raises(StorageError, match=f"errno {without_locks}"):
        FolderLock(tmp_path)
    assert (tmp_path / "config.yaml").exists()


@pytest.mark.usefixtures("without_locks")
def test_a_training_without_locks_leaves_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=iris", "output_dir=runs"]) == 5
    assert "hint: its file system has no locks: choose a local output_dir=FOLDER" in capsys.readouterr().err
    assert [path for path in Path("runs").rglob("*") if not path.is_dir()] == []
    assert list(Path("runs").glob("*/*")) == []
