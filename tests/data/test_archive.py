"""Archives: what is in them lands in its folder, and nothing anywhere else."""

from __future__ import annotations

import gzip
import io
import random
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nnkit.data.archive import LONGEST_END, unpack, unpacked_by_us
from nnkit.errors import DataError, StorageError

ARCHIVE, INTO, OUTSIDE = Path("sent"), Path("into"), Path("outside")


def tar(*members: tuple[str, bytes, int, str], mode: str = "w") -> None:
    """Write a tar of members: name, type, size, what a link leads to."""
    with tarfile.open(ARCHIVE, mode) as archive:  # type: ignore[call-overload]
        for name, kind, size, target in members:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size, entry.linkname = kind, size, target
            archive.addfile(entry, io.BytesIO(b"x" * size))


def zip_of(names: dict[str, bytes], mode: int = stat.S_IFREG) -> None:
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in names.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (mode | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


def header_bomb(kind: bytes) -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, 1 << 31
    ARCHIVE.write_bytes(gzip.compress(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20)))


def flipped(mode: str, place: int) -> None:
    """Write a packed tar of a file of noise, with one byte that is another one."""
    noise = random.Random(0).randbytes(100_000)
    with tarfile.open(ARCHIVE, mode) as archive:  # type: ignore[call-overload]
        entry = tarfile.TarInfo("x")
        entry.size = len(noise)
        archive.addfile(entry, io.BytesIO(noise))
    data = bytearray(ARCHIVE.read_bytes())
    data[place] ^= 0xFF
    ARCHIVE.write_bytes(data)


def long_end() -> None:
    tar(("x", tarfile.REGTYPE, 3, ""))
    ARCHIVE.write_bytes(gzip.compress(ARCHIVE.read_bytes() + bytes(LONGEST_END + (1 << 20)), 1))


FILE, LINK, HARD, FOLDER = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
HOSTILE: dict[str, tuple[Callable[[], None], str]] = {
    "a file above": (lambda: tar(("../outside/x", FILE, 3, "")), "leads out of the folder"),
    "a file above, further down": (lambda: tar(("a/../../outside/x", FILE, 3, "")), "leads out of the folder"),
    "a file with a root": (lambda: tar((str(OUTSIDE.absolute() / "x"), FILE, 3, "")), "leads out of the folder"),
    "a folder above": (lambda: tar(("../outside/y", FOLDER, 0, "")), "leads out of the folder"),
    "a link": (lambda: tar(("x", LINK, 0, "../outside")), "x is a link"),
    "a file behind a link": (lambda: tar(("x", LINK, 0, "../outside"), ("x/y", FILE, 3, "")), "x is a link"),
    "a second name": (lambda: tar(("x", HARD, 0, "../outside/own")), "x is a link"),
    "a device": (lambda: tar(("x", tarfile.CHRTYPE, 0, "")), "x is a device"),
    "a pipe": (lambda: tar(("x", tarfile.FIFOTYPE, 0, "")), "x is a device"),
    "a packed file above": (lambda: tar(("../outside/x", FILE, 3, ""), mode="w:gz"), "leads out of the folder"),
    "a zipped file above": (lambda: zip_of({"../outside/x": b"x"}), "leads out of the folder"),
    "a zipped file above, as Windows writes it": (lambda: zip_of({"..\\outside\\x": b"x"}), "leads out of the folder"),
    "a zipped file with a root": (lambda: zip_of({"/tmp/outside/x": b"x"}), "leads out of the folder"),
    "a zipped link": (lambda: zip_of({"x": b"../outside"}, stat.S_IFLNK), "x is a link"),
    "more than there is room for": (lambda: zip_of({"x": bytes(2_000_000)}), "more bytes than there is room for, at x"),
    "more in a tar than there is room for": (lambda: tar(("x", FILE, 2_000_000, "")), "more bytes than there is room"),
    "many small files": (lambda: zip_of({f"{k}": b"" for k in range(101)}), "has 101 entries, at 100"),
    "a header of gigabytes": (lambda: header_bomb(tarfile.XHDTYPE), "it has a header of 2,147,483,648 bytes"),
    "a name of gigabytes": (lambda: header_bomb(tarfile.GNUTYPE_LONGNAME), "it has a header of 2,147,483,648 bytes"),
    "a packed file that is damaged": (lambda: flipped("w:gz", -2000), "cannot be unpacked"),
    "a packed file with another sum": (lambda: flipped("w:gz", -6), "cannot be unpacked"),
    "a file packed by xz that is damaged": (lambda: flipped("w:xz", -2000), "cannot be unpacked"),
    "an end that goes on": (lambda: long_end(), "it goes on behind its last entry"),
    "no archive": (lambda: ARCHIVE.write_bytes(b"hello") and None, "cannot be unpacked"),  # type: ignore[func-returns-value]
}


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_lands_outside_or_beyond_the_limits(name: str) -> None:
    OUTSIDE.mkdir()
    (OUTSIDE / "own").write_text("own")
    make, message = HOSTILE[name]
    make()
    with pytest.raises(DataError, match=message):
        unpack(ARCHIVE, INTO, most_bytes=1_000_000, most_files=100)
    assert [path.name for path in OUTSIDE.iterdir()] == ["own"]
    assert (OUTSIDE / "own").read_text() == "own"
    assert all(path.is_file() or path.is_dir() for path in INTO.rglob("*"))


def test_a_link_that_is_there_already_is_not_followed() -> None:
    OUTSIDE.mkdir()
    INTO.mkdir()
    (INTO / "a").symlink_to(OUTSIDE.absolute())
    zip_of({"a/x": b"x"})
    with pytest.raises(DataError, match="a/x lies behind a link"):
        unpack(ARCHIVE, INTO)
    zip_of({"b": b"x"})
    (INTO / "b").symlink_to(OUTSIDE.absolute() / "b")
    with pytest.raises(StorageError, match="cannot write"):
        unpack(ARCHIVE, INTO)
    assert not list(OUTSIDE.iterdir())


def test_what_is_larger_than_its_archive_says_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    zip_of({"x": b"0123456789"})
    data = bytearray(ARCHIVE.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # the size, in the list at the end
    data[at : at + 4] = (3).to_bytes(4, "little")
    ARCHIVE.write_bytes(data)
    with pytest.raises((DataError, StorageError)):
        unpack(ARCHIVE, INTO)
    assert (INTO / "x").stat().st_size <= 3


@pytest.mark.parametrize("make", [lambda: tar(("a/b", FILE, 3, ""), mode="w:gz"), lambda: zip_of({"a/b": b"xxx"})])
def test_what_is_sound_is_unpacked_by_torchvision_through_us(
    make: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets.utils import extract_archive

    make()
    is_zip = zipfile.is_zipfile(ARCHIVE)
    sent = ARCHIVE.rename("sent.zip" if is_zip else "sent.tar.gz")
    with unpacked_by_us():
        extract_archive(str(sent), str(INTO))
    assert (INTO / "a" / "b").read_bytes() == b"xxx"


def test_torchvision_unpacks_nothing_hostile() -> None:
    from torchvision.datasets.utils import extract_archive

    tar(("../outside-of-it", FILE, 3, ""))
    sent = ARCHIVE.rename("sent.tar")
    with unpacked_by_us(), pytest.raises(DataError, match="leads out of the folder"):
        extract_archive(str(sent), str(INTO))
    assert not Path("outside-of-it").exists()
