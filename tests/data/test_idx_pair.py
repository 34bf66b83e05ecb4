"""IDX files that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.config.sections.data import IdxConfig
from nnkit.data import read, split_by
from nnkit.data.idx_pair import read_idx_pairs
from nnkit.errors import DataError
from tests.data.idx_files import write_idx

TRAIN, TEST = (Path("images.gz"), Path("labels")), (Path("test-images"), Path("test-labels.gz"))


def written(pair: tuple[Path, Path], rows: int, *, shape: tuple[int, ...] = (4, 3), labels: Any = None) -> Any:
    images = np.random.default_rng(rows).integers(0, 256, (rows, *shape), dtype=np.uint8)
    write_idx(pair[0], images)
    write_idx(pair[1], np.arange(rows) % 3 * 5 if labels is None else labels)
    return images


def test_a_pair_of_files_is_images_of_bytes_and_the_labels_that_occur() -> None:
    images = written(TRAIN, 9)
    source = read_idx_pairs(TRAIN, None)
    np.testing.assert_array_equal(source.inputs[0], images[:, None])
    assert (source.inputs[0].dtype, source.specs[0].kind, source.specs[0].shape) == (np.uint8, "image", (1, 4, 3))
    assert source.classes == ("0", "5", "10")
    assert source.row_target.tolist() == [0, 1, 2] * 3
    assert (source.test_rows, source.name) == (None, "images.gz")


def test_channels_are_read() -> None:
    images = written(TRAIN, 5, shape=(3, 4, 2))
    np.testing.assert_array_equal(read_idx_pairs(TRAIN, None).inputs[0], images)


def test_a_test_pair_is_the_test_part() -> None:
    one, two = written(TRAIN, 20), written(TEST, 6)
    config = IdxConfig(
        kind="idx",
        path=str(TRAIN[0]),
        target_path=str(TRAIN[1]),
        test_path=str(TEST[0]),
        test_target_path=str(TEST[1]),
        val_fraction=0.25,
        test_fraction=0.5,
    )
    source = read(config)
    splits = split_by(config, source)
    np.testing.assert_array_equal(source.inputs[0][:, 0], np.concatenate([one, two]))
    assert splits.test.tolist() == list(range(20, 26))
    assert (len(splits.train), len(splits.val)) == (15, 5)


def test_a_label_that_only_the_test_has_is_no_class_without_training_sample_unnoticed() -> None:
    written(TRAIN, 9)
    written(TEST, 3, labels=[0, 5, 7])
    source = read_idx_pairs(TRAIN, TEST)
    assert source.classes == ("0", "5", "7", "10")
    with pytest.raises(DataError, match=r"class 7 of images\.gz has no training sample"):
        split_by(
            IdxConfig(kind="idx", path="images.gz", target_path="labels", val_fraction=0.3, test_fraction=0.3), source
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: TRAIN[1].unlink(), r"^labels is not there$"),
        (lambda: TEST[0].unlink(), r"^test-images is not there$"),
        (lambda: write_idx(TRAIN[1], [1, 2]), r"images\.gz has shape \(9, 4, 3\), but labels has shape \(2,\)"),
        (lambda: write_idx(TRAIN[0], np.ones((9, 2))), r"images\.gz has shape \(9, 2\), but labels has shape \(9,\)"),
        (lambda: written(TEST, 3, shape=(4, 4)), r"another size than the test images: \(1, 4, 3\) and \(1, 4, 4\)"),
    ],
    ids=["labels", "test images", "rows", "dimensions", "sizes"],
)
def test_files_that_do_not_fit_are_named(change: Any, message: str) -> None:
    written(TRAIN, 9)
    written(TEST, 3)
    change()
    with pytest.raises(DataError, match=message):
        read_idx_pairs(TRAIN, TEST)
