"""Pictures, masks and Parquet files that a stranger has prepared."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.faults.sent_data import loads, npy, npz_of_objects, objects, put
from tests.faults.sent_folders import GIB, Bomb, zip_bomb
from tests.faults.strangers import CANARY, Attack, cases_of
from tests.faults.survival import Promise

TINY = ["train", "model.hidden=[2]", "trainer.max_epochs=1"]
PICTURES = [*TINY, "data=images", "data.path=sent", "data.cache=null", "trainer.plots=false"]
MASKS = ["train", "trainer.max_epochs=1", "data=masks", "model=unet", "data.images=sent", "data.masks=masks"]
ARRAYS = [*MASKS[:-2], "data.images=sent.npz"]
TABLE = [*TINY, "data=table", "data.path=sent.parquet", "data.target=b"]


def png(width: int, height: int, pixels: bytes, more: bytes = b"") -> bytes:
    """A grey picture whose head says these sides, with packed pixels, and more chunks in front of them."""
    head = _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _zeros(size: int) -> bytes:
    """So many zeros, packed; no sum at their end, which a reader that went so far would miss."""
    packer = zlib.compressobj(9)
    start = packer.flush(zlib.Z_FULL_FLUSH)
    return start + (packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)) * (size >> 24)


def _text_bomb() -> bytes:
    """A chunk of text that unpacks to more than a picture has room for."""
    return _chunk(b"zTXt", b"Comment\0\0" + _zeros(GIB))


def _sound_picture() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(file, "png")
    return file.getvalue()


def _postscript(canary: Path) -> bytes:
    """What Pillow would hand to Ghostscript, which writes the canary."""
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n({canary}) (w) file closefile\n".encode()


def _is_picture(form: str) -> Callable[[Path], bool]:
    """Whether a reader that takes whatever Pillow takes would open it."""

    def is_live(work: Path) -> bool:
        with Image.open(work / "sent" / "a" / "0.png") as picture:
            return picture.format == form

    return is_live


def _says(name: str, *sides: int) -> Callable[[Path], bool]:
    return lambda work: struct.unpack(">2I", (work / name).read_bytes()[16:24]) == sides


def _among_sound(make: Callable[[Path], bytes]) -> Callable[[Path], list[str]]:
    """Send a folder of pictures, the first of which is none of the sound ones."""

    def send(work: Path) -> list[str]:
        for label in "ab":
            for number in range(12):
                put(f"sent/{label}/{number}.png", lambda _: _sound_picture(), [])(work)
        return [*put("sent/a/0.png", make, PICTURES[3:])(work)]

    return send


def _with_mask(make: Callable[[Path], bytes]) -> Callable[[Path], list[str]]:
    """Send a folder of pictures and one of masks, the first of which is none of the sound ones."""

    def send(work: Path) -> list[str]:
        for number in range(12):
            for folder in ("sent", "masks"):
                put(f"{folder}/{number}.png", lambda _: _sound_picture(), [])(work)
        put("masks/0.png", make, [])(work)
        return MASKS

    return send


def _as_link(target: str) -> Callable[[Path], list[str]]:
    def send(work: Path) -> list[str]:
        words = _among_sound(lambda _: b"")(work)
        (work / "sent/a/0.png").unlink()
        (work / "sent/a/0.png").symlink_to(target)
        return words

    return send


def _pipe(work: Path) -> list[str]:
    words = _among_sound(lambda _: b"")(work)
    (work / "sent/a/0.png").unlink()
    os.mkfifo(work / "sent/a/0.png")
    return words


def _list_of_paths(work: Path) -> list[str]:
    """Send a table of pictures, one of which lies outside of its folder."""
    put("../secret.png", lambda _: _sound_picture(), [])(work)
    rows = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(12))
    put("sent.csv", lambda _: f"path,label\n{rows}../secret.png,a\n".encode(), [])(work)
    for number in range(12):
        put(f"{number}.png", lambda _: _sound_picture(), [])(work)
    return [*TINY, "data=images", "data.path=sent.csv", "data.cache=null"]


def _repeated(_: Path) -> bytes:
    """A small Parquet file of a value that is repeated more often than memory has room for."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = 1 << 24
    piece = pa.table({"a": np.zeros(rows, np.int8), "b": np.zeros(rows, np.int8)})
    file = io.BytesIO()
    with pq.ParquetWriter(file, piece.schema, compression="zstd") as writer:
        for _piece in range(9):
            writer.write_table(piece, row_group_size=rows)
    return file.getvalue()


def _long_head(_: Path) -> bytes:
    """A Parquet file whose last bytes say that its head has 2 GiB."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1.0, 2.0], "b": [0, 1]}), file)
    return file.getvalue()[:-8] + struct.pack("<I", (1 << 31) - 1) + b"PAR1"


def _is_small(name: str) -> Callable[[Path], bool]:
    return lambda work: (work / name).stat().st_size < 1 << 25


def _npy_head(shape: tuple[int, ...]) -> bytes:
    return npy(str(shape)).replace(b"<f4", b"|u1")


def _sends(name: str, make: Callable[[Path], bytes], words: list[str]) -> Callable[[Path], list[str]]:
    def send(work: Path) -> list[str]:
        (work / name).write_bytes(make(work.parent / CANARY))
        return words

    return send


def attacks() -> Iterator[Attack]:
    """All of them."""
    huge = (200_000, 200_000)
    yield Attack(
        "a picture of 40,000 megapixels",
        _among_sound(lambda _: png(*huge, _zeros(1 << 24))),
        _says("sent/a/0.png", *huge),
    )
    large = (6_500, 6_500)
    yield Attack("a picture of 42 megapixels", _among_sound(lambda _: png(*large, b"")), _says("sent/a/0.png", *large))
    yield Attack(
        "a picture with a text of a gibibyte",
        _among_sound(lambda _: png(8, 8, zlib.compress(bytes(72)), _text_bomb())),
        _is_small("sent/a/0.png"),
    )
    yield Attack("PostScript as a picture", _among_sound(_postscript), _is_picture("EPS"))
    endless = {"is_live": lambda work: not (work / "sent/a/0.png").is_file(), "codes": (0,)}  # passed over, not opened
    yield Attack("a picture that never ends", _as_link("/dev/zero"), **endless)
    yield Attack("a pipe as a picture", _pipe, **endless)
    yield Attack(
        "a list of pictures that leads out of its folder",
        _list_of_paths,
        lambda work: (work / "../secret.png").exists(),
    )
    yield Attack(
        "a mask of 40,000 megapixels", _with_mask(lambda _: png(*huge, _zeros(1 << 24))), _says("masks/0.png", *huge)
    )
    yield Attack(
        "a pickle as a mask",
        _with_mask(lambda canary: pickle.dumps(Bomb(canary))),
        loads(pickle.loads, "masks/0.png"),
    )
    yield Attack("masks of objects", _sends("sent.npz", npz_of_objects, ARRAYS), loads(objects, "sent.npz"))
    head = _npy_head((3 * GIB // 4096, 64, 64))
    yield Attack(
        "an .npz bomb of pictures",
        _sends(
            "sent.npz", lambda _: zip_bomb("x.npy", 3 * GIB, head, {"y.npy": _npy_head((1, 8, 8)) + bytes(64)}), ARRAYS
        ),
        lambda work: (work / "sent.npz").stat().st_size < GIB // 100,
    )
    yield Attack(
        "a Parquet file of 150 million rows", _sends("sent.parquet", _repeated, TABLE), _is_small("sent.parquet"), (7,)
    )
    yield Attack("a Parquet file with a head of 2 GiB", _sends("sent.parquet", _long_head, TABLE), lambda _: True)


def cases(count: int) -> Iterator[str | None]:
    """Try them all."""
    yield from cases_of(list(attacks()))(count)


PICTURE_FILES = Promise(
    name="sent-pictures",
    text="pictures, masks and Parquet files of strangers: pickles, bombs, pipes, devices and PostScript are refused",
    cases=cases,
    in_ci=100,
    in_soak=100,
    at_least=13,
)
