"""The only module that writes files: whole files, whole folders, and lines. (nnkit/lock.py has the lock of a folder.)

A write is durable when the call returns: data first, then the name, then the folder that holds the name.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, final

from nnkit.errors import OutOfMemoryError, StorageError
from nnkit.regular import LARGEST_JSON, json_of, read_regular

TEMPORARY = ".tmp-"
ROOM, BACK, RIGHTS = "free some space", "put it back", "it is somebody else's, or protected: ls -ld"  # how hints begin
LIMIT, QUOTA = "raise the limit on the size of a file (ulimit -f)", "free some of your quota (quota -s)"
ELSEWHERE = "choose another place (output_dir=FOLDER for a training, -o for another command)"


@contextmanager
def reporting(action: str, path: Path) -> Iterator[None]:
    """Turn an operating-system error into one that names what was done, where, and the errno.

    Args:
        action: a verb in the infinitive, such as "write".
        path: the file or folder.

    Raises:
        StorageError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {action} {path}: {error.strerror or error} (errno {error.errno})",
            hint=_remedy(action, path, error.errno),
        ) from error


def _remedy(action: str, path: Path, code: int | None) -> str:
    """Return what can be done about an error of the operating system."""
    is_read = action == "read"
    other = "another file" if is_read else ELSEWHERE
    match code:
        case errno.ENOENT:
            return f"{BACK}, or name another one" if is_read else f"its folder is not there; {other}"
        case errno.EISDIR:
            return "name a file, not a folder" if is_read else f"a folder stands in its place; {other}"
        case errno.ENOTDIR | errno.EEXIST:
            return f"a file stands where a folder is needed; {other}"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return f"{RIGHTS} {path}; or {other}"
        case errno.EFBIG | errno.EDQUOT if not is_read:
            return f"{LIMIT if code == errno.EFBIG else QUOTA}, or {other}"
        case _:
            return other if is_read else f"{ROOM}, or {other}"


def make_folder(path: Path, *, lasting: bool = True) -> None:
    """Make a folder and its parents; one that is there already is fine.

    Args:
        path: of the folder.
        lasting: whether to wait until they would survive a loss of power; what is unpacked can be unpacked again.

    Raises:
        StorageError: the file system refused.
    """
    with reporting("make folder", path):
        missing = [each for each in (path, *path.parents) if lasting and not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        try:
            for made in reversed(missing):
                _sync_folder(made.parent)
        except OSError:
            for made in missing:  # or it would be taken, the next time, for one whose name has reached the disk
                with suppress(OSError):
                    made.rmdir()
            raise


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it; one that is not there is fine. Raises: StorageError."""
    with reporting("remove", path):
        shutil.rmtree(path, ignore_errors=not path.exists())


def remove_links(folder: Path) -> None:
    """Remove the links in a folder and below, not what they lead to. Raises: StorageError."""
    with reporting("remove links in", folder):
        for place, folders, files in os.walk(folder):
            for path in (Path(place, name) for name in (*folders, *files)):
                if path.is_symlink():
                    path.unlink()


def discard_folder(path: Path) -> None:
    """Remove a folder by one rename, then what is in it: a crash leaves no half of it. Raises: StorageError."""
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    with reporting("remove", path):
        os.rename(path, temporary)
    remove_folder(temporary)


def read_bytes(path: Path, largest: int | None = None) -> bytes:
    """Return the whole content of an ordinary file of at most so many bytes, or of what the memory holds.

    Raises:
        StorageError: it cannot be read, or is larger: then it is none of ours, and another one may do.
    """
    with reporting("read", path):
        try:
            return read_regular(path, largest)
        except OutOfMemoryError as error:
            raise StorageError(str(error), hint=error.problems[0].hint) from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds. Raises: StorageError; ValueError, where it is none that we write."""
    return json_of(read_bytes(path, LARGEST_JSON))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file: after a crash there is the old content or the new one, nothing between.

    Raises:
        StorageError: the file system refused; no temporary file stays.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    with reporting("write", path):
        with _or_nothing(temporary):
            _write_all_synced({temporary: data})
            os.replace(temporary, path)
        _sync_folder(path.parent)


@contextmanager
def _or_nothing(*temporaries: Path) -> Iterator[None]:
    """Remove what a writer that failed has left; where that is refused, too, the failure that came first is told."""
    try:
        yield
    except BaseException:
        for path in temporaries:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Open a file for a content that comes part by part; it appears as a whole at the end, or not at all.

    Args:
        path: the file.

    Raises:
        StorageError: the file system refused; no temporary file stays, whatever was raised meanwhile.
    """
    temporary = path.with_name(f"{TEMPORARY}{path.name}-{os.getpid()}")
    with reporting("write", path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        file = open(temporary, "wb")  # noqa: SIM115 - closed below
    with _or_nothing(temporary):
        try:
            yield file
            with reporting("write", path):
                file.flush()
                os.fsync(file.fileno())
                file.close()
                os.replace(temporary, path)
                _sync_folder(path.parent)
        except BaseException:
            with suppress(OSError):  # what waits to be written is refused once more
                file.close()
            raise


def write_file(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write a whole file, as `write_bytes` does, without holding its content in memory a second time.

    Args:
        path: the file.
        write: puts the content into the open file that it is given.

    Raises:
        StorageError: the file system refused; no temporary file stays.
    """
    with writing(path) as file, reporting("write", path):
        write(file)


def write_unpacked(path: Path, content: IO[bytes], size: int) -> None:
    """Write a file out of an archive, without waiting for the disk: it can be unpacked again.

    Raises:
        StorageError: the file system refused, a link stands in its place, or it goes on behind so many bytes.
    """
    with reporting("write", path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, 0o644), "wb") as file:
            while piece := content.read(1 << 20):
                size -= len(piece)
                if size < 0:
                    raise OSError(errno.EINVAL, "it is larger than its archive says")
                file.write(piece)


def appended(path: Path) -> BinaryIO:
    """Open a new file that grows part by part; a reader sees each at once. Raises: StorageError, where it is there."""
    with reporting("write", path):
        return open(path, "xb", buffering=0)


def write_json(path: Path, value: Any) -> None:
    """Write plain data as JSON, as `write_bytes` does. Non-finite numbers are refused (ValueError)."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """Return plain data as the content of a JSON file. Non-finite numbers are refused (ValueError)."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write several files of one folder, each as `write_bytes` does, with fewer waits for the disk than one by one.

    Args:
        folder: which is there.
        files: content by file name; they appear in this order.

    Raises:
        StorageError: the file system refused; no temporary file stays, and each file is the old one or the new one.
    """
    temporary = {folder / name: folder / f"{TEMPORARY}{name}-{os.getpid()}" for name in files}
    with reporting("write", folder):
        with _or_nothing(*temporary.values()):
            _write_all_synced({temporary[folder / name]: data for name, data in files.items()})
            for path, written in temporary.items():
                with reporting("write", path):
                    os.replace(written, path)
        _sync_folder(folder)


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write a folder of files that appears as a whole, by one rename.

    Args:
        folder: must not exist yet; its parent must.
        files: content by file name.

    Raises:
        StorageError: the file system refused; no temporary folder stays.
    """
    temporary = folder.with_name(f"{TEMPORARY}{folder.name}-{os.getpid()}")
    with reporting("write", folder):
        with _or_nothing(temporary):
            if temporary.exists():  # of a try before this one, which could not be tidied up
                shutil.rmtree(temporary)
            temporary.mkdir()
            _write_all_synced({temporary / name: data for name, data in files.items()})
            _sync_folder(temporary)
            os.rename(temporary, folder)
        _sync_folder(folder.parent)


def remove_temporaries(folder: Path) -> None:
    """Remove what writers that were killed left in `folder`. Raises: StorageError."""
    for path in folder.glob(f"{TEMPORARY}*"):
        if path.is_dir():
            remove_folder(path)
        else:
            with reporting("remove", path):
                path.unlink(missing_ok=True)


def _write_all_synced(files: Mapping[Path, bytes]) -> None:
    """Write files, then wait for all of them: the first wait takes most of the others' with it."""
    with ExitStack() as opened:
        written = [(opened.enter_context(open(path, "wb")), data) for path, data in files.items()]
        for file, data in written:
            file.write(data)
            file.flush()
        for file, _ in written:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@final
class LineFile:
    """A text file that grows by whole lines."""

    def __init__(self, path: Path, *, keep_lines: int | None = None) -> None:
        """Open `path` for appending.

        Args:
            path: made when it is not there.
            keep_lines: cut the file back to so many lines first, and end the last of them; None leaves it as it is.

        Raises:
            StorageError: the file system refused.
        """
        self.path = path
        self._torn_at: int | None = None  # behind so many bytes there is half a line
        self._is_doubtful = False  # after a refused fsync, the system no longer knows what has not reached the disk
        with reporting("write", path):
            if keep_lines is not None and path.exists():
                write_bytes(path, b"".join(line + b"\n" for line in path.read_bytes().splitlines()[:keep_lines]))
            self._is_named = path.exists()  # a new file's name has to reach the disk, too
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115 - it stays open

    def append(self, line: str) -> None:
        """Add one line, or nothing of it; a reader sees it at once, a power loss may still take it.

        Raises:
            StorageError: the file system refused; half of a line that could not be taken away goes before the next one.
        """
        descriptor, data = self._file.fileno(), f"{line}\n".encode()
        with reporting("write", self.path):
            self._cut()
            before = os.fstat(descriptor).st_size
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            except BaseException:
                self._torn_at = before
                with suppress(OSError):
                    self._cut()
                raise

    def sync(self) -> None:
        """Make all lines so far survive a power loss. Raises: StorageError."""
        with reporting("write", self.path):
            self._cut()
            if self._is_doubtful:
                write_bytes(self.path, self.path.read_bytes())
                before, self._file = self._file, open(self.path, "ab", buffering=0)  # noqa: SIM115 - it stays open
                before.close()
            self._is_doubtful = True
            os.fsync(self._file.fileno())
            self._is_doubtful = False
            if not self._is_named:
                _sync_folder(self.path.parent)
                self._is_named = True

    def close(self) -> None:
        """Close the file; further lines are refused. Raises: StorageError."""
        with reporting("write", self.path):
            self._file.close()

    def _cut(self) -> None:
        if self._torn_at is not None:
            os.ftruncate(self._file.fileno(), self._torn_at)
            self._torn_at = None
