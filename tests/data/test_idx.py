"""The IDX files that MNIST comes in."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data.idx import idx_file, read_idx
from nnkit.errors import DataError, OutOfMemoryError
from tests.data.idx_files import idx_bytes, write_idx

PATH = Path("images-idx3-ubyte")


@given(shape=st.lists(st.integers(0, 5), min_size=1, max_size=4), end=st.sampled_from(["", ".gz"]))
def test_what_was_written_is_read(shape: list[int], end: str) -> None:
    values = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    path = Path(f"values{end}")
    write_idx(path, values)
    np.testing.assert_array_equal(read_idx(path), values)


def test_torchvision_reads_the_same_values() -> None:
    from torchvision.datasets.mnist import read_image_file

    values = np.random.default_rng(0).integers(0, 256, (3, 4, 5), dtype=np.uint8)
    write_idx(PATH, values)
    np.testing.assert_array_equal(read_idx(PATH), read_image_file(str(PATH)).numpy())


def test_a_file_is_found_plain_or_gzipped_and_plain_first() -> None:
    folder = Path()
    assert idx_file(folder, "a") is None
    write_idx(folder / "a.gz", [1])
    assert idx_file(folder, "a") == folder / "a.gz"
    write_idx(folder / "a", [2])
    assert idx_file(folder, "a") == folder / "a"


WHOLE = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an IDX file of unsigned bytes"),
        (b"<html>not found</html>", "is not an IDX file of unsigned bytes"),
        (b"\0\0\x0d" + WHOLE[3:], "is not an IDX file of unsigned bytes"),
        (WHOLE[:10], "is cut short: it has 10 bytes"),
        (WHOLE[:-1], "has 23 bytes of values, but its head says 24"),
        (WHOLE + b"\0", "has 25 bytes of values, but its head says 24"),
    ],
    ids=["empty", "text", "floats", "half a head", "a byte less", "a byte more"],
)
@pytest.mark.parametrize("change", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_damaged_file_is_named(data: bytes, message: str, change: Callable[[bytes], bytes]) -> None:
    path = PATH if change is bytes else Path(f"{PATH}.gz")
    path.write_bytes(change(data))
    with pytest.raises(DataError, match=f"{path.name} {message}"):
        read_idx(path)


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b"plain", lambda b: b[:12] + b"\xff\xff" + b[14:]])
def test_a_damaged_gzip_file_is_named(damage: Callable[[bytes], bytes]) -> None:
    path = Path("values.gz")
    path.write_bytes(damage(gzip.compress(WHOLE)))
    with pytest.raises(DataError, match=r"values\.gz cannot be read: ."):
        read_idx(path)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match=r"images-idx3-ubyte cannot be read: .*No such file"):
        read_idx(PATH)


def test_a_head_that_promises_more_than_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(f"{PATH}.gz")
    path.write_bytes(gzip.compress(idx_bytes(np.zeros((10, 2, 2), np.uint8))))
    assert read_idx(path).shape == (10, 2, 2)
    monkeypatch.setattr("nnkit.regular.available_bytes", lambda: 39)
    with pytest.raises(OutOfMemoryError, match="unpacks to 40 bytes, more than the 39 that the memory has"):
        read_idx(path)
