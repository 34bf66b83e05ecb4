"""Pictures in IDX files and the same ones as a folder of PNG files: one data set, and one training.

Rows of a folder are ordered by class and name, so that the IDX files are written in that order: then every number of
the training must be equal.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnkit import data
from nnkit.config.schema import Config
from nnkit.data.idx import idx_file, read_idx
from nnkit.final import Result
from nnkit.run import train
from nnkit.runs import new_folder
from tests.data.idx_files import write_images
from tests.trained import config_of, events, is_equal, last_weights

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

PARTS = ("train", "t10k")
FOLDERS = {"train": "train", "t10k": "test"}
ROOT = Path("pngs")


def of_mnist() -> dict[str, tuple[Any, Any]]:
    """The images and labels of both parts of MNIST behind NNKIT_DATA."""
    root = Path(os.environ.get("NNKIT_DATA", ""))
    places = [root / below / "MNIST" / "raw" for below in ("", "mnist")]
    place = next((p for p in places if os.environ.get("NNKIT_DATA") and idx_file(p, "train-images-idx3-ubyte")), None)
    if place is None:
        pytest.skip("needs MNIST behind NNKIT_DATA")
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    files = {part: [idx_file(place, f"{part}-{kind}") for kind in kinds] for part in PARTS}
    return {part: (read_idx(images), read_idx(labels)) for part, (images, labels) in files.items()}  # type: ignore[arg-type]


def generated() -> dict[str, tuple[Any, Any]]:
    """Blots whose place tells their class, in an order of no meaning."""
    rng = np.random.default_rng(0)
    found = {}
    for part, num in (("train", 230), ("t10k", 60)):
        labels = rng.permutation(np.arange(num) % 11).astype(np.uint8)
        images = rng.integers(0, 60, (num, 12, 12), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[label : label + 2, 2:9] += 150
        found[part] = (images, labels)
    return found


def write_both(parts: dict[str, tuple[Any, Any]]) -> None:
    """Write each part as PNG files, and as IDX files in the order in which a folder is read."""
    for part, (images, labels) in parts.items():
        for label in np.unique(labels):
            (ROOT / FOLDERS[part] / str(label)).mkdir(parents=True)
        for row, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(ROOT / FOLDERS[part] / str(label) / f"{row:05}.png", compress_level=1)
        order = np.argsort(labels, kind="stable")
        write_images(Path("idx"), part, images=images[order], labels=labels[order])


def config(kind: str, *words: str) -> Config:
    idx = [str(Path("idx", f"{part}-{of}-ubyte").absolute()) for part in PARTS for of in ("images-idx3", "labels-idx1")]
    keys = ("path", "target_path", "test_path", "test_target_path")
    of_idx = ("data=idx", *(f"data.{key}={path}" for key, path in zip(keys, idx, strict=True)))
    of_images = ("data=images", f"data.path={ROOT.absolute()}", f"data.cache={Path('cache').absolute()}")
    return config_of(*(of_idx if kind == "idx" else of_images), "data.val_fraction=0.1", *words)


def trained(kind: str, *words: str) -> Result:
    of_kind = config(kind, *words)
    return train(of_kind, new_folder(of_kind))


def assert_equal(first: Result, second: Result) -> None:
    assert first.metrics == second.metrics
    assert events(first.folder) == events(second.folder)
    assert is_equal(last_weights(first.folder), last_weights(second.folder))


def seconds_of_reading(*words: str) -> float:
    """How long it takes from the words to all pixels, each looked at once."""
    section = config("images", *words).data
    start = time.perf_counter()
    (images,) = data.read(section).inputs
    assert images.max() > 0
    return time.perf_counter() - start


def test_png_files_and_idx_files_are_the_same_data_and_training() -> None:
    write_both(generated())
    idx, images = (data.read(config(kind).data) for kind in ("idx", "images"))
    np.testing.assert_array_equal(idx.inputs[0], images.inputs[0])
    np.testing.assert_array_equal(idx.target, images.target)
    assert (idx.classes, idx.specs) == (images.classes, images.specs)
    words = ("model=cnn", "model.channels=[4]", "model.dense=[]", "trainer.max_epochs=2", "batching.batch_size=20")
    first = trained("idx", *words)
    for more in ("true", "false"):
        assert_equal(first, trained("images", *words, f"data.in_memory={more}"))


def test_the_second_start_takes_a_fifth_of_the_first() -> None:
    rng = np.random.default_rng(0)
    write_both({part: (rng.integers(0, 256, (100, 400, 400), dtype=np.uint8), np.arange(100) % 2) for part in PARTS})
    first = seconds_of_reading("data.size=[32,32]")
    assert min(seconds_of_reading("data.size=[32,32]") for _ in range(3)) < first / 5


@pytest.mark.data
def test_a_quarter_of_mnist_as_png_files_trains_as_mnist_and_starts_five_times_faster_again() -> None:
    write_both({part: (images[::4], labels[::4]) for part, (images, labels) in of_mnist().items()})
    first = seconds_of_reading()
    assert seconds_of_reading() < first / 5
    words = ("model.hidden=[128]", "trainer.max_epochs=2", "batching.batch_size=128", "optimizer.lr=0.001")
    results = [trained(kind, *words) for kind in ("idx", "images")]
    assert_equal(*results)
    assert results[0].metrics["test/accuracy"] > 0.9
