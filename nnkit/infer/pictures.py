"""Predictions on picture files: one, a folder of them, or those that a CSV file names."""

# N pictures of a part, C channels, H height, W width

from __future__ import annotations

from collections.abc import Iterator, Sequence
from glob import has_magic
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.config.sections.data import ImagesConfig, OnBad
from nnkit.data.decode import decode_each
from nnkit.data.image_table import TABLE_SUFFIXES, list_unlabelled
from nnkit.data.images import ImageList, list_files, list_matching
from nnkit.data.mask_pairs import folders_of_pair
from nnkit.data.picture import ImageFormat, upright_size
from nnkit.data.picture import pixels_of as pixels_in
from nnkit.data.preprocess import ArrayEncoder
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.finished import Finished
from nnkit.infer.hints import hinting
from nnkit.infer.predict import MOST_TOLD, Part, Told

AT_ONCE = 256  # pictures that are decoded before the network sees them
SKIP = "--on-bad skip leaves it out"


def picture_parts(run: Finished, path: Path, told: Told, *, on_bad: OnBad) -> Iterator[Part]:
    """Yield the pictures that a path names, each with its own path, or its row of the table, for the answers.

    Args:
        run: trained on pictures.
        path: a picture, a folder, a glob of pictures, or a CSV file with the path column of the run's data; where each
            pixel has a class, a folder with the folders images and masks stands for its pictures.
        told: grows by what there is to tell.
        on_bad: whether a picture that cannot be read ends it all, or is left out.

    Raises:
        DataError: naming the pictures that cannot be read.
        ConfigError: the run was not trained on pictures, or the table has no column of paths.
    """
    import pyarrow as pa

    form, found = image_format(run), _listed(run, path, told)
    told.lines += [note.replace(", left out:", ":") for note in found.notes]
    columns = found.columns or {"path": found.files.paths}
    for start in range(0, len(found), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(found)))
        pixels, bad = _decoded(found, rows, form)
        texts = [f"{found.files.place(row)} {reason}" for row, reason in sorted(bad.items())]
        if bad and on_bad == "error":
            raise DataError(*(Problem(text, "" if k else SKIP) for k, text in enumerate(texts[:MOST_TOLD])))
        told.skip(len(bad), texts)
        good = [row for row in rows if row not in bad]
        if good:
            yield Part(
                (pixels,),
                {name: pa.array([cells[row] for row in good]) for name, cells in columns.items()},
                names=tuple(found.files.paths[row] for row in good),
                places=tuple(found.files.place(row) for row in good),
            )


def _decoded(found: ImageList, rows: range, form: ImageFormat) -> tuple[Any, dict[int, str]]:
    """Return the pixels of those that can be read, (N, C, H, W) uint8, and the reasons of the others by row."""
    absent = {row: "is not there" for row in rows if found.files.sizes[row] < 0}
    there = [row for row in rows if row not in absent]
    pixels, bad = decode_each([found.files.place(row) for row in there], form)
    return pixels, absent | {there[k]: reason for k, reason in bad.items()}


def parts_of_pictures(run: Finished, pictures: Sequence[Any]) -> Iterator[Part]:
    """Yield pictures that are given by their paths, or as Pillow has them. Raises: DataError, ConfigError."""
    form = image_format(run)
    for start in range(0, len(pictures), AT_ONCE):
        some = pictures[start : start + AT_ONCE]
        if isinstance(some[0], Path):
            yield Part((pixels_of(run, some),), places=tuple(map(str, some)))
        else:
            pixels = np.stack([pixels_in(picture, form) for picture in some])
            yield Part((pixels,), sizes=tuple(map(upright_size, some)))


def pixels_of(run: Finished, paths: Sequence[Path]) -> Any:
    """Return the pixels of some pictures, (N, C, H, W) uint8. Raises: DataError, ConfigError."""
    pixels, bad = decode_each([str(path) for path in paths], image_format(run))
    if bad:
        raise DataError(*(f"{paths[k]} {reason}" for k, reason in list(bad.items())[:MOST_TOLD]))
    return pixels


def image_format(run: Finished) -> ImageFormat:
    """Return what the run's pictures were made to be. Raises: ConfigError."""
    encoder, hint = run.preprocess.inputs[0], "an .npz or .npy file with x"
    if not isinstance(encoder, ArrayEncoder) or encoder.spec.kind != "image":
        raise ConfigError(f"the run was trained on data={run.config.data.kind}, which is no pictures", hint=hint)
    if not encoder.is_bytes:
        text = f"the images of data={run.config.data.kind} are numbers of a scale of their own, not a picture's bytes"
        raise ConfigError(text, hint=hint)
    channels, height, width = encoder.spec.shape
    if channels not in (1, 3):
        text = f"the run was trained on images of {channels} channels, which no picture file has"
        raise ConfigError(text, hint=hint)
    kept: Any = channels
    resize: Any = getattr(run.config.data, "resize", "squash")
    return ImageFormat(height, width, kept, resize)


def _listed(run: Finished, path: Path, told: Told) -> ImageList:
    if path.suffix.lower() in TABLE_SUFFIXES:
        section = run.config.data
        column = section.path_column if isinstance(section, ImagesConfig) else "path"
        with hinting(f"a CSV file with the pictures' paths in the column {column}, below the file's own folder"):
            return list_unlabelled(path, path_column=column)
    if run.spec.is_per_pixel and (pair := folders_of_pair(path)) is not None:
        told.notes.append(f"the pictures are those in {pair[0]}: {pair[1]} has their masks")
        return list_files(pair[0])
    return list_matching(path) if has_magic(str(path)) and not path.exists() else list_files(path)
