"""MNIST, Fashion-MNIST and CIFAR-10, in the folders that torchvision makes; it fetches them on demand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from nnkit.data.archive import unpacked_by_us
from nnkit.data.idx import idx_file, read_idx
from nnkit.data.source import Source
from nnkit.errors import DataError
from nnkit.spec import InputSpec
from nnkit.storage import make_folder


@final
@dataclass(frozen=True, slots=True)
class _Published:
    """Where torchvision looks for a set below its root, and what the set is called there."""

    dataset: str
    folder: str
    a_file: str
    classes: tuple[str, ...]


_DIGITS = tuple(str(d) for d in range(10))
_CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_WHOLE_FILES = "data.root=FOLDER with whole files"
_SETS = {
    "mnist": _Published("MNIST", "MNIST/raw", "train-images-idx3-ubyte", _DIGITS),
    "fashion_mnist": _Published("FashionMNIST", "FashionMNIST/raw", "train-images-idx3-ubyte", _CLOTHES),
    "cifar10": _Published("CIFAR10", "cifar-10-batches-py", "data_batch_1", _THINGS),
}


def read_vision(name: str, root: Path, *, download: bool) -> Source:
    """Return the published training images followed by the published test images.

    Args:
        name: mnist, fashion_mnist or cifar10.
        root: the folder of data sets; the set lies in it as torchvision stores it, or one folder deeper, in root/name.
        download: whether missing files are fetched into root/name.

    Returns:
        Images (N, C, H, W) uint8 and 10 classes.

    Raises:
        DataError: the files are not there, or are damaged, or cannot be fetched.
    """
    published = _SETS[name]
    place = next((r for r in (root, root / name) if _has_files(r, published)), None)
    if place is None and not download:
        raise DataError(
            f"data={name} has no files in {root / published.folder} or {root / name / published.folder}",
            hint="data.root=FOLDER where they are, or data.download=true to fetch them",
        )
    if place is None:
        place = root / name
        make_folder(place)
        with unpacked_by_us():
            _torchvision_part(published.dataset, place, True, download=True)
    parts = [_read_part(published, place, train) for train in (True, False)]
    if parts[0][0].shape[1:] != parts[1][0].shape[1:]:
        shapes = " and ".join(str(p[0].shape[1:]) for p in parts)
        raise DataError(f"{published.dataset} in {place} has training and test images of {shapes}", hint=_WHOLE_FILES)
    images = np.concatenate([_channels_first(p[0]) for p in parts])
    target = np.concatenate([p[1] for p in parts]).astype(np.int64)
    test_rows = np.arange(len(parts[0][1]), len(target), dtype=np.int64)
    spec = InputSpec("image", "image", images.shape[1:])
    return Source(f"data={name}", (images,), (spec,), target, ("class",), published.classes, test_rows)


def _has_files(root: Path, published: _Published) -> bool:
    return idx_file(root / published.folder, published.a_file) is not None


def _read_part(published: _Published, root: Path, train: bool) -> tuple[Any, Any]:
    """Return images and labels; IDX files are read directly, since importing torchvision costs seconds."""
    if published.dataset == "CIFAR10":
        images, labels = _torchvision_part(published.dataset, root, train, download=False)
    else:
        images, labels = (_idx_part(root / published.folder, train, kind) for kind in ("images-idx3", "labels-idx1"))
    if images.ndim not in (3, 4) or labels.shape != images.shape[:1]:
        text = f"{published.dataset} in {root} has images of shape {images.shape}, but labels of shape {labels.shape}"
        raise DataError(text, hint=_WHOLE_FILES)
    if labels.max(initial=0) >= len(published.classes):
        text = f"{published.dataset} in {root} has the label {labels.max()}, but {len(published.classes)} classes"
        raise DataError(text, hint=_WHOLE_FILES)
    return images, labels


def _idx_part(folder: Path, train: bool, kind: str) -> Any:
    name = f"{'train' if train else 't10k'}-{kind}-ubyte"
    path = idx_file(folder, name)
    if path is None:
        raise DataError(f"{folder / name} is not there", hint=_WHOLE_FILES)
    return read_idx(path)


def _torchvision_part(dataset: str, root: Path, train: bool, *, download: bool) -> tuple[Any, Any]:
    import torchvision.datasets  # costs seconds

    try:
        part = getattr(torchvision.datasets, dataset)(str(root), train=train, download=download)
    except (RuntimeError, OSError, ValueError, EOFError, AssertionError, LookupError, TypeError) as error:
        reason = " ".join(str(error).split()) or "the files are damaged"
        raise DataError(f"{dataset} cannot be read from {root}: {reason}", hint=_WHOLE_FILES) from error
    return np.asarray(part.data), np.asarray(part.targets, dtype=np.int64)


def _channels_first(images: Any) -> Any:
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
