"""Which pictures there are, with their labels: folders, one a class. No picture is opened here."""

# N pictures

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nnkit.errors import DataError, Problem

# What Pillow is asked to read. Left out are those that run other programs (EPS), hold more than one picture by design
# (ICO, ICNS), or are known to Pillow by name alone (HDF5, MPEG, WMF).
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "TGA", "PCX", "JPEG2000", "AVIF", "QOI", "DIB", "SGI")
MOST_PROBLEMS = 20
_MOST_NAMES = 5
PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LAYOUT = "expected is FOLDER/<class>/1.png, or FOLDER/train/<class>/1.png with val and test beside train"


Rows = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Files:
    """Files below one folder, as they were when they were listed.

    Attributes:
        root: the folder.
        paths: N paths relative to root.
        sizes: (N,) int64, in bytes; -1 where there is no file.
        mtimes: (N,) int64, the time of the last change, in nanoseconds.
    """

    root: Path
    paths: tuple[str, ...]
    sizes: Rows
    mtimes: Rows

    def __len__(self) -> int:
        """N."""
        return len(self.paths)

    def __getitem__(self, rows: Any) -> Files:
        """Return some files, in this order: a slice, row numbers, or a mask."""
        numbers = np.arange(len(self))[rows]
        return Files(self.root, tuple(self.paths[row] for row in numbers), self.sizes[numbers], self.mtimes[numbers])

    def place(self, row: int) -> str:
        """Return the whole path of a file."""
        return f"{self.root}/{self.paths[row]}"

    def stamp(self) -> str:
        """Return a BLAKE2b of names, sizes and times, in hexadecimal: another one where a file may have changed."""
        digest = hashlib.blake2b("\0".join(self.paths).encode(errors="surrogateescape"), digest_size=16)
        digest.update(np.stack([self.sizes, self.mtimes]).tobytes())
        return digest.hexdigest()


@final
@dataclass(frozen=True, slots=True)
class ImageList:
    """Pictures and what they show.

    Attributes:
        files: N of them.
        labels: (N,) int64 class numbers; None where nothing is known.
        classes: class names by number; empty without labels.
        parts: "train", "val", "test", or "" (free to be split) a file; None where no part is fixed.
        notes: what was left out, in words for the user.
        columns: N cells of each other column of a table, by its name.
    """

    files: Files
    labels: Rows | None
    classes: tuple[str, ...] = ()
    parts: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        """N."""
        return len(self.files)


@final
@dataclass(slots=True)
class Found:
    """What a reader has met so far."""

    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    mtimes: list[int] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    no_pictures: list[str] = field(default_factory=list)
    in_no_class: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    columns: dict[str, list[str]] = field(default_factory=dict)
    extensions: frozenset[str] = field(default_factory=lambda: _extensions())

    def add(self, path: str, facts: os.stat_result) -> None:
        """Add a file that is there."""
        self.paths.append(path)
        self.sizes.append(facts.st_size)
        self.mtimes.append(facts.st_mtime_ns)

    def add_absent(self, path: str) -> None:
        """Add what is asked for, but is not there, or is no file."""
        self.paths.append(path)
        self.sizes.append(-1)
        self.mtimes.append(0)

    def is_picture(self, name: str) -> bool:
        """Tell whether a file's name ends as a picture's."""
        return os.path.splitext(name)[1].lower() in self.extensions  # noqa: PTH122 - a Path takes ten times as long

    def problem(self, text: str, hint: str = "") -> None:
        """Note what is wrong."""
        self.problems.append(Problem(text, hint))

    def files(self, root: Path) -> Files:
        """Return the files that were found."""
        return Files(root, tuple(self.paths), np.array(self.sizes, np.int64), np.array(self.mtimes, np.int64))

    def notes(self) -> tuple[str, ...]:
        """Return what was left out, in words."""
        told = (
            (self.no_pictures, "file is no picture", "files are no pictures"),
            (self.in_no_class, "picture is in no class folder", "pictures are in no class folder"),
        )
        return tuple(_note(names, one, many) for names, one, many in told if names)


def looks_like_picture(name: str) -> bool:
    """Tell whether a file's name ends as a picture's."""
    return Found().is_picture(name)


def _extensions() -> frozenset[str]:
    from PIL import Image

    return frozenset(end for end, name in Image.registered_extensions().items() if name in FORMATS)


def _note(names: list[str], one: str, many: str) -> str:
    shown = ", ".join(sorted(names)[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    return f"{len(names)} {one if len(names) == 1 else many}, left out: {shown}"


def report(problems: Sequence[Problem]) -> None:
    """Raise the first problems together, and say how many more there are; none is fine. Raises: DataError."""
    if len(problems) > MOST_PROBLEMS:
        raise DataError(*problems[:MOST_PROBLEMS], f"and {len(problems) - MOST_PROBLEMS} more")
    if problems:
        raise DataError(*problems)


def list_folder(path: Path) -> ImageList:
    """Return the pictures of a folder that has one folder a class, at any depth below it.

    Where all of its folders are called train, val (or valid, validation) and test, the classes are looked for in
    these, and they are the parts. Links are followed.

    Args:
        path: the folder.

    Returns:
        Pictures by part, class and name, with classes in the order of their names (whole numbers by value).

    Raises:
        DataError: all that is wrong, together: no class folders, one without pictures, one that only the validation or
            the test part has, or what cannot be read.
    """
    if not path.is_dir():
        raise DataError(f"{path} is {'no folder' if path.exists() else 'not there'}", hint="data.path=FOLDER")
    found = Found()
    tops = _folders(path, "", found)
    parts = [name for name in tops if name.lower() in PARTS]
    if "train" in map(str.lower, parts) and len(parts) == len(tops):
        for part in sorted(parts, key=lambda name: list(PARTS).index(name.lower())):
            _add_classes(path, f"{part}/", _folders(path, part, found), PARTS[part.lower()], found)
    elif len(parts) > 1:
        others = ", ".join(name for name in tops if name not in parts)
        what = f"has {others} beside them" if others else "no train"
        found.problem(f"{path} has the parts {', '.join(parts)}, but {what}", _LAYOUT)
    else:
        _add_classes(path, "", tops, "", found)
    return finish(path, str(path), found)


def list_files(path: Path) -> ImageList:
    """Return one picture, or all pictures of a folder at any depth, in the order of their names, without labels.

    Raises:
        DataError: there is no picture, or a folder cannot be read.
    """
    found = Found()
    if path.is_file():
        found.add(path.name, path.stat())
        return ImageList(found.files(path.parent), None)
    if not path.is_dir():
        raise DataError(f"{path} is not there", hint="a picture, a folder of pictures, or a CSV file of paths")
    _walk(path, "", found, ())
    if not found.paths and not found.problems:
        found.problem(f"{path} has no picture")
    report(found.problems)
    return ImageList(found.files(path), None, notes=found.notes())


def list_matching(pattern: Path) -> ImageList:
    """Return the pictures that a glob names, in the order of their names, without labels.

    Their paths are below the folder that stands before the first wildcard; a folder of that very name is none.

    Raises:
        DataError: there is no such picture.
    """
    parts = enumerate(pattern.parts, 1)
    depth = next((k - 1 for k, part in parts if has_magic(part) and not _above(pattern, k).exists()), None)
    if depth is None:
        return list_files(pattern)
    root, found = _above(pattern, depth), Found()
    words = str(Path(*pattern.parts[depth:]))
    for name in sorted(glob(words, root_dir=root, recursive=True)):  # noqa: PTH207 - folders behind ** too
        place = root / name
        if found.is_picture(name) and place.is_file():
            found.add(name, place.stat())
        elif place.is_file():
            found.no_pictures.append(name)
    if not found.paths:
        raise DataError(f"no picture matches {pattern}", hint="a picture, a folder of pictures, or a CSV file of paths")
    return ImageList(found.files(root), None, notes=found.notes())


def _above(path: Path, depth: int) -> Path:
    return Path(*path.parts[:depth])


def _folders(root: Path, below: str, found: Found) -> list[str]:
    """Return the names of the folders in one; all else that is in it is noted."""
    names = []
    for entry in _entries(root, below, found):
        hidden = entry.name.startswith(".")
        if entry.is_dir() and not hidden:
            names.append(entry.name)
        else:
            beside = found.in_no_class if not hidden and found.is_picture(entry.name) else found.no_pictures
            beside.append(f"{below}/{entry.name}".lstrip("/"))
    return names


def _add_classes(root: Path, below: str, names: list[str], part: str, found: Found) -> None:
    if not names:
        found.problem(f"{root / below} has no class folders", _LAYOUT)
    for name in sorted(names, key=_class_order(names)):
        before, problems = len(found.paths), len(found.problems)
        _walk(root, below + name, found, ())
        added = len(found.paths) - before
        if not added and len(found.problems) == problems:
            found.problem(f"class folder {root / below / name} has no picture", "remove it, or fill it")
        found.labels += [name] * added
        found.parts += [part] * added


def _walk(root: Path, below: str, found: Found, above: tuple[str, ...]) -> None:
    """Add the pictures of a folder and of all folders in it, in the order of their names."""
    real = os.path.realpath(root / below)
    if real in above:
        found.problem(f"{root / below} is a link to a folder that it lies in")
        return
    for entry in _entries(root, below, found):
        path = f"{below}/{entry.name}".lstrip("/")
        hidden = entry.name.startswith(".")
        try:
            if entry.is_dir() and not hidden:
                _walk(root, path, found, (*above, real))
            elif hidden or not found.is_picture(entry.name):
                found.no_pictures.append(path)
            elif stat.S_ISREG((facts := entry.stat()).st_mode):
                found.add(path, facts)
            else:
                found.no_pictures.append(path)  # a pipe, say, which would never end
        except OSError as error:
            found.problem(f"{root / path} cannot be read: {error.strerror}")


def _entries(root: Path, below: str, found: Found) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / below) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.problem(f"{root / below} cannot be read: {error.strerror}")
        return []


def finish(root: Path, name: str, found: Found) -> ImageList:
    """Number the classes, and report what is wrong. Raises: DataError."""
    classes = tuple(sorted(set(found.labels), key=_class_order(found.labels)))
    parts = tuple(found.parts) if any(found.parts) else None
    if parts is not None and classes and not found.problems:
        _check_parts(name, found, classes)
    report(found.problems)
    number = {label: k for k, label in enumerate(classes)}
    labels = np.array([number[label] for label in found.labels], np.int64) if classes else None
    return ImageList(found.files(root), labels, classes, parts, found.notes(), found.columns)


def _check_parts(name: str, found: Found, classes: tuple[str, ...]) -> None:
    pairs = set(zip(found.labels, found.parts, strict=True))
    for label in classes:
        if (label, "train") not in pairs and (label, "") not in pairs:
            others = " and ".join(part for part in ("val", "test") if (label, part) in pairs)
            found.problem(f"{name}: class {label} has pictures in {others}, but none in train")


def _class_order(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    """Return the sort key of class names: by value where all are whole numbers, so that 10 comes after 9."""
    are_numbers = all(name.isascii() and name.isdecimal() for name in names)
    return lambda name: (int(name) if are_numbers else 0, name)
