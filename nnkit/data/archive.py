"""Archives that were fetched, unpacked so that nothing lands outside of the folder that it is meant for."""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, final

from nnkit.errors import DataError
from nnkit.storage import make_folder, reporting, write_unpacked

MOST_FILES = 3_000_000  # ImageNet has 1.4 million


@final
@dataclass(frozen=True, slots=True)
class _Entry:
    """What an archive says of one of its entries."""

    name: str
    kind: str  # file, folder, or what it must not be
    size: int


def unpack(archive: Path, into: Path, *, most_bytes: int | None = None, most_files: int = MOST_FILES) -> None:
    """Unpack a tar or a zip archive: files and folders alone, below a folder.

    Args:
        archive: the file.
        into: the folder; it is made where it is not there.
        most_bytes: of all files together; None for what the disk has room for.
        most_files: in it.

    Raises:
        DataError: an entry leads elsewhere or is no file, there are too many, or they are too large, or it is damaged.
        StorageError: the file system refused.
    """
    make_folder(into)
    root, names = into.resolve(), 0
    with reporting("look at", into):
        left = shutil.disk_usage(root).free if most_bytes is None else most_bytes
    try:
        for entry, content in _entries(archive):
            names, left = names + 1, left - entry.size
            if left < 0 or names > most_files:
                what = f"{names:,} entries" if names > most_files else "more bytes than there is room for"
                raise DataError(f"{archive} has {what}, at {entry.name}", hint="is it the right file?")
            path = _place(entry, root, archive)
            make_folder(path if entry.kind == "folder" else path.parent)
            if not path.parent.resolve().is_relative_to(root):
                raise DataError(f"{archive}: {entry.name} lies behind a link")
            if entry.kind == "file":
                assert content is not None
                write_unpacked(path, content, entry.size)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{archive} cannot be unpacked: {error}") from error


def _place(entry: _Entry, root: Path, archive: Path) -> Path:
    """Return where an entry goes. Raises: DataError, where that is elsewhere, or it is neither file nor folder."""
    if entry.kind not in ("file", "folder"):
        raise DataError(f"{archive}: {entry.name} is {entry.kind}", hint="only files and folders are unpacked")
    name = PurePosixPath(entry.name.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or ":" in name.parts[:1] or "\0" in entry.name:
        raise DataError(f"{archive}: {entry.name!r} leads out of the folder", hint="is it the right file?")
    return root / name


def _entries(archive: Path) -> Iterator[tuple[_Entry, IO[bytes] | None]]:
    """Yield what is in an archive, with the open content of the files."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for each in opened.infolist():
                is_link = stat.S_ISLNK(each.external_attr >> 16)
                kind = "a link" if is_link else "folder" if each.is_dir() else "file"
                with opened.open(each) as content:
                    yield _Entry(each.filename, kind, each.file_size), content
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            other = "a link" if member.issym() or member.islnk() else "a device"
            kind = "file" if member.isfile() else "folder" if member.isdir() else other
            yield _Entry(member.name, kind, member.size), tar.extractfile(member) if kind == "file" else None


@contextmanager
def unpacked_by_us() -> Iterator[None]:
    """Let torchvision unpack what it fetches by `unpack`; not all of it has a sum that it would compare before."""
    from torchvision.datasets import utils

    extractors: dict[str, Any] = utils._ARCHIVE_EXTRACTORS
    before = dict(extractors)

    def extract(archive: Any, into: Any, _: str | None) -> None:
        unpack(Path(archive), Path(into))

    extractors.update(dict.fromkeys(before, extract))
    try:
        yield
    finally:
        extractors.update(before)
