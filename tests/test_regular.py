"""Files that a stranger may have made are read with limits."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from nnkit.errors import StorageError
from nnkit.lock import FolderLock, is_locked
from nnkit.machine import available_bytes
from nnkit.regular import json_of, open_regular, read_regular
from nnkit.storage import read_bytes, read_json


def test_a_file_is_read_whole() -> None:
    Path("a").write_bytes(b"abc")
    assert read_regular(Path("a")) == b"abc"
    assert read_regular(Path("a"), 3) == b"abc"


def test_a_file_that_is_too_large_is_not_read() -> None:
    Path("a").touch()
    os.truncate("a", 1 << 40)
    with pytest.raises(OSError, match="it has 1,099,511,627,776 bytes, more than the 100 that it may have"):
        read_regular(Path("a"), 100)
    with pytest.raises(StorageError, match=r"a has 1,099,511,627,776 bytes, more than the .* that the memory has"):
        read_bytes(Path("a"))


def test_pipes_folders_and_devices_are_no_files() -> None:
    os.mkfifo("pipe")
    for name in ("pipe", "/dev/zero"):
        with pytest.raises(OSError, match="it is no file"):
            open_regular(Path(name))
    with pytest.raises(OSError, match="it is a folder"):
        open_regular(Path())


def test_json_has_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json_of(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="it is nested too deeply"):
        json_of(b"[" * 100_000)
    monkeypatch.setattr("nnkit.regular.LARGEST_JSON", 5)
    with pytest.raises(ValueError, match="it has 6 bytes"):
        json_of(b"123456")
    monkeypatch.setattr("nnkit.storage.LARGEST_JSON", 5)
    Path("a").write_text("123456")
    with pytest.raises(StorageError, match="it has 6 bytes, more than the 5"):
        read_json(Path("a"))


def test_a_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert whole // 100 < available_bytes() < whole
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 50, 1 << 50))
    assert whole // 100 < available_bytes() < whole
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1 << 20, 1 << 20))
    assert available_bytes() == 0  # this process has more than that already


def test_taking_a_lock_follows_no_link() -> None:
    Path("own").write_text("own")
    Path("run").mkdir()
    Path("run/lock").symlink_to(Path("own").absolute())
    with pytest.raises(StorageError, match=r"cannot lock .*run/lock"):
        FolderLock(Path("run"))
    with pytest.raises(StorageError, match=r"cannot lock .*run/lock"):
        is_locked(Path("run"))
    assert Path("own").read_text() == "own"
