"""The bytes of text files: packed, in other encodings, of other kinds, or not there."""

from __future__ import annotations

import bz2
import csv
import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnkit.data.delimited import TextFile, TextFormat
from nnkit.errors import ConfigError, DataError
from tests.data.broken_tables import small_blocks
from tests.data.test_delimited import PATH, cells_of, opened, read, written


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "cp1252", "utf-32"])
def test_other_encodings(encoding: str) -> None:
    rows = [[f"größe {i}", "x\ny"] for i in range(50)]
    text = written([["ä", "b"], *rows], ",", "\n", csv.QUOTE_ALL)
    with small_blocks(64):
        file = opened(text.encode(encoding), encoding=encoding)
        assert (cells_of(file), file.head.names) == (rows, ("ä", "b"))
        assert file.line_of(40) == 2 + 2 * 40


@pytest.mark.parametrize(
    ("data", "form", "message"),
    [
        ("a,ö\n1,2\n".encode("latin-1"), {}, "line 1: not utf-8 text"),
        (b"a,b\n" + b"1,2\n" * 300 + "ö,2\n".encode("latin-1"), {}, "line 302: not utf-8 text"),
        (b"a,b\n" + b"1,2\n" * 300 + b"\x81,2\n", {"encoding": "cp1252"}, "line 302: not cp1252 text"),
        ("a,b\n1,2\n".encode("utf-16"), {}, "is written in utf-16"),
        ("a,b\n1,2\n".encode("utf-16")[:-1], {"encoding": "utf-16"}, "line 2: not utf-16 text"),
        (b"\n\na,b\n1\xff,2\n", {"encoding": "utf-8-sig"}, "line 4: not utf-8 text"),
        (b"a,b-\xff\n", {"encoding": "punycode"}, "cannot be read as punycode|not punycode"),
    ],
)
def test_what_is_no_text_is_named_by_its_line(data: bytes, form: dict[str, str], message: str) -> None:
    with small_blocks(100), pytest.raises(DataError, match=message):
        read(data, **form)


@pytest.mark.parametrize("name", ["utf-99", "base64", "undefined", "rot13", "a\0b"])
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.encoding=.* is not known"):
        read("a,b\n", encoding=name)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_files_are_known_by_their_first_bytes(pack: Callable[[bytes], bytes]) -> None:
    assert read(pack(b"a,b\n1,2\n")) == [["1", "2"]]
    data = pack(b"a,b\n" + bytes(range(48, 58)) * 999 + b",2\n")
    with pytest.raises(DataError, match=r"my\.csv cannot be read: "):
        read(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04junk", "a zip archive, or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0junk", "an Excel workbook"),
        (b"PAR1junk", "a Parquet file"),
        (b"\xfd7zXZjunk", "packed by xz"),
    ],
)
def test_files_of_other_kinds_are_named(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"my\.csv is {message}"):
        read(data)


def test_a_missing_file_is_named_with_the_one_that_looks_like_it() -> None:
    PATH.touch()
    with pytest.raises(DataError, match=r"mx\.csv is not there") as raised:
        TextFile(Path("mx.csv").absolute(), TextFormat())
    assert raised.value.problems[0].hint == f"did you mean {PATH.absolute()}?"
    with pytest.raises(DataError, match=r"nothing/like/it is not there") as raised:
        TextFile(Path("nothing/like/it"), TextFormat())
    assert raised.value.problems[0].hint == "data.path=FILE"


def test_a_folder_is_refused() -> None:
    with pytest.raises(DataError, match="is a folder") as raised:
        TextFile(Path.cwd(), TextFormat())
    assert raised.value.problems[0].hint == f"'data.path={Path.cwd()}/*.csv', or data=images"


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(DataError, match="cannot be read"):
        TextFile(Path("x" * 5000), TextFormat())


def test_a_pipe_is_refused_because_it_can_be_read_once() -> None:
    os.mkfifo("pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv is no ordinary file"):
        TextFile(Path("pipe.csv"), TextFormat())
