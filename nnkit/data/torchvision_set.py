"""Any classification set of torchvision, by its name there."""

# N pictures, C channels, H height, W width

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, final

import numpy as np

from nnkit.config.sections.data import TorchvisionConfig
from nnkit.config.synonyms import nearest
from nnkit.data.archive import unpacked_by_us
from nnkit.data.decode import each
from nnkit.data.picture import UNREADABLE, BadPictureError, ImageFormat, is_grey, pixels_of
from nnkit.data.source import Account, Source
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.spec import InputSpec
from nnkit.storage import make_folder


@final
@dataclass(frozen=True, slots=True)
class _Set:
    """How a class is asked for the parts of its set.

    Attributes:
        name: of the class.
        key: its argument that picks a part; empty where the set has one part.
        parts: that argument by part, train first.
        more: further arguments.
    """

    name: str
    key: str = ""
    parts: Mapping[str, Any] = field(default_factory=lambda: {"train": None})
    more: Mapping[str, Any] = field(default_factory=dict)


_BY_TRAIN = {"train": True, "test": False}
_TRAIN_TEST = {"train": "train", "test": "test"}
_TRAIN_VAL = {"train": "train", "val": "val"}
_THREE = {"train": "train", "val": "val", "test": "test"}
_EMNIST = ("balanced", "byclass", "bymerge", "digits", "letters", "mnist")
_SETS = (
    *(
        _Set(name, "train", _BY_TRAIN)
        for name in ("MNIST", "FashionMNIST", "KMNIST", "QMNIST", "USPS", "CIFAR10", "CIFAR100")
    ),
    *(_Set(name, "split", _TRAIN_TEST) for name in ("SVHN", "STL10", "FER2013", "GTSRB", "Food101", "StanfordCars")),
    *(_Set(name, "split", _TRAIN_VAL) for name in ("Imagenette", "ImageNet", "CLEVRClassification")),
    *(_Set(name, "split", _THREE) for name in ("DTD", "FGVCAircraft", "Flowers102", "PCAM", "RenderedSST2")),
    *(_Set(name) for name in ("Caltech101", "Caltech256", "EuroSAT", "LFWPeople", "Omniglot", "SEMEION", "SUN397")),
    _Set("Country211", "split", {"train": "train", "val": "valid", "test": "test"}),
    _Set("OxfordIIITPet", "split", {"train": "trainval", "test": "test"}),
    _Set("Places365", "split", {"train": "train-standard", "val": "val"}, {"small": True}),
    *(_Set("EMNIST", "train", _BY_TRAIN, {"split": split}) for split in _EMNIST),
)
# EMNIST is six sets, of which the second word picks one.
_BY_NAME = {
    **{each_.name.lower(): each_ for each_ in reversed(_SETS)},
    **{f"emnist/{each_.more['split']}": each_ for each_ in _SETS if each_.name == "EMNIST"},
}
_NOT_THERE = "data.root=FOLDER where they are, or data.download=true to fetch them"
_NO_FETCHING = "data.root=FOLDER where they are, as torchvision's page on the set describes it"


def read_torchvision(config: TorchvisionConfig, root: Path) -> Source:
    """Return a classification set of torchvision: its training pictures, then those for validation and test.

    Args:
        config: the section.
        root: the folder of data sets; the set lies in it as torchvision stores it, or one folder deeper, in root/name.

    Returns:
        Images (N, C, H, W) uint8, and the classes that occur.

    Raises:
        ConfigError: torchvision has no such set, or it is not for classification.
        DataError: its files are not there, or are damaged, or cannot be fetched; or it does not fit in memory.
    """
    wanted = _by_name(config.dataset)
    parts = _opened(wanted, root, download=config.download)
    labels = {part: _labels(dataset) for part, dataset in parts.items()}
    notes = tuple(
        f"the {part} part of {wanted.name} has no labels, left out" for part, of in labels.items() if of is None
    )
    known = {part: of for part, of in labels.items() if of is not None}
    datasets = [parts[part] for part in known]
    images = _images(config, wanted.name, datasets)
    target, classes = _numbered(np.concatenate([np.empty(0, np.int64), *known.values()]), datasets[0])
    names = np.repeat(list(known), [len(of) for of in known.values()])
    rows = {part: np.flatnonzero(names == part).astype(np.int64) for part in known}
    spec = InputSpec("image", "image", images.shape[1:])
    name, account = f"data.dataset={config.dataset}", Account(len(target), notes=notes)
    test_rows, val_rows = rows.get("test"), rows.get("val")
    return Source(name, (images,), (spec,), target, ("class",), classes, test_rows, val_rows, account=account)


def _by_name(name: str) -> _Set:
    import torchvision.datasets  # costs seconds

    found = _BY_NAME.get(name.lower())
    if found is not None and hasattr(torchvision.datasets, found.name):
        return found
    shown = sorted({one.name for one in _SETS})
    if any(name.lower() == other.lower() for other in torchvision.datasets.__all__):
        text = f"data.dataset={name} is no set of pictures with one class each"
        raise ConfigError(text, hint=f"one of {', '.join(shown)}; a folder of your own: data=images")
    known = [*shown, *(f"EMNIST/{split}" for split in _EMNIST)]
    near = nearest(name.lower(), [one.lower() for one in known])
    meant = next((one for one in known if one.lower() == near), None)
    hint = f"one of {', '.join(shown)}" if meant is None else f"did you mean data.dataset={meant}?"
    raise ConfigError(f"data.dataset must be a classification set of torchvision, got '{name}'", hint=hint)


# Opening


def _opened(wanted: _Set, root: Path, *, download: bool) -> dict[str, Any]:
    """Return the data set of each part. Raises: DataError."""
    import torchvision.datasets

    make = getattr(torchvision.datasets, wanted.name)
    below = root / wanted.name.lower()
    failures = []
    for place in (root, below):
        try:
            return _parts(make, wanted, place, download=False)
        except _Unopened as error:
            failures.append(error)
    can_fetch = _can_fetch(make)
    if download and can_fetch:
        make_folder(below)
        try:
            with unpacked_by_us():
                return _parts(make, wanted, below, download=True)
        except _Unopened as error:
            raise DataError(f"{wanted.name} cannot be fetched into {below}: {error}") from error
    reason = failures[1] if below.is_dir() else failures[0]
    text = f"{wanted.name} cannot be read from {root} or {below}: {reason}"
    raise DataError(text, hint=_NOT_THERE if can_fetch and not download else _NO_FETCHING)


class _Unopened(Exception):  # noqa: N818 - it never leaves this file
    """Why torchvision could not open a set."""


def _parts(make: Any, wanted: _Set, place: Path, *, download: bool) -> dict[str, Any]:
    fetch = {"download": download} if _can_fetch(make) else {}
    opened = {}
    for part, word in wanted.parts.items():
        asked = {wanted.key: word} if wanted.key else {}
        try:
            opened[part] = make(root=str(place), **asked, **wanted.more, **fetch)
        except ImportError as error:
            raise DataError(f"{wanted.name} needs a package: {error}", hint=f"pip install {error.name}") from error
        except (*UNREADABLE, AssertionError, UnpicklingError) as error:
            raise _Unopened(_said(error)) from error
    if not len(opened["train"]):
        raise _Unopened("there is no picture")
    return opened


def _can_fetch(make: Any) -> bool:
    parameters = [inspect.signature(kind.__init__).parameters for kind in make.__mro__ if "__init__" in vars(kind)]
    for of_kind in parameters:  # a class that takes any further argument hands it to the one above
        if "download" in of_kind:
            return True
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in of_kind.values()):
            return False
    return False


def _said(error: BaseException) -> str:
    """Return what torchvision says, without its own way out, which nobody can type here."""
    said = " ".join(str(error).split()).partition(" You can use download")[0]
    return said.rstrip(".") or "the files are damaged"


# Labels and classes


def _labels(dataset: Any) -> Any:
    """Return the class number of each picture, (N,) int64; None where the first one has none."""
    for name in ("targets", "labels", "_labels", "y"):
        known = getattr(dataset, name, None)
        if known is None or len(known) != len(dataset):
            continue
        if known[0] is None:
            return None
        numbers = np.asarray(known)
        if numbers.ndim == 1 and np.issubdtype(numbers.dtype, np.integer) and numbers[0] == dataset[0][1]:
            return numbers.astype(np.int64)
    samples = getattr(dataset, "samples", None) or getattr(dataset, "_samples", None)
    if samples and len(samples) == len(dataset) and samples[0][1] == dataset[0][1]:
        labels: Sequence[Any] = [sample[1] for sample in samples]
    else:
        labels = [dataset[row][1] for row in range(len(dataset))]
    return None if labels[0] is None else np.array([int(label) for label in labels], np.int64)


def _numbered(labels: Any, dataset: Any) -> tuple[Any, tuple[str, ...]]:
    """Return class numbers without gaps, and the name of each class: the set's own, or its number there."""
    numbers, target = np.unique(labels, return_inverse=True)
    given = next((getattr(dataset, name) for name in ("classes", "categories") if hasattr(dataset, name)), ())
    fits = len(numbers) > 0 and numbers.min() >= 0 and numbers.max() < len(given)
    names = [_name(given[number]) if fits else str(number) for number in numbers]
    twice = {name for name in names if names.count(name) > 1}
    unique = tuple(f"{name} ({number})" if name in twice else name for name, number in zip(names, numbers, strict=True))
    return target.astype(np.int64), unique


def _name(given: Any) -> str:
    """Return the first of several names; MNIST's "0 - zero" stays as it is."""
    return str(given[0] if isinstance(given, (tuple, list)) else given)


# Pixels


def _images(config: TorchvisionConfig, name: str, datasets: Sequence[Any]) -> Any:
    """Return the pictures of all parts, (N, C, H, W) uint8. Raises: DataError."""
    stored = [_stored(dataset) for dataset in datasets]
    if all(images is not None for images in stored) and len({images.shape[1:] for images in stored}) == 1:
        channels, height, width = stored[0].shape[1:]
        if config.size in ("auto", [height, width]) and config.channels in ("auto", channels):
            return np.concatenate(stored)
    form = _format(config, name, datasets)
    _check_memory(name, sum(map(len, datasets)), form)
    return _decoded(name, datasets, form)


def _stored(dataset: Any) -> Any:
    """Return the pictures that a data set holds as one array, (N, C, H, W) uint8; None where it holds none."""
    images = getattr(dataset, "data", None)
    if images is None or not hasattr(images, "shape"):
        return None
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or len(images) != len(dataset):
        return None
    first = np.asarray(dataset[0][0])
    for order in ((0, 1, 2), (1, 2, 0)) if images.ndim == 4 else ((0, 1),):
        if np.array_equal(images[0].transpose(order), first):  # what torchvision makes a picture of
            planes = images[:, None] if images.ndim == 3 else images.transpose(0, *(1 + order[k] for k in (2, 0, 1)))
            return planes if planes.shape[1] in (1, 3) else None
    return None


def _format(config: TorchvisionConfig, name: str, datasets: Sequence[Any]) -> ImageFormat:
    """Return what each picture is made to be; all are opened where the section leaves it open. Raises: DataError."""
    if config.size != "auto" and config.channels != "auto":
        return ImageFormat(config.size[0], config.size[1], config.channels, config.resize)
    num = sum(map(len, datasets))
    sizes, grey = np.zeros((num, 2), np.int64), np.zeros(num, np.bool_)

    def look(row: int, picture: Any) -> None:
        sizes[row], grey[row] = picture.size[::-1], is_grey(picture)

    _each_picture(look, name, datasets, "headers")
    height, width = np.rint(np.median(sizes, axis=0)).astype(int).tolist() if config.size == "auto" else config.size
    found: Any = 1 if grey.all() else 3
    return ImageFormat(height, width, found if config.channels == "auto" else config.channels, config.resize)


def _check_memory(name: str, num: int, form: ImageFormat) -> None:
    from nnkit.data.stream import fits_in_memory  # its loader costs a start

    if not fits_in_memory(num, form):
        text = f"the {num:,} pictures of {name} do not fit in memory with {form.height} x {form.width} pixels"
        raise DataError(text, hint="data.size=[64,64]; as a folder, data=images reads them while training")


def _decoded(name: str, datasets: Sequence[Any], form: ImageFormat) -> Any:
    pixels = np.empty((sum(map(len, datasets)), *form.shape), np.uint8)

    def read(row: int, picture: Any) -> None:
        pixels[row] = pixels_of(picture, form)

    _each_picture(read, name, datasets, "pictures")
    return pixels


def _each_picture(work: Any, name: str, datasets: Sequence[Any], title: str) -> None:
    """Call `work` with number and picture of all samples. Raises: DataError, naming those that cannot be read."""
    starts = np.cumsum([0, *map(len, datasets)])

    def open_one(row: int) -> None:
        part = int(np.searchsorted(starts, row, side="right")) - 1
        try:
            work(row, datasets[part][row - int(starts[part])][0])
        except UNREADABLE as error:
            raise BadPictureError(str(row), f"cannot be decoded: {_said(error)}") from error

    bad = each(open_one, range(int(starts[-1])), title=title, progress=sys.stderr.isatty())
    if bad:
        first = [Problem(f"{name}, picture {row}: it {reason}") for row, reason in list(bad.items())[:20]]
        raise DataError(Problem(f"{len(bad)} pictures of {name} cannot be read", "fetch the set anew"), *first)
