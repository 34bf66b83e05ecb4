"""Whole files of text."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import Any

import pytest

from nnkit.data.text_lines import entries_of, read_lines, read_whole, text_files
from nnkit.errors import ConfigError, DataError, OutOfMemoryError
from tests.data.broken_sequences import write_folder

TEXT = "né one\ntwo\u2028still\x85two\x0b\x0c\n\nthree\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (TEXT.encode(), "utf-8"),
        (b"\xef\xbb\xbf" + TEXT.encode(), "utf-8"),
        (TEXT.replace("\n", "\r\n").encode(), "utf-8"),
        (TEXT.replace("\n", "\r").encode(), "utf8"),
        (TEXT.encode("utf-16"), "utf-16"),
        (gzip.compress(TEXT.encode(), mtime=0), "utf-8"),
        (bz2.compress(TEXT.replace("\n", "\r\n").encode("utf-16")), "utf-16"),
    ],
)
def test_files_as_the_world_has_them_are_read_alike(data: bytes, encoding: str) -> None:
    Path("x.txt").write_bytes(data)
    assert read_whole(Path("x.txt"), encoding) == TEXT


def test_the_next_line_of_latin_1_ends_no_line() -> None:
    Path("x").write_bytes(b"caf\xe9 \x85 it\n")
    assert read_whole(Path("x"), "latin-1") == "café \x85 it\n"


@pytest.mark.parametrize("size", [1 << 20, (1 << 20) - 1])
def test_a_line_end_that_is_cut_by_the_reading_is_one(size: int) -> None:
    Path("x").write_bytes(b"a" * size + b"\r\nb")
    assert read_whole(Path("x"), "utf-8") == "a" * size + "\nb"
    assert [len(line) for line in read_lines(Path("x"))] == [size, 1]


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        (b"one\r\ntwo caf\xe9\n", "utf-8", r"x, line 2, byte 8 of it: 0xe9 is not utf-8 text"),
        (b"\xe9", "utf-8", r"x, line 1, byte 1 of it: 0xe9 is not utf-8 text"),
        (b"\xef\xbb\xbfab\xe9", "utf-8", r"x, line 1, byte 3 of it: 0xe9"),
        (b"a\nb\xe9", "ascii", r"x, line 2: not ascii text"),
        ("a\n".encode("utf-16"), "utf-8", r"x is written in utf-16"),
        ("a\nb".encode("utf-16-le"), "utf-8", r"x, line 1: a byte of zero"),
        (b"a\nb\0c", "utf-8", r"x, line 2: a byte of zero"),
        (gzip.compress(b"a" * 10_000, mtime=0)[:-9], "utf-8", r"x cannot be read"),
        (b"PK\x03\x04", "utf-8", r"x is a zip archive"),
    ],
)
def test_what_is_no_text_is_named_with_its_place(data: bytes, encoding: str, message: str) -> None:
    Path("x").write_bytes(data)
    with pytest.raises(DataError, match=message):
        read_whole(Path("x"), encoding)


def test_an_encoding_that_nobody_knows_is_named() -> None:
    Path("x").write_text("a")
    with pytest.raises(ConfigError, match=r"data\.encoding=utf-9 is not known"):
        read_whole(Path("x"), "utf-9")


def test_lines_of_two_bytes_a_sign_are_refused() -> None:
    Path("x").write_bytes("a".encode("utf-16"))
    with pytest.raises(DataError, match="x is written in utf-16"):
        read_lines(Path("x"))


def test_a_folder_means_its_text_files_by_name() -> None:
    write_folder("f", {"b.txt": "b", "a.TXT": "a", "c.txt.gz": "", ".d.txt": "", "LICENSE": "", "e.txt/x": ""})
    files, others = text_files("f")
    assert [path.name for path in files] == ["a.TXT", "b.txt", "c.txt.gz"]
    assert others == [".d.txt", "LICENSE", "e.txt"]
    assert [path.name for path in text_files("f/*.txt")[0]] == ["b.txt", "e.txt"]


def test_a_folder_without_text_files_is_refused(monkeypatch: Any) -> None:
    write_folder("f", {"a.md": "a"})
    with pytest.raises(DataError, match=r"f has no \.txt file"):
        text_files("f")
    with pytest.raises(DataError, match="g cannot be read: No such file or directory"):
        entries_of(Path("g"))


def test_a_text_that_unpacks_to_more_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("a.txt.gz")
    path.write_bytes(gzip.compress(b"a" * 1000))
    for module in ("regular", "data.text_lines"):
        monkeypatch.setattr(f"nnkit.{module}.available_bytes", lambda: 7_999)
    for read in (read_lines, lambda path: read_whole(path, "utf-8")):
        with pytest.raises(OutOfMemoryError, match=r"a\.txt\.gz unpacks, with .*, to at least 8,000 bytes"):
            read(path)
