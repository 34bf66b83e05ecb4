"""Pictures with a mask each: two folders of files with the same names, or arrays of one file."""

# N pictures, C channels, H height, W width

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, final

import numpy as np

from nnkit.config.sections.data import MasksConfig
from nnkit.data.array import as_inputs, load_arrays
from nnkit.data.decode import decode_each, digests_of, each
from nnkit.data.images import PARTS, Files, list_files, report
from nnkit.data.mask_codes import Codes, MaskCodes, MaskValueError, class_names, notes_on
from nnkit.data.mask_faults import Fault, folded
from nnkit.data.mask_pairs import OF_IMAGES, OF_MASKS, folders_of_pair, paired, stem
from nnkit.data.picture import (
    BadPictureError,
    Channels,
    ImageFormat,
    Pixels,
    mask_in,
    mask_values,
    pixels_of,
    read_header,
)
from nnkit.data.pictures import picture_format
from nnkit.data.source import IGNORED, Account, Rows, Source
from nnkit.errors import ConfigError, DataError, OutOfMemoryError, Problem
from nnkit.machine import available_bytes
from nnkit.spec import InputSpec

OF_NAMES = {"name", "names", "id", "ids", "files"}
_FOLDERS = "data.images=FOLDER data.masks=FOLDER"


@final
@dataclass(frozen=True, slots=True)
class _Read:
    """Pictures (N, C, H, W) and codes (N, H, W), with their names, parts ("" where none is fixed) and notes."""

    pixels: Any
    codes: Codes
    names: tuple[str, ...]
    parts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def read_masks(config: MasksConfig) -> Source:
    """Return the pictures of a section, with the class of each pixel.

    Raises:
        DataError: naming each file that has no partner, another size than it, or cannot be read.
        ConfigError: a setting does not fit the data.
    """
    codes = MaskCodes(config.values, config.ignore)
    read = _of_arrays(config, codes) if config.is_arrays else _of_folders(config, codes)
    values = codes.sort(read.codes)
    name = config.images
    return Source(
        name,
        (read.pixels,),
        (InputSpec("image", "image", read.pixels.shape[1:]),),
        read.codes,
        ("mask",),
        class_names(values, config.names, name),
        _part(read.parts, "test"),
        _part(read.parts, "val"),
        account=Account(
            len(read.codes),
            notes=(*read.notes, *notes_on(values, read.codes, config.ignore)),
            names=tuple(map(str, values)),
        ),
        digests=digests_of(read.pixels) if read.pixels.dtype == np.uint8 else None,
        names=read.names,
    )


def _of_folders(config: MasksConfig, codes: MaskCodes) -> _Read:
    images = _listed(config.images, "images")
    if config.masks is None:
        raise ConfigError(f"data.images={config.images} is a folder, so data.masks has to name one", hint=_FOLDERS)
    masks = _listed(config.masks, "masks")
    if images.root.samefile(masks.root):
        pair = folders_of_pair(images.root.parent)
        hint = shlex.join([f"data.images={pair[0]}", f"data.masks={pair[1]}"]) if pair else _FOLDERS
        raise ConfigError(f"data.images and data.masks are the same folder, {images.root}", hint=hint)
    images, masks, problems = paired(images, masks, config.mask_suffix)
    if not len(images):
        report(problems)
    progress = sys.stderr.isatty()
    form = _form_of_files(config, images, problems, progress)
    _check_memory(len(images), form)
    found = np.empty((len(images), form.height, form.width), np.uint8)
    faults: dict[int, Fault] = {}

    def read(row: int) -> None:
        fault = _read_mask(images, masks, row, codes, form, found)
        if fault is not None:
            faults[row] = fault

    each(read, range(len(masks)), title="masks", progress=progress)
    pixels, unreadable = decode_each([images.place(row) for row in range(len(images))], form)
    of_images = [Fault(images.place(row), images.paths[row], reason) for row, reason in sorted(unreadable.items())]
    report([*problems, *folded(fault for _, fault in sorted(faults.items())), *folded(of_images)])
    names = tuple(stem(path) for path in images.paths)
    return _Read(pixels, found, names, _parts(names), codes.strays())


def _form_of_files(config: MasksConfig, images: Files, problems: Sequence[Problem], progress: bool) -> ImageFormat:
    """Return what each picture is made to be. Raises: DataError, where no picture can be read."""
    try:
        return picture_format(config, images, None, progress)
    except DataError as error:
        raise DataError(*problems, *error.problems) from error


def _read_mask(
    images: Files, masks: Files, row: int, codes: MaskCodes, form: ImageFormat, found: Codes
) -> Fault | None:
    """Put the codes of a mask into its row of all (N, H, W), or return what is wrong with it."""
    place, name = masks.place(row), masks.paths[row]
    try:
        values = mask_values(place)
        found[row] = mask_in(codes.of(values, name), form, around=IGNORED)
        height, width = values.shape
    except BadPictureError as error:
        return Fault(place, name, error.reason)
    except MaskValueError as error:
        return Fault(place, name, str(error), error.hint, kind=str(error))
    try:
        wanted = read_header(images.place(row))[:2]
    except BadPictureError:
        return None  # which is told of the picture
    if (height, width) == wanted:
        return None
    told = f"has {width} x {height} pixels, but its picture {images.paths[row]} has {wanted[1]} x {wanted[0]}"
    hint = "is it the mask of another picture? Else give it that size without mixing values (NEAREST)"
    return Fault(place, name, told, hint, kind="size")


def _listed(folder: str, setting: str) -> Files:
    """Return the pictures of a folder. Raises: DataError."""
    path = Path(folder).expanduser().absolute()
    if not path.is_dir():
        told = "is no folder" if path.exists() else "is not there"
        raise DataError(f"data.{setting}: {path} {told}", hint=f"{_FOLDERS}, or data.images=FILE.npz")
    return list_files(path).files


def _parts(names: Sequence[str]) -> tuple[str, ...]:
    """Return the part of each picture where all of them lie in folders that are called train, val or test."""
    tops = [PurePosixPath(name).parts[0].lower() for name in names]
    is_split = all(top in PARTS and "/" in name for top, name in zip(tops, names, strict=True)) and "train" in tops
    return tuple(PARTS[top] for top in tops) if is_split else ("",) * len(names)


def _part(parts: Sequence[str], wanted: str) -> Rows | None:
    rows = np.flatnonzero([part == wanted for part in parts]).astype(np.int64)
    return rows if len(rows) else None


def _of_arrays(config: MasksConfig, codes: MaskCodes) -> _Read:
    path = Path(config.images).expanduser().absolute()
    wanted = {"data.image_array": config.image_array, "data.mask_array": config.mask_array}
    if config.name_array is not None:
        wanted["data.name_array"] = config.name_array
    arrays = load_arrays(path, list(wanted.values()))
    if absent := [f"{key}={name}" for key, name in wanted.items() if name not in arrays]:
        hint = " ".join(f"{key}={_array_like(key, arrays)}" for key in wanted)
        raise DataError(f"{path} has no array {' and '.join(absent)}, only {', '.join(arrays)}", hint=hint)
    x, _ = as_inputs(_as_pictures(arrays[config.image_array]), kind="image", name=f"{path}: {config.image_array}")
    y = np.asarray(arrays[config.mask_array])
    if y.dtype.kind not in "iub":
        raise DataError(f"{path}: {config.mask_array} must be whole numbers, got {y.dtype}")
    if y.shape != (len(x), *x.shape[2:]):
        raise DataError(
            f"{path}: {config.mask_array} has shape {y.shape}, but the pictures need {(len(x), *x.shape[2:])}"
        )
    if config.name_array is None:
        names = tuple(str(row) for row in range(len(x)))
    else:
        names = tuple(map(str, np.asarray(arrays[config.name_array]).ravel().tolist()))
        if len(names) != len(x):
            raise DataError(f"{path}: {config.name_array} has {len(names)} names for {len(x)} pictures")
    form = _form_of_arrays(config, x, path)
    _check_memory(len(x), form)
    pixels = x if x.shape[1:] == form.shape else np.stack([_fitted(one, form) for one in x])
    found = np.empty((len(y), form.height, form.width), np.uint8)
    faults = []
    for row, mask in enumerate(y):
        try:
            found[row] = mask_in(codes.of(mask.astype(np.int64), f"row {row + 1}"), form, around=IGNORED)
        except MaskValueError as error:
            where = f"{path}: {config.mask_array}, row {row + 1}"
            faults.append(Fault(f"{where},", f"row {row + 1}", str(error), error.hint, kind=str(error)))
    report(folded(faults))
    return _Read(pixels, found, names, ("",) * len(names), codes.strays())


def _array_like(key: str, names: Iterable[str]) -> str:
    """Return the array that a setting most likely means, by its name; NAME where none has a usual one."""
    usual = {"data.image_array": {*OF_IMAGES, "x"}, "data.mask_array": {*OF_MASKS, "y"}}.get(key, OF_NAMES)
    return next((name for name in names if name.lower() in usual), "NAME")


def _as_pictures(x: Any) -> Any:
    """Return grey pictures (N, H, W) with a channel, which by three dimensions alone could be series."""
    x = np.asarray(x)
    return x[:, None] if x.ndim == 3 else x


def _form_of_arrays(config: MasksConfig, x: Any, path: Path) -> ImageFormat:
    """Return what each picture is made to be. Raises: ConfigError, where it cannot be made so."""
    channels, height, width = x.shape[1:]
    if config.size != "auto":
        height, width = config.size
    wanted = channels if config.channels == "auto" else config.channels
    form = ImageFormat(height, width, wanted, config.resize)
    if x.shape[1:] != form.shape and (x.dtype != np.uint8 or channels not in (1, 3, 4)):
        what = f"{x.dtype} of shape {x.shape[1:]}"
        told = f"pictures of {path} are {what}: only bytes of 1, 3 or 4 channels take another size or other channels"
        raise ConfigError(told, hint="data.size=auto data.channels=auto")
    return form


def _fitted(one: Pixels, form: ImageFormat) -> Pixels:
    from PIL import Image

    array = one[0] if len(one) == 1 else one.transpose(1, 2, 0)
    return pixels_of(Image.fromarray(array), form)


def _check_memory(num: int, form: ImageFormat) -> None:
    channels: int | Channels = form.channels
    needed, most = num * form.height * form.width * (channels + 1), available_bytes()
    if needed > most:
        told = f"{num:,} pictures of {form.width} x {form.height} take {needed:,} bytes, but memory has {most:,} left"
        raise OutOfMemoryError(told, hint="a smaller data.size, or data.limit")
