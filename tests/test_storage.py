"""Writing so that a crash leaves the old or the new, and a folder that has one owner."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest

from nnkit import storage
from nnkit.errors import StorageError
from nnkit.storage import (
    ELSEWHERE,
    LineFile,
    read_bytes,
    reporting,
    write_bytes,
    write_file,
    write_folder,
    write_json,
    writing,
)


def failing(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_content_and_no_temporary_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(StorageError, match=rf"cannot write {path}: No space left on device \(errno 28\)") as caught:
        write_bytes(path, b"new")
    assert caught.value.exit_code == 5
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_replaces_the_whole_content(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"a long old content")
    write_bytes(tmp_path / "file", b"new")
    assert read_bytes(tmp_path / "file") == b"new"


def test_json_refuses_numbers_that_are_not_finite(tmp_path: Path) -> None:
    write_json(tmp_path / "file", {"a": [1, 2.5, None]})
    assert json.loads((tmp_path / "file").read_text()) == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="Out of range float"):
        write_json(tmp_path / "file", {"a": float("nan")})
    assert json.loads((tmp_path / "file").read_text()) == {"a": [1, 2.5, None]}


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_folder_appears_whole_or_not_at_all(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        with pytest.raises(StorageError, match="errno 28"):
            write_folder(tmp_path / "new", {"a": b"1", "b": b"2"})
    assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "new", {"a": b"1", "b": b"2"})
    assert {p.name: p.read_bytes() for p in (tmp_path / "new").iterdir()} == {"a": b"1", "b": b"2"}


def test_what_killed_writers_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".tmp-step-1-99").mkdir()
    (tmp_path / ".tmp-step-1-99" / "a").write_text("x")
    (tmp_path / ".tmp-best-99").write_text("x")
    (tmp_path / "kept").write_text("x")
    storage.remove_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]


def test_folders_are_made_and_removed(tmp_path: Path) -> None:
    storage.make_folder(tmp_path / "a" / "b")
    storage.make_folder(tmp_path / "a" / "b")
    storage.remove_folder(tmp_path / "a")
    storage.remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot make folder .*/file/x: .* \(errno"):
        storage.make_folder(tmp_path / "file" / "x")
    with pytest.raises(StorageError, match=r"cannot read .*/nothing") as told:
        read_bytes(tmp_path / "nothing")
    assert told.value.problems[0].hint == "put it back, or name another one"  # room would not help


def test_lines_are_added_and_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    for keep, line in ((None, "a"), (None, "b"), (1, "c"), (0, "d"), (9, "é")):
        file = LineFile(path, keep_lines=keep)
        file.append(line)
        file.sync()
        file.close()
    assert path.read_text(encoding="utf-8") == "d\né\n"


def test_a_half_written_last_line_is_cut_off_with_the_lines_behind_a_save(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("one\ntwo\nthr")
    LineFile(tmp_path / "lines", keep_lines=2).close()
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the full device is Linux's")
def test_a_full_disk_is_told_when_lines_are_added() -> None:
    file = LineFile(Path("/dev/full"))
    with pytest.raises(StorageError, match=r"cannot write /dev/full: No space left on device \(errno 28\)"):
        file.append("a")
    file.close()


def test_a_line_that_is_half_written_is_taken_away_at_once_or_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, write = LineFile(tmp_path / "lines"), os.write
    file.append("one")

    def half(descriptor: int, data: bytes) -> int:
        if len(data) < 4:
            failing()
        return write(descriptor, data[: len(data) // 2])

    for refused in ([], ["ftruncate"]):
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            for call in refused:
                patch.setattr(os, call, failing)
            with pytest.raises(StorageError, match=r"cannot write .*lines: No space left on device"):
                file.append("a longer line")
        assert ((tmp_path / "lines").read_text() == "one\n") == (not refused)
    file.append("two")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"
    file.close()


def test_lines_whose_sync_was_refused_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LineFile(tmp_path / "lines")
    file.append("one")
    before = (tmp_path / "lines").stat().st_ino
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match=r"cannot write .*lines: No space left on device"):
            file.sync()
    file.sync()  # the system may have forgotten what it has not written: a second fsync alone would prove nothing
    assert (tmp_path / "lines").stat().st_ino != before
    file.append("two")
    file.close()
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"


def test_a_folder_whose_name_may_not_have_reached_the_disk_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    sync = storage._sync_folder
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError, match=r"cannot make folder .*b: No space left on device"):
            storage.make_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(storage, "_sync_folder", lambda folder: (synced.append(folder.name), sync(folder)))
    storage.make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path.name, "a"]


def test_a_folder_is_written_where_an_earlier_try_could_not_be_tidied_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        patch.setattr(shutil, "rmtree", failing)
        with pytest.raises(StorageError, match="No space left"):
            write_folder(tmp_path / "folder", {"a": b"1", "b": b"2"})
    assert [path.name[:5] for path in tmp_path.iterdir()] == [".tmp-"]
    write_folder(tmp_path / "folder", {"a": b"3"})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_failed_first_is_told_where_tidying_up_fails_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    monkeypatch.setattr(os, "unlink", broken)
    monkeypatch.setattr(os, "rmdir", broken)
    with pytest.raises(StorageError, match=r"errno 28"):
        write_bytes(tmp_path / "file", b"new")
    with pytest.raises(StorageError, match=r"errno 28"):
        write_folder(tmp_path / "folder", {"a": b"1"})
    with pytest.raises(StorageError, match=r"errno 28"), writing(tmp_path / "other") as file:
        file.write(b"new")


# content that comes part by part


def test_a_file_appears_as_a_whole_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    with writing(path) as file:
        file.write(b"n")
        assert path.read_bytes() == b"old"
        file.write(b"ew")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_whatever_is_raised_meanwhile_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def torn(error: BaseException) -> None:
        with writing(path) as file:
            file.write(b"new")
            raise error

    for error in (KeyError("a"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            torn(error)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failure_at_the_end_leaves_the_old_content(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_bytes(path, b"old")
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(StorageError, match=rf"cannot write {path}: No space left on device"), writing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_takes_no_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"No such file or directory"), writing(tmp_path / "a" / "file"):
        pytest.fail("it was opened")
    with pytest.raises(StorageError, match=rf"cannot write {tmp_path}: Is a directory"), writing(tmp_path):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_what_fills_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=rf"cannot write {tmp_path / 'file'}: No space left on device"):
        write_file(tmp_path / "file", failing)
    write_file(tmp_path / "file", lambda file: file.write(b"new") and None)
    assert (tmp_path / "file").read_bytes() == b"new"


def test_several_files_of_a_folder_are_written_together_or_stay_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_files(tmp_path, {"a": b"1", "b": b"2"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1", "b": b"2"}

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot write .*No space left on device \(errno 28\)"):
        storage.write_files(tmp_path, {"a": b"3", "c": b"4"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"1", "b": b"2"}


def test_a_discarded_folder_is_gone_and_one_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run" / "inner").mkdir(parents=True)
    storage.discard_folder(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match=r"cannot remove .*/run"):
        storage.discard_folder(tmp_path / "run")


@pytest.mark.parametrize(
    ("action", "code", "hint"),
    [
        ("write", errno.ENOSPC, "free some space, or choose another place"),
        ("write", errno.EIO, "free some space, or choose another place"),
        ("write", errno.EFBIG, "raise the limit on the size of a file (ulimit -f), or choose another place"),
        ("write", errno.EDQUOT, "free some of your quota (quota -s), or choose another place"),
        ("write", errno.ENOSPC, f"free some space, or {ELSEWHERE}"),
        ("read", errno.ENOENT, "put it back, or name another one"),
        ("read", errno.EISDIR, "name a file, not a folder"),
        ("write", errno.EISDIR, "a folder stands in its place; choose another place"),
        ("write", errno.ENOENT, "its folder is not there; choose another place"),
        ("make folder", errno.ENOTDIR, "a file stands where a folder is needed; choose another place"),
        ("write", errno.EROFS, "it is somebody else's, or protected: ls -ld here; or choose another place"),
        ("read", errno.EACCES, "it is somebody else's, or protected: ls -ld here; or another file"),
        ("read", errno.EIO, "another file"),
    ],
)
def test_what_can_be_done_is_of_the_error(action: str, code: int, hint: str) -> None:
    with pytest.raises(StorageError) as caught, reporting(action, Path("here")):
        raise OSError(code, os.strerror(code))
    assert caught.value.problems[0].hint.startswith(hint)
