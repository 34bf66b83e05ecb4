"""Data files that a stranger has prepared."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.sent_folders import GIB, Bomb, zip_bomb
from tests.faults.strangers import CANARY, Attack, apart, cases_of
from tests.faults.survival import Promise

TRAIN = ["train", "model.hidden=[2]", "trainer.max_epochs=1"]


def gz_bomb(head: bytes, size: int, byte: bytes = b"\0") -> bytes:
    """A gzip file of `head` and so many equal bytes, made without packing them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(byte * (16 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08" + bytes(7) + start + block * (size // (16 << 20)) + b"\x03\x00" + bytes(8)


def npy(shape: str, data: bytes = b"") -> bytes:
    """An .npy file whose head says this shape."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data


def npz_of_objects(canary: Path) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([Bomb(canary)], dtype=object), y=np.zeros(1))
    return file.getvalue()


def _npy_of_objects(canary: Path) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Bomb(canary)], dtype=object))
    return file.getvalue()


def loads(load: Callable[[bytes], Any], pattern: str) -> Callable[[Path], bool]:
    @apart
    def is_live(work: Path) -> bool:
        try:
            load(next(iter(sorted(work.glob(pattern)))).read_bytes())
        except Exception:  # noqa: BLE001 - what it does is done by then
            return (work.parent / CANARY).exists()
        return (work.parent / CANARY).exists()

    return is_live


def objects(data: bytes) -> Any:
    found = np.load(io.BytesIO(data), allow_pickle=True)
    return found["x"] if isinstance(found, np.lib.npyio.NpzFile) else found


def _unpacks(name: str) -> Callable[[Path], bool]:
    """Whether a packed file goes on for longer than memory lasts."""

    def is_live(work: Path) -> bool:
        size, packed = 0, (work / name).stat().st_size
        with gzip.open(work / name) as file:
            while size < 64 << 20 and (piece := file.read(1 << 20)):
                size += len(piece)
        return size >= 64 << 20 > 100 * packed / 48

    return is_live


def put(name: str, make: Callable[[Path], bytes], words: list[str]) -> Callable[[Path], list[str]]:
    def send(work: Path) -> list[str]:
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(make(work.parent / CANARY))
        return [*TRAIN, *words]

    return send


def _packed(head: bytes, byte: bytes = b"\0") -> Callable[[Path], bytes]:
    return lambda _: gz_bomb(head, 3 * GIB, byte)


def attacks() -> Iterator[Attack]:
    """All of them."""
    array, table = ["data=array", "data.path=sent.npz"], ["data=table", "data.path=sent.csv.gz", "data.target=b"]
    yield Attack("an .npz of objects", put("sent.npz", npz_of_objects, array), loads(objects, "sent.npz"))
    pair = ["data=array", "data.path=sent.npy", "data.target_path=sent.npy"]
    yield Attack("an .npy of objects", put("sent.npy", _npy_of_objects, pair), loads(objects, "sent.npy"))
    yield Attack(
        "a pickle as .npy",
        put("sent.npy", lambda canary: pickle.dumps(Bomb(canary)), pair),
        loads(objects, "sent.npy"),
    )
    bomb = npy(f"({3 * GIB // 16}, 4)")
    yield Attack(
        "an .npz bomb",
        put("sent.npz", lambda _: zip_bomb("x.npy", 3 * GIB, bomb, {"y.npy": npy("(1,)", bytes(4))}), array),
        lambda work: (work / "sent.npz").stat().st_size < GIB // 100,
    )
    yield Attack("an .npy head of 10^15", put("sent.npy", lambda _: npy(f"({10**15},)"), pair), lambda _: True)
    yield Attack("an .npy head of -1", put("sent.npy", lambda _: npy("(-1, 4)"), pair), lambda _: True)
    images = struct.pack(">4B3I", 0, 0, 8, 3, 100, 5, 5)
    idx = ["data=idx", "data.path=sent-images.gz", "data.target_path=sent-images.gz"]
    yield Attack("an IDX bomb", put("sent-images.gz", _packed(images), idx), _unpacks("sent-images.gz"))
    large = struct.pack(">4B3I", 0, 0, 8, 3, 1 << 31, 1 << 10, 1 << 10)
    yield Attack("an IDX head of 2^51", put("sent-images.gz", _packed(large), idx), _unpacks("sent-images.gz"))
    yield Attack(
        "a table of one endless line", put("sent.csv.gz", _packed(b"a,b\n", b"x"), table), _unpacks("sent.csv.gz")
    )
    yield Attack("a table of one endless quote", put("sent.csv.gz", _packed(b'a,b\n"'), table), _unpacks("sent.csv.gz"))
    text = ["data=text", "data.path=sent.txt.gz", "data.task=language", "model=gru", "model.hidden_size=2"]
    text = [TRAIN[0], TRAIN[2], *text]
    yield Attack(
        "a text of one endless line",
        lambda work: (put("sent.txt.gz", _packed(b"a b\n", b"x"), [])(work), text)[1],
        _unpacks("sent.txt.gz"),
    )
    series = ["train", "trainer.max_epochs=1", "data=ts", "data.path=sent.ts.gz", "model=gru", "model.hidden_size=2"]
    head = b"@problemName t\n@univariate true\n@classLabel true a b\n@data\n"
    yield Attack(
        "a series of one endless line",
        lambda work: (put("sent.ts.gz", _packed(head, b"1"), [])(work), series)[1],
        _unpacks("sent.ts.gz"),
    )
    cifar = ["data=cifar10", "data.root=sets", "model=mlp"]
    for name in ("data_batch_1", "batches.meta"):
        yield Attack(
            f"CIFAR-10 with a pickle as {name}",
            put(f"sets/cifar-10-batches-py/{name}", lambda canary: pickle.dumps(Bomb(canary)), cifar),
            loads(pickle.loads, f"sets/cifar-10-batches-py/{name}"),
        )

    def mnist(work: Path) -> list[str]:
        for name in ("training.pt", "test.pt"):
            put(f"sets/MNIST/processed/{name}", lambda canary: pickle.dumps(Bomb(canary), protocol=2), [])(work)
        return [*TRAIN, "data=torchvision", "data.dataset=MNIST", "data.root=sets"]

    yield Attack("MNIST as torchvision stored it once", mnist, loads(pickle.loads, "sets/MNIST/processed/*"))

    def pipe(work: Path) -> list[str]:
        os.mkfifo(work / "sent.npz")
        return [*TRAIN, *array]

    yield Attack("a pipe", pipe, lambda work: (work / "sent.npz").is_fifo())
    for name, words in {"sent.npz": array, "sent.csv": ["data=table", "data.path=sent.csv", "data.target=b"]}.items():

        def link(work: Path, name: str = name, words: list[str] = words) -> list[str]:
            (work / name).symlink_to("/dev/zero")
            return [*TRAIN, *words]

        yield Attack(f"{name} that never ends", link, lambda work, name=name: (work / name).is_char_device())  # type: ignore[misc]


def cases(count: int) -> Iterator[str | None]:
    """Try them all."""
    yield from cases_of(list(attacks()))(count)


DATA = Promise(
    name="sent-data",
    text="data files of strangers: pickles, bombs, pipes and devices are refused",
    cases=cases,
    in_ci=100,
    in_soak=100,
    at_least=15,
)
