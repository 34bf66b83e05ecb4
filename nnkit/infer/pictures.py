"""Predictions on picture files: one, a folder of them, or those that a CSV file names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.config.sections.data import ImagesConfig
from nnkit.data.images import ImageList, list_csv, list_files
from nnkit.data.picture import BadPictureError, ImageFormat, decode_quietly, quiet
from nnkit.data.preprocess import ArrayEncoder
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.finished import Finished
from nnkit.infer.predict import MOST_TOLD, OnBad, Part, Told

THREADS = 2
AT_ONCE = 256  # pictures that are decoded before the network sees them


def picture_parts(run: Finished, path: Path, told: Told, *, on_bad: OnBad) -> Iterator[Part]:
    """Yield the pictures that a path names, each with its own path for the answers.

    Args:
        run: trained on pictures.
        path: a picture, a folder, or a CSV file with the path column of the run's data.
        told: grows by what there is to tell.
        on_bad: whether a picture that cannot be read ends it all, or is left out.

    Raises:
        DataError: naming the pictures that cannot be read.
        ConfigError: the run was not trained on pictures.
    """
    import pyarrow as pa

    form, found = image_format(run), _listed(run, path)
    told.lines += found.notes
    for start in range(0, len(found), AT_ONCE):
        rows = range(start, min(start + AT_ONCE, len(found)))
        decoded = _decoded([found.files.place(row) for row in rows], form)
        bad = [error for error in decoded if isinstance(error, BadPictureError)]
        if bad and on_bad == "error":
            raise DataError(*(Problem(str(e), "" if i else "--on-bad skip leaves it out") for i, e in enumerate(bad)))
        told.skipped += len(bad)
        told.lines += [str(error) for error in bad[: max(0, MOST_TOLD - len(told.lines))]]
        good = [row for row, pixels in zip(rows, decoded, strict=True) if not isinstance(pixels, BadPictureError)]
        if good:
            pixels = np.stack([decoded[row - start] for row in good])
            yield Part((pixels,), {"path": pa.array([found.files.paths[row] for row in good])})


def pixels_of(run: Finished, paths: Sequence[Path]) -> Any:
    """Return the pixels of some pictures, (N, C, H, W) uint8. Raises: DataError, ConfigError."""
    decoded = _decoded([str(path) for path in paths], image_format(run))
    bad = [error for error in decoded if isinstance(error, BadPictureError)]
    if bad:
        raise DataError(*(str(error) for error in bad[:MOST_TOLD]))
    return np.stack(decoded)


def image_format(run: Finished) -> ImageFormat:
    """Return what the run's pictures were made to be. Raises: ConfigError."""
    encoder = run.preprocess.inputs[0]
    if not isinstance(encoder, ArrayEncoder) or encoder.spec.kind != "image" or not encoder.is_bytes:
        raise ConfigError(
            f"the run was trained on {run.spec.inputs[0].kind} of data={run.config.data.kind}, not on pictures",
            hint="an .npz or .npy file with x",
        )
    channels, height, width = encoder.spec.shape
    resize: Any = getattr(run.config.data, "resize", "squash")
    if channels not in (1, 3):
        raise ConfigError(f"the run was trained on images of {channels} channels, which no picture file has")
    kept: Any = channels
    return ImageFormat(height, width, kept, resize)


def _listed(run: Finished, path: Path) -> ImageList:
    section = run.config.data
    if path.suffix.lower() in (".csv", ".tsv"):
        column = section.path_column if isinstance(section, ImagesConfig) else "path"
        return list_csv(path, path_column=column, target=None)
    return list_files(path)


def _decoded(paths: Sequence[str], form: ImageFormat) -> list[Any]:
    """Return the pixels of each picture (C, H, W) uint8, or the error of one that cannot be read."""

    def read(path: str) -> Any:
        try:
            return decode_quietly(path, form)
        except BadPictureError as error:
            return error

    with quiet(), ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(read, paths))
