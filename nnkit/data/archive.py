"""Archives that were fetched, unpacked so that nothing lands outside of the folder that it is meant for."""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, Self, final

from nnkit.errors import DataError
from nnkit.storage import make_folder, reporting, write_unpacked

MOST_FILES = 3_000_000  # ImageNet has 1.4 million
LARGEST_HEADER = 1 << 20  # bytes of what a tar tells of one entry beside its block, which tarfile reads at once
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
LONGEST_END = 1 << 24  # bytes behind the last entry: a tar is filled up to a block
_DAMAGED: tuple[type[Exception], ...] = (tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error)
_DAMAGED += (lzma.LZMAError, EOFError, ValueError, RuntimeError, NotImplementedError)


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
            make_folder(path if entry.kind == "folder" else path.parent, lasting=False)
            if not path.parent.resolve().is_relative_to(root):
                raise DataError(f"{archive}: {entry.name} lies behind a link")
            if entry.kind == "file":
                assert content is not None
                write_unpacked(path, content, entry.size)
    except _DAMAGED as error:
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
    with tarfile.open(archive, tarinfo=_Member) as tar:
        for member in tar:
            vars(tar)["members"].clear()  # it keeps them all
            other = "a link" if member.issym() or member.islnk() else "a device"
            kind = "file" if member.isfile() else "folder" if member.isdir() else other
            yield _Entry(member.name, kind, member.size), tar.extractfile(member) if kind == "file" else None
        assert tar.fileobj is not None
        left = LONGEST_END
        while piece := tar.fileobj.read(1 << 20):  # to its end, where the sum of what was packed stands
            if (left := left - len(piece)) < 0:
                raise ValueError("it goes on behind its last entry")


class _Member(tarfile.TarInfo):
    """An entry whose extended header is of a size that such headers have."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Return an entry. Raises: ValueError, its header goes on for longer than any path does."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > LARGEST_HEADER:
            raise ValueError(f"it has a header of {found.size:,} bytes")
        return found


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
