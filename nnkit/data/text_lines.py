"""Whole files of text: decoded, with one kind of line end, and the text files of a folder."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from nnkit.data.opened import decoded, num_lines, read_pieces, text_codec
from nnkit.data.tables import found_files
from nnkit.errors import DataError
from nnkit.machine import available_bytes
from nnkit.regular import refuse_too_large

PIECE_BYTES = 1 << 20
_PACKED = (".gz", ".bz2", ".zst", ".lz4")
_MOST_NAMES = 5
COPIES = 8  # of a text, while it is decoded and cut into tokens


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a file, unpacked, without their ends; not decoded yet.

    Raises:
        DataError: it cannot be read, or has two bytes a sign.
    """
    data = _joined(read_pieces(path, PIECE_BYTES, str(path)), str(path))
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{path} is written in utf-16", hint="save it as utf-8")
    return _one_line_end(data.removeprefix(codecs.BOM_UTF8)).split(b"\n")


def read_whole(path: Path | BinaryIO, encoding: str) -> str:
    """Return the text of a file or of standard input, unpacked, in which every line ends with a line feed alone.

    Lines end where editors end them: the separators of Unicode, such as U+2028 and U+0085, are left in the line.

    Raises:
        DataError: it cannot be read, or is no text in the encoding (with line and byte).
        ConfigError: the encoding is not known.
    """
    name, codec = str(path) if isinstance(path, Path) else "standard input", text_codec(encoding)
    data = _one_line_end(_joined(decoded(read_pieces(path, PIECE_BYTES, name), codec, name), name))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        place = error.start - before.rfind(b"\n")
        where = f"{name}, line {num_lines(before) + 1}, byte {place} of it"
        hint = "data.encoding=latin-1, or what the file is written in"
        raise DataError(f"{where}: 0x{data[error.start]:02x} is not {encoding} text", hint=hint) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{name}, line {line}: a byte of zero", hint="data.encoding=utf-16, or no text file")
    return text


def _joined(pieces: Iterator[bytes], name: str) -> bytes:
    """Return the pieces as one. Raises: OutOfMemoryError, as soon as what is made of them would not fit in memory."""
    found, size, most = [], 0, available_bytes()
    for piece in pieces:
        size += len(piece) * COPIES
        if size > most:  # asking the system for each piece would cost more than reading it
            refuse_too_large(f"{name} unpacks, with the copies that are made of it, to at least", size)
        found.append(piece)
    return b"".join(found)


def _one_line_end(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def unpacked_name(path: Path) -> str:
    """Return a file's name without the ending of what packs it."""
    return path.stem if path.suffix.lower() in _PACKED else path.name


def is_text_file(path: Path) -> bool:
    """Tell whether a file is called .txt, packed or not."""
    return not path.name.startswith(".") and unpacked_name(path).lower().endswith(".txt")


def text_files(word: str) -> tuple[list[Path], list[str]]:
    """Return the files that a setting names, in the order of their names, and what was left out.

    Args:
        word: a file, a glob, or a folder, of which the .txt files are meant.

    Raises:
        DataError: there is none, or a folder cannot be read.
    """
    paths = found_files(word)
    if len(paths) > 1 or not paths[0].is_dir():
        return paths, []
    files, others = text_files_of(paths[0])
    if not files:
        raise DataError(f"{paths[0]} has no .txt file", hint="data.path=FILE, or a folder of .txt files")
    return files, others


def text_files_of(folder: Path) -> tuple[list[Path], list[str]]:
    """Return the .txt files that lie in a folder, by name, and the names of all else in it. Raises: DataError."""
    files: list[Path] = []
    others: list[str] = []
    for path in entries_of(folder):
        if is_text_file(path) and path.is_file():
            files.append(path)
        else:
            others.append(path.name)
    return files, others


def entries_of(folder: Path) -> list[Path]:
    """Return what a folder holds, by name. Raises: DataError."""
    try:
        return [folder / name for name in sorted(os.listdir(folder))]  # noqa: PTH208 - plain names sort alike everywhere
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def left_out(names: Sequence[str], is_what: str, are_what: str) -> tuple[str, ...]:
    """Return the note on files that are left out; none without any."""
    if not names:
        return ()
    shown = ", ".join(sorted(names)[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return (f"{len(names)} {is_what if len(names) == 1 else are_what}, left out: {shown}",)
