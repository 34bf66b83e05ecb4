"""The bytes of a text file, unpacked and as UTF-8, piece by piece."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from nnkit.config.synonyms import nearest
from nnkit.errors import ConfigError, DataError

_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_REFUSED = {
    b"PK\x03\x04": ("a zip archive, or an Excel workbook", "unpack it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook", "save the sheet as CSV"),
    b"PAR1": ("a Parquet file", "name it .parquet"),
    b"\xfd7zXZ": ("packed by xz", "unpack it"),
}


def read_pieces(path: Path | BinaryIO, size: int, name: str) -> Iterator[bytes]:
    """Yield a file's bytes, unpacked if it is packed. Raises: DataError."""
    try:
        with _opened(path) if isinstance(path, Path) else nullcontext(path) as file:
            while piece := file.read(size):
                yield piece
    except (OSError, EOFError, ValueError) as error:  # also a packed file that is cut short, or a zero in a path
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
        raise DataError(f"{name} cannot be read: {reason}") from error


def _opened(path: Path) -> Any:
    import pyarrow as pa

    if path.is_dir():
        raise DataError(f"{path} is a folder", hint=f"'data.path={path}/*.csv', or data=images")
    if not path.exists():
        raise not_there(path)
    if not path.is_file():  # a pipe would lose what is looked at first
        raise DataError(f"{path} is no ordinary file", hint="write it to a file first")
    with path.open("rb") as file:
        start = file.read(8)
    for mark, (what, hint) in _REFUSED.items():
        if start.startswith(mark):
            raise DataError(f"{path} is {what}, not text", hint=hint)
    packed = next((name for mark, name in _PACKED.items() if start.startswith(mark)), None)
    return pa.input_stream(str(path), compression=packed)


def not_there(path: Path) -> DataError:
    """Return the error of a file that is missing, with the name beside it that is most like it."""
    try:
        near = nearest(path.name, [each.name for each in path.parent.iterdir()])
    except OSError:
        near = None
    return DataError(f"{path} is not there", hint=f"did you mean {path.parent / near}?" if near else "data.path=FILE")


def text_codec(name: str) -> str:
    """Return the standard name of an encoding of text. Raises: ConfigError."""
    try:
        found = codecs.lookup(name).name
        codecs.getincrementaldecoder(found)("strict").decode("a,b\n".encode(found))
    except (LookupError, ValueError, TypeError):  # also codecs that turn bytes into bytes
        raise ConfigError(f"data.encoding={name} is not known", hint="data.encoding=utf-8, or latin-1") from None
    return found


def decoded(pieces: Iterator[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Yield a file's bytes as UTF-8, without a byte-order mark.

    Raises: DataError, naming the line of what cannot be decoded (for UTF-8, `cut_blocks` does).
    """
    first = next(pieces, b"")
    marks = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    marked = marks.get(first[:2])
    if encoding in ("utf-8", "utf-8-sig"):
        if marked is not None:
            raise DataError(f"{name} is written in {marked}", hint=f"data.encoding={marked}")
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from pieces
        return
    decoder, line = codecs.getincrementaldecoder(encoding)("strict"), 1
    try:
        for piece, is_last in with_last(first, pieces):
            data = decoder.decode(piece, is_last).removeprefix("\ufeff" if line == 1 else "").encode()
            line += num_lines(data)
            yield data
    except UnicodeDecodeError as error:
        line += num_lines(error.object[: error.start].decode(encoding, "replace").encode("utf-8", "replace"))
        raise undecodable(name, line, encoding) from None
    except UnicodeError as error:
        raise DataError(f"{name} cannot be read as {encoding}: {error}") from None


def with_last(first: bytes, rest: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each piece, and whether it is the last one."""
    for following in rest:
        yield first, False
        first = following
    yield first, True


def undecodable(name: str, line: int, encoding: str) -> DataError:
    """Return the error of a line that is no text in the encoding."""
    hint = "data.encoding=latin-1, or what the file is written in"
    return DataError(f"{name}, line {line}: not {encoding} text", hint=hint)


def num_lines(data: bytes) -> int:
    """Return how many lines end in the data."""
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def without_lines(pieces: Iterator[bytes], count: int) -> Iterator[bytes]:
    """Yield the pieces of UTF-8 without their first lines."""
    data = b""
    for piece in pieces:
        data += piece
        lines = data.splitlines(keepends=True)
        if len(lines) > count + 1:  # so that the last of them is whole
            yield data[sum(len(line) for line in lines[:count]) :]
            yield from pieces
            return
    yield b"".join(data.splitlines(keepends=True)[count:])
