"""Writes small picture files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.data.images import Files


def made(height: int, width: int, channels: int = 3, *, seed: int = 0) -> Any:
    """Return random pixels, (H, W) or (H, W, C) uint8."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_picture(path: Path, pixels: Any, **options: Any) -> Path:
    """Write pixels, (H, W) or (H, W, C), and the folder; return the path."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def write_classes(root: Path, counts: Mapping[str, int], *, height: int = 5, width: int = 4) -> None:
    """Write so many grey PNG files, 0.png, 1.png, …, in each folder; no two are alike."""
    for k, (folder, count) in enumerate(counts.items()):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            write_picture(root / folder / f"{number}.png", made(height, width, 1, seed=1000 * k + number))


def png_of_size(width: int, height: int) -> bytes:
    """Return a PNG whose header promises so many grey pixels, of which none follows."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def files_of(root: Path, *names: str) -> Files:
    """Return the named files as they are now; without names, all that lie below root."""
    paths = names or tuple(sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()))
    facts = [(root / path).stat() for path in paths]
    sizes, mtimes = ([getattr(f, name) for f in facts] for name in ("st_size", "st_mtime_ns"))
    return Files(root, paths, np.array(sizes, np.int64), np.array(mtimes, np.int64))
