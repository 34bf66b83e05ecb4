"""MNIST, Fashion-MNIST and CIFAR-10, out of tiny files in their published layout."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.data.vision import read_vision
from nnkit.errors import DataError
from tests.data.idx_files import write_idx, write_images

NUM_TRAIN, NUM_TEST = 12, 5
NOWHERE = "http://127.0.0.1:9/"  # the discard port of this machine, where nothing answers
FOLDERS = {
    "mnist": Path("MNIST/raw"),
    "fashion_mnist": Path("FashionMNIST/raw"),
    "cifar10": Path("cifar-10-batches-py"),
}


def made(num_rows: int, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Return random images and the labels 0, 1, …, 9, 0, …"""
    images = np.random.default_rng(num_rows).integers(0, 256, (num_rows, *shape), dtype=np.uint8)
    return images, np.arange(num_rows) % 10


def write_mnist(root: Path, name: str = "mnist", *, end: str = "") -> tuple[Any, Any]:
    """Write both parts below root; return all images and labels, training first."""
    parts = [made(num_rows, (28, 28)) for num_rows in (NUM_TRAIN, NUM_TEST)]
    for part, (images, labels) in zip(("train", "t10k"), parts, strict=True):
        write_images(root / FOLDERS[name], part, images=images, labels=labels, end=end)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def write_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Write six files of two pictures as published: rows of 3,072 bytes, red plane first; return all of them."""
    import torchvision.datasets

    published = torchvision.datasets.CIFAR10
    folder = root / FOLDERS["cifar10"]
    folder.mkdir(parents=True)
    images, labels = made(12, (3, 32, 32))
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    for k, name in enumerate(names):
        rows = slice(2 * k, 2 * k + 2)
        content = {"data": images[rows].reshape(2, -1), "labels": labels[rows].tolist()}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(k) for k in range(10)]}))
    # The published checksums hold for the published pictures alone.
    monkeypatch.setattr(published, "train_list", [[name, None] for name in names[:5]])
    monkeypatch.setattr(published, "test_list", [["test_batch", None]])
    monkeypatch.setattr(published, "meta", published.meta | {"md5": None})
    return images, labels


@pytest.mark.parametrize("below", ["", "mnist"], ids=["root", "root/name"])
@pytest.mark.parametrize("end", ["", ".gz"], ids=["plain", "gzip"])
def test_mnist_is_read_from_root_or_one_folder_deeper(below: str, end: str) -> None:
    images, labels = write_mnist(Path("sets") / below, end=end)
    source = read_vision("mnist", Path("sets"), download=False)
    np.testing.assert_array_equal(source.inputs[0], images[:, None])
    np.testing.assert_array_equal(source.target, labels)
    assert (source.inputs[0].dtype, source.row_target.dtype) == (np.uint8, np.int64)
    assert (source.specs[0].kind, source.specs[0].shape) == ("image", (1, 28, 28))


def test_mnist_equals_what_torchvision_reads() -> None:
    import torchvision.datasets

    write_mnist(Path())
    source = read_vision("mnist", Path(), download=False)
    parts = [torchvision.datasets.MNIST(".", train=train) for train in (True, False)]
    np.testing.assert_array_equal(source.inputs[0][:, 0], np.concatenate([part.data for part in parts]))
    np.testing.assert_array_equal(source.target, np.concatenate([part.targets for part in parts]))


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_the_test_set_is_the_published_one(name: str) -> None:
    write_mnist(Path(), name)
    source = read_vision(name, Path(), download=False)
    assert source.test_rows is not None
    assert source.test_rows.tolist() == list(range(NUM_TRAIN, NUM_TRAIN + NUM_TEST))


def test_each_set_has_its_own_folder_and_ten_classes() -> None:
    write_mnist(Path("sets"), "fashion_mnist")
    source = read_vision("fashion_mnist", Path("sets"), download=False)
    assert (len(source.classes), source.classes[0], source.classes[9]) == (10, "t-shirt", "ankle boot")
    with pytest.raises(DataError, match="data=mnist has no files"):
        read_vision("mnist", Path("sets"), download=False)


@pytest.mark.parametrize("below", ["", "cifar10"], ids=["root", "root/name"])
def test_cifar10_is_read_with_its_channels_first(monkeypatch: pytest.MonkeyPatch, below: str) -> None:
    images, labels = write_cifar10(Path("sets") / below, monkeypatch)
    source = read_vision("cifar10", Path("sets"), download=False)
    np.testing.assert_array_equal(source.inputs[0], images)
    np.testing.assert_array_equal(source.target, labels)
    assert (source.inputs[0].dtype, source.specs[0].shape) == (np.uint8, (3, 32, 32))
    assert source.test_rows is not None
    assert source.test_rows.tolist() == [10, 11]


@pytest.mark.parametrize("name", FOLDERS)
def test_missing_files_are_named_with_both_places(name: str) -> None:
    first, second = Path("sets") / FOLDERS[name], Path("sets") / name / FOLDERS[name]
    with pytest.raises(DataError, match=f"data={name} has no files in {first} or {second}") as raised:
        read_vision(name, Path("sets"), download=False)
    assert "data.download=true" in raised.value.problems[0].hint
    assert not Path("sets").exists()


@pytest.mark.parametrize("file", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_one_missing_file_is_named(file: str) -> None:
    write_mnist(Path())
    (FOLDERS["mnist"] / file).unlink()
    with pytest.raises(DataError, match=f"{file} is not there"):
        read_vision("mnist", Path(), download=False)


def rewrite(file: str, values: Any) -> None:
    write_idx(FOLDERS["mnist"] / file, values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda: rewrite("t10k-labels-idx1-ubyte", range(4)),
            r"MNIST in \. has images of shape \(5, 28, 28\), but labels of shape \(4,\)",
        ),
        (
            lambda: rewrite("train-images-idx3-ubyte", range(12)),
            r"has images of shape \(12,\), but labels of shape \(12,\)",
        ),
        (
            lambda: rewrite("train-labels-idx1-ubyte", [0] * 11 + [10]),
            r"MNIST in \. has the label 10, but 10 classes",
        ),
        (
            lambda: rewrite("t10k-images-idx3-ubyte", np.zeros((5, 28, 27))),
            r"MNIST in \. has training and test images of \(28, 28\) and \(28, 27\)",
        ),
        (
            lambda: (FOLDERS["mnist"] / "t10k-images-idx3-ubyte").write_bytes(b"<html>"),
            "t10k-images-idx3-ubyte is not an IDX file",
        ),
    ],
    ids=["fewer labels", "no images", "a label too high", "other sizes", "no IDX"],
)
def test_files_that_do_not_fit_are_named(damage: Callable[[], None], message: str) -> None:
    write_mnist(Path())
    damage()
    with pytest.raises(DataError, match=message):
        read_vision("mnist", Path(), download=False)


def test_a_damaged_file_of_cifar10_is_refused() -> None:
    FOLDERS["cifar10"].mkdir()
    (FOLDERS["cifar10"] / "data_batch_1").write_bytes(b"not the published bytes")
    with pytest.raises(DataError, match=r"CIFAR10 cannot be read from \.: Dataset not found or corrupted"):
        read_vision("cifar10", Path(), download=False)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_download_without_network_says_what_failed(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    import torchvision.datasets

    for proxy in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    dataset = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}[name]
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "url", NOWHERE)
    for kind in (torchvision.datasets.MNIST, torchvision.datasets.FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [NOWHERE])
    root = Path("sets").absolute()
    with pytest.raises(DataError, match=f"{dataset} cannot be read from {root / name}: .*refused"):
        read_vision(name, root, download=True)


def test_files_that_are_there_are_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [NOWHERE])
    write_mnist(Path())
    assert len(read_vision("mnist", Path(), download=True)) == NUM_TRAIN + NUM_TEST
