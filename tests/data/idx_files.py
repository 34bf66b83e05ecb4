"""Writes files in the IDX format of MNIST."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np


def idx_bytes(values: Any) -> bytes:
    """Return what an IDX file of these bytes holds: two zeros, type 8, dimensions, sizes (big-endian), values."""
    values = np.asarray(values, dtype=np.uint8)
    return struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape) + values.tobytes()


def write_idx(path: Path, values: Any) -> None:
    """Write the file, gzipped where the name says so, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = idx_bytes(values)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_images(folder: Path, part: str, *, images: Any, labels: Any, end: str = "") -> None:
    """Write images and labels of a part, train or t10k, under the names of MNIST."""
    write_idx(folder / f"{part}-images-idx3-ubyte{end}", images)
    write_idx(folder / f"{part}-labels-idx1-ubyte{end}", labels)
