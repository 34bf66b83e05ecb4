"""Picture files for training: listed, looked at, and decoded, as a whole or while training."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.config.sections.data import ImagesConfig, MasksConfig
from nnkit.data.decode import Decoded, Verified, auto_format, decode_all, digests_of, read_headers, verify_all
from nnkit.data.image_table import TABLE_SUFFIXES, list_csv
from nnkit.data.images import Files, ImageList, list_folder, looks_like_picture
from nnkit.data.mask_pairs import check_no_masks
from nnkit.data.picture import ImageFormat
from nnkit.data.source import Account, Rows, Source
from nnkit.errors import DataError
from nnkit.spec import InputSpec

_FOLDER = "data.path=FOLDER with a folder for each class, or a CSV file of paths and labels"


def read_pictures(config: ImagesConfig) -> Source:
    """Return the pictures of a section: in memory, or as files of which each was decoded once.

    Raises:
        DataError: naming the files that are no pictures, are damaged, or are too large.
        ConfigError: a column that is named is not there.
    """
    from nnkit.data.stream import ImageFiles, fits_in_memory  # its loader costs a start

    found = _listed(config)
    cache = None if config.cache is None else Path(config.cache).expanduser().absolute()
    progress = sys.stderr.isatty()
    form = picture_format(config, found.files, cache, progress)
    in_memory = fits_in_memory(len(found), form) if config.in_memory == "auto" else config.in_memory
    if in_memory:
        decoded = decode_all(found.files, form, cache=cache, progress=progress, on_bad=config.on_bad)
        return _source(config, found, form, decoded, decoded.pixels, digests_of(decoded.pixels))
    verified = verify_all(found.files, form, cache=cache, progress=progress, on_bad=config.on_bad)
    images = ImageFiles(found.files[verified.rows], form, verified.sums)
    return _source(config, found, form, verified, images, verified.digests)


def _listed(config: ImagesConfig) -> ImageList:
    path = Path(config.path).expanduser().absolute()
    if path.is_dir():
        check_no_masks(path)
        return list_folder(path)
    if not path.is_file():
        raise DataError(f"{path} is not there", hint=_FOLDER)
    if looks_like_picture(path.name):
        raise DataError(f"{path} is one picture, but training takes many", hint=_FOLDER)
    if path.suffix.lower() not in (*TABLE_SUFFIXES, ".txt"):
        raise DataError(f"{path} is neither a folder nor a CSV file", hint=_FOLDER)
    root = None if config.root is None else Path(config.root).expanduser().absolute()
    return list_csv(
        path, path_column=config.path_column, target=config.target, root=root, split_column=config.split_column
    )


def picture_format(config: ImagesConfig | MasksConfig, files: Files, cache: Path | None, progress: bool) -> ImageFormat:
    """Return what each picture is made to be; headers are read only where the section leaves it open."""
    height, width = (None, None) if config.size == "auto" else config.size
    channels = None if config.channels == "auto" else config.channels
    if height and width and channels:
        return ImageFormat(height, width, channels, config.resize)
    headers = read_headers(files, cache=cache, progress=progress)
    return auto_format(headers, height=height, width=width, channels=channels, resize=config.resize)


def _source(
    config: ImagesConfig, found: ImageList, form: ImageFormat, read: Decoded | Verified, images: Any, digests: Rows
) -> Source:
    assert found.labels is not None
    return Source(
        config.path,
        (images,),
        (InputSpec("image", "image", form.shape),),
        found.labels[read.rows],
        ("class",),
        found.classes,
        _part(found, read.rows, "test"),
        _part(found, read.rows, "val"),
        account=Account(
            len(found),
            {"unreadable": len(read.bad)} if read.bad else {},
            (*found.notes, *read.notes),
        ),
        digests=digests,
    )


def _part(found: ImageList, rows: Rows, name: str) -> Rows | None:
    if found.parts is None:
        return None
    of_part = np.flatnonzero([found.parts[row] == name for row in rows]).astype(np.int64)
    return of_part if len(of_part) else None
