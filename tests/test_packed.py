"""What torch.save has written, unpacked as data."""

from __future__ import annotations

import io
import pickle
import zipfile
from typing import Any

import pytest
import torch

from nnkit.packed import unpacked
from tests.finished import Bomb


def saved(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_containers_and_tensors_come_back() -> None:
    found = unpacked(saved({"a": torch.arange(3), "b": [1, None]}))
    assert found["b"] == [1, None]
    assert torch.equal(found["a"], torch.arange(3))


def repacked(data: bytes, compression: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    return file.getvalue()


def test_what_is_compressed_was_not_written_by_torch() -> None:
    data = saved({"a": torch.zeros(100)})
    assert torch.equal(unpacked(repacked(data, zipfile.ZIP_STORED))["a"], torch.zeros(100))
    with pytest.raises(ValueError, match="it is compressed"):
        unpacked(repacked(data, zipfile.ZIP_DEFLATED))


def test_parts_are_not_larger_than_the_whole() -> None:
    data = bytearray(saved({"a": torch.zeros(100)}))
    first = data.index(b"PK\x01\x02") + 24
    data[first : first + 4] = (1 << 30).to_bytes(4, "little")
    with pytest.raises(ValueError, match="its parts are larger than the whole"):
        unpacked(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pickle.dumps(Bomb()), "File is not a zip file"),
        (saved({"a": Bomb()}), r"^Unsupported global: GLOBAL getattr was not an allowed global by default$"),
        (saved([1, 2]), "it holds a list"),
        (b"", "File is not a zip file"),
    ],
)
def test_anything_else_is_no_state(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpacked(data)
