"""Which mask belongs to which picture: by their names, but for the ending and a suffix."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath

from nnkit.data.images import Files, list_files
from nnkit.data.mask_faults import MOST_NAMED, Fault, folded
from nnkit.errors import DataError, Problem

OF_IMAGES = frozenset({"images", "image", "imgs", "img", "photos", "pictures", "jpegimages", "inputs"})
OF_MASKS = frozenset({"masks", "mask", "labels", "annotations", "segmentation", "segmentations", "gt", "targets"})


def stem(path: str) -> str:
    """Return a path below a folder without the ending of its file."""
    return str(PurePosixPath(path).with_suffix(""))


def paired(images: Files, masks: Files, suffix: str) -> tuple[Files, Files, list[Problem]]:
    """Return the pictures that have a mask, in order, their masks in the same one, and what is wrong with the others.

    Where another suffix pairs more of them, that is what is wrong, and they are paired by it.
    """
    faults: list[Fault] = []
    of_image = _by_name(images, "", faults)
    problems: list[Problem] = []
    meant = likely_suffix(of_image, [stem(path) for path in masks.paths], suffix)
    if meant != suffix:
        problems.append(_other_suffix(masks, suffix, meant))
    of_mask = _by_name(masks, meant, faults)
    both = sorted(of_image.keys() & of_mask.keys())
    faults += _alone(images, of_image, of_mask, "has no mask", f"put one there: {masks.root}/{{}}{meant}.png")
    told = "is the mask of no picture"
    faults += _alone(masks, of_mask, of_image, told, f"put its picture there: {images.root}/{{}}.png, or take it away")
    kept = images[[of_image[name] for name in both]], masks[[of_mask[name] for name in both]]
    return *kept, [*problems, *folded(faults)]


def folders_of_pair(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders images and masks in a folder that has both."""
    images, masks = folder / "images", folder / "masks"
    return (images, masks) if images.is_dir() and masks.is_dir() else None


def check_no_masks(folder: Path) -> None:
    """Refuse a folder for classes in which one folder has the masks of the other's pictures. Raises: DataError."""
    try:
        inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
        images, masks = ([path for path in inner if path.name.lower() in names] for names in (OF_IMAGES, OF_MASKS))
        if len(inner) != 2 or not images or not masks:
            return
        known, given = ([stem(path) for path in list_files(place).files.paths] for place in (images[0], masks[0]))
    except (OSError, DataError):
        return  # who lists the classes says what cannot be read
    suffix = likely_suffix(known, given, "")
    pairs = len(set(known) & {name.removesuffix(suffix) for name in given})
    if 2 * pairs > len(known):
        told = (
            f"{masks[0]} has a mask for {pairs} of the {len(known)} pictures in {images[0].name}: they are no classes"
        )
        places = shlex.join([f"data.images={images[0]}", f"data.masks={masks[0]}"])
        more = f" {_setting(suffix)}" if suffix else ""
        raise DataError(told, hint=f"data=masks {places}{more} model=unet")


def likely_suffix(images: Collection[str], masks: Collection[str], given: str) -> str:
    """Return what the masks' names have behind those of the pictures: what is given, unless another one pairs more."""
    longest = max(map(len, masks), default=0)
    known, counts = set(images), Counter[str]()
    for name in masks:
        ends = (end for end in range(min(len(name), longest), 0, -1) if name[:end] in known)
        if (end := next(ends, None)) is not None:
            counts[name[end:]] += 1
    best, count = max(counts.items(), key=lambda item: (item[1], item[0]), default=(given, 0))
    now = sum(name.endswith(given) and name.removesuffix(given) in known for name in masks)
    return best if count > now and 2 * count > len(masks) else given


def _other_suffix(masks: Files, given: str, meant: str) -> Problem:
    """Return the problem of masks whose names end otherwise than data.mask_suffix says."""
    names = [PurePosixPath(path).name for path in masks.paths if stem(path).endswith(meant)]
    shown = ", ".join(names[:MOST_NAMED]) + (", …" if len(names) > MOST_NAMED else "")
    if not meant:
        told = f"{masks.root}/{masks.paths[0]} does not end with {given}, as data.mask_suffix has it"
        return Problem(f"{told}; the {len(names)} masks have the names of their pictures: {shown}", "leave it out")
    told = f"{len(names)} masks in {masks.root} have {meant} behind the name of their picture: {shown}"
    return Problem(told, _setting(meant))


def _setting(suffix: str) -> str:
    """Return what is typed for a suffix, in quotes where it has signs of its own to Hydra or the shell."""
    plain = re.fullmatch(r"[A-Za-z0-9_.-]+", suffix)
    return f"data.mask_suffix={suffix}" if plain else f"\"data.mask_suffix='{suffix}'\""


def _alone(files: Files, own: Mapping[str, int], other: Collection[str], reason: str, hint: str) -> list[Fault]:
    """Return the fault of each file that has no partner."""
    alone = [(name, row) for name, row in own.items() if name not in other]
    return [Fault(files.place(row), files.paths[row], reason, hint.replace("{}", name)) for name, row in alone]


def _by_name(files: Files, suffix: str, faults: list[Fault]) -> dict[str, int]:
    """Return which file has which name, by its path without ending and suffix."""
    found: dict[str, int] = {}
    for row, path in enumerate(files.paths):
        name, place = stem(path), files.place(row)
        if not name.endswith(suffix):
            reason = f"does not end with {suffix}, as data.mask_suffix has it"
            faults.append(Fault(place, path, reason, "another data.mask_suffix, or take it away"))
            continue
        name = name.removesuffix(suffix)
        if name in found:
            reason = f"and {files.place(found[name])} have the same name"
            faults.append(Fault(place, path, reason, "take one of them away", kind="same name"))
        found.setdefault(name, row)
    return found
