"""The IDX files that MNIST and Fashion-MNIST come in, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.errors import DataError
from nnkit.regular import open_regular, read_regular, refuse_too_large

_UNSIGNED_BYTES = 0x08


def idx_file(folder: Path, name: str) -> Path | None:
    """Return the path of an IDX file in a folder, with or without .gz, or None where there is neither."""
    return next((path for end in ("", ".gz") if (path := folder / f"{name}{end}").is_file()), None)


def read_idx(path: Path) -> Any:
    """Return the array of an IDX file, uint8.

    Raises:
        DataError: the file is cut short, or is not an IDX file of unsigned bytes.

    Source: the format's description on the MNIST page (LeCun, Cortes, Burges).
    """
    try:
        data = _unpacked(path) if path.suffix == ".gz" else read_regular(path)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _UNSIGNED_BYTES:
        raise DataError(f"{path} is not an IDX file of unsigned bytes")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataError(f"{path} is cut short: it has {len(data)} bytes")
    shape = struct.unpack(f">{data[3]}I", data[4:start])
    if len(data) != start + math.prod(shape):
        raise DataError(f"{path} has {len(data) - start} bytes of values, but its head says {math.prod(shape)}")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    """Return a packed file, up to one byte more than its head says that it has: a bomb goes on for long behind it."""
    with open_regular(path) as packed, gzip.open(packed) as file:
        head = file.read(4)
        sizes = file.read(4 * head[3]) if len(head) == 4 and head[2] == _UNSIGNED_BYTES else b""
        promised = math.prod(struct.unpack(f">{len(sizes) // 4}I", sizes[: len(sizes) // 4 * 4]))
        refuse_too_large(f"{path} says in its head that it unpacks to", promised)
        return head + sizes + file.read(promised + 1)
