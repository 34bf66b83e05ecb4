"""Images and labels in IDX files that the user names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nnkit.data.idx import read_idx
from nnkit.data.source import Source
from nnkit.data.target import read_target
from nnkit.errors import DataError
from nnkit.spec import InputSpec


def read_idx_pairs(train: tuple[Path, Path], test: tuple[Path, Path] | None) -> Source:
    """Return the images and labels of one pair of files, or of a training and a test pair.

    Args:
        train: the file of the images, (N, H, W) or (N, C, H, W) uint8, and the file of the labels, (N,) uint8.
        test: likewise; None where the test set is to be split off.

    Raises:
        DataError: a file is missing or damaged, or the two do not fit.
    """
    parts = [_read_pair(*pair) for pair in (train, test) if pair is not None]
    if parts[0][0].shape[1:] != parts[-1][0].shape[1:]:
        shapes = " and ".join(str(images.shape[1:]) for images, _ in parts)
        raise DataError(f"{train[0]} has images of another size than the test images: {shapes}")
    images = np.concatenate([images for images, _ in parts])
    labels = np.concatenate([labels for _, labels in parts])
    target, classes, _ = read_target(labels, task="classification", name=str(train[1]))
    test_rows = None if test is None else np.arange(len(parts[0][0]), len(images), dtype=np.int64)
    spec = InputSpec("image", "image", images.shape[1:])
    return Source(str(train[0]), (images,), (spec,), target, ("class",), classes, test_rows)


def _read_pair(image_path: Path, label_path: Path) -> tuple[Any, Any]:
    for path in (image_path, label_path):
        if not path.is_file():
            raise DataError(f"{path} is not there", hint="data.path=IMAGES data.target_path=LABELS")
    images, labels = read_idx(image_path), read_idx(label_path)
    if images.ndim not in (3, 4) or labels.shape != images.shape[:1]:
        raise DataError(f"{image_path} has shape {images.shape}, but {label_path} has shape {labels.shape}")
    return (images[:, None] if images.ndim == 3 else images), labels
