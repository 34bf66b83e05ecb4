"""Arrays `x` and `y` of an .npz file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnkit.data.source import Source
from nnkit.data.target import read_target
from nnkit.errors import DataError
from nnkit.spec import InputKind, InputSpec

_KIND_OF_DIMENSIONS: dict[int, InputKind] = {2: "features", 3: "series", 4: "image"}


def read_array(path: Path, *, kind: Literal["auto", "features", "series", "image"], task: str) -> Source:
    """Return the samples of an .npz file with the arrays `x` and `y`.

    Args:
        path: the file; pickled objects in it are refused.
        kind: of x; "auto" goes by its dimensions. Images may have their channels last.
        task: classification, regression, or "auto" (by the type of y).

    Raises:
        DataError: the file or an array is missing, is not numeric, or does not fit the kind.
    """
    x, y = _load(path)
    if x.ndim == 3 and (kind == "image" or (x.dtype == np.uint8 and kind == "auto")):
        x = x[:, None]
    wanted = _KIND_OF_DIMENSIONS.get(x.ndim) if kind == "auto" else kind
    if wanted is None or _KIND_OF_DIMENSIONS.get(x.ndim) != wanted:
        raise DataError(
            f"{path}: x has shape {x.shape}, which is no {kind if kind != 'auto' else 'features, series or image'}"
        )
    if wanted == "image" and x.shape[-1] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        x = x.transpose(0, 3, 1, 2)
    if x.shape[:1] != y.shape[:1]:
        raise DataError(f"{path}: x has {len(x)} rows, but y has shape {y.shape}")
    keep_bytes = x.dtype == np.uint8 and wanted == "image"
    target, classes = read_target(y, task=task, name=f"{path}: y")
    spec = InputSpec("x", wanted, x.shape[1:])
    names = ("y",) if classes or target.shape[1] == 1 else tuple(f"y{i}" for i in range(target.shape[1]))
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, and is refused as such
        values = x if keep_bytes else x.astype(np.float32)
    return Source(str(path), (values,), (spec,), target, names, classes)


def _load(path: Path) -> tuple[Any, Any]:
    try:
        # Opened here, since numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ("x", "y") if name not in arrays]
            if missing:
                raise DataError(f"{path} has no array named {' or '.join(missing)}, only {', '.join(arrays)}")
            x, y = arrays["x"], arrays["y"]
    except FileNotFoundError:
        raise DataError(f"{path} is not there", hint="data.path=FILE.npz") from None
    except (
        OSError,
        ValueError,
        EOFError,
        RuntimeError,
        AttributeError,
        TypeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise DataError(f"{path} is not an .npz file of plain arrays: {' '.join(str(error).split())}") from error
    if x.dtype.kind not in "buif":
        raise DataError(f"{path}: x must be numeric, got {x.dtype}")
    return x, y
