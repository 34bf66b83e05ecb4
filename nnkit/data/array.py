"""Arrays x and y: of an .npz file, of two .npy files, or of a user's own function."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnkit.data.sequences import Rows, Sequences
from nnkit.data.source import IGNORED, Source
from nnkit.data.target import read_target
from nnkit.errors import DataError, OutOfMemoryError
from nnkit.regular import LESS, open_regular, refuse_too_large
from nnkit.spec import InputKind, InputSpec

ArrayKind = Literal["auto", "features", "series", "image"]
_KIND_OF_DIMENSIONS: dict[int, InputKind] = {2: "features", 3: "series", 4: "image"}
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    RuntimeError,
    AttributeError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)
_PARTS = ("", "_val", "_test")
SKIPPED = -100  # what PyTorch's losses skip


def read_array(path: Path, target_path: Path | None, *, kind: ArrayKind, task: str) -> Source:
    """Return the samples of an .npz file with the arrays `x` and `y`, or of an .npy file each.

    Args:
        path: the .npz file, or the .npy file of x; pickled objects in it are refused.
        target_path: the .npy file of y; None for an .npz file.
        kind: of x; "auto" goes by its dimensions. Images may have their channels last.
        task: classification, multilabel, regression, tagging, segmentation, or "auto" (by the type of y).

    Raises:
        DataError: a file or an array is missing, is not numeric, or does not fit the kind.
    """
    if target_path is not None:
        return source_of_arrays(str(path), {"x": load_array(path), "y": load_array(target_path)}, kind=kind, task=task)
    if path.suffix == ".npy":
        raise DataError(f"{path} holds one array, but the target is needed, too", hint="data.target_path=FILE.npy")
    return source_of_arrays(str(path), load_arrays(path), kind=kind, task=task)


def source_of_arrays(name: str, arrays: Mapping[str, Any], *, kind: ArrayKind, task: str) -> Source:
    """Return arrays as a source.

    Args:
        name: for messages.
        arrays: x and y, and perhaps x_val and y_val, x_test and y_test: the parts that the data comes with; of padded
            series also lengths (N,), lengths_val and lengths_test.
        kind: of x.
        task: as for `read_array`.

    Raises:
        DataError: an array is missing, is not numeric, or does not fit the kind.
    """
    parts = [part for part in _PARTS if part == "" or f"x{part}" in arrays or f"y{part}" in arrays]
    missing = [f"{n}{part}" for part in parts for n in ("x", "y") if f"{n}{part}" not in arrays]
    if missing:
        told = f"{name} has no array named {' or '.join(missing)}, only {', '.join(arrays)}"
        raise DataError(told, hint="call the samples x, and what is to be predicted y")
    xs = [as_inputs(np.asarray(arrays[f"x{part}"]), kind=kind, name=f"{name}: x{part}") for part in parts]
    ys = [np.asarray(arrays[f"y{part}"]) for part in parts]
    for part, (x, _), y in zip(parts, xs, ys, strict=True):
        if x.shape[:1] != y.shape[:1]:
            raise DataError(f"{name}: x{part} has {len(x)} rows, but y{part} has shape {y.shape}")
    for letter, arrays_of in (("x", [x for x, _ in xs]), ("y", ys)):
        shapes = [array.shape[1:] for array in arrays_of]
        if len(set(shapes)) > 1:
            raise DataError(f"{name}: {letter} has samples of other shapes in its parts: {', '.join(map(str, shapes))}")
    x = xs[0][0] if len(xs) == 1 else np.concatenate([x for x, _ in xs])
    y = ys[0] if len(ys) == 1 else np.concatenate(ys)
    lengths = _lengths(arrays, parts, x, name)
    given = x if lengths is None else Sequences.cut(x, lengths)
    if task == "tagging":
        tags, classes = _tags(y, x, lengths, name)
        return Source(name, (given,), (xs[0][1],), tags, ("y",), classes, **_part_rows(parts, ys))
    if task == "segmentation" or (task == "auto" and y.ndim == 3 and xs[0][1].kind == "image"):
        masks, classes = masks_of(y, x, name)
        return Source(name, (x,), (xs[0][1],), masks, ("mask",), classes, **_part_rows(parts, ys))
    target, classes, found = read_target(y, task=task, name=f"{name}: y")
    several = found != "classification" and target.shape[1] > 1
    names = tuple(f"y{i}" for i in range(target.shape[1])) if several else ("y",)
    rows = _part_rows(parts, ys)
    return Source(name, (given,), (xs[0][1],), target, names, classes, **rows, is_multilabel=found == "multilabel")


def _part_rows(parts: Sequence[str], ys: Sequence[Any]) -> dict[str, Any]:
    """Return the rows of the parts that the data comes with, as the source names them."""
    starts = dict(zip(parts, np.cumsum([0, *(len(y) for y in ys)])[:-1], strict=True))
    rows = {part: np.arange(starts[part], starts[part] + len(y)) for part, y in zip(parts, ys, strict=True)}
    return {"test_rows": rows.get("_test"), "val_rows": rows.get("_val")}


def _lengths(arrays: Mapping[str, Any], parts: Sequence[str], x: Any, name: str) -> Rows | None:
    """Return the lengths (N,) of padded series, where the arrays hold such. Raises: DataError."""
    given = [np.asarray(arrays[f"lengths{part}"]) for part in parts if f"lengths{part}" in arrays]
    if not given:
        return None
    if len(given) < len(parts):
        raise DataError(f"{name} has lengths for {len(given)} of its {len(parts)} parts", hint="lengths, lengths_test")
    if x.ndim != 3:
        raise DataError(f"{name} has lengths, but x of shape {x.shape} is no series (N, T, C)", hint="leave them out")
    shape = next((each.shape for each in given if each.ndim != 1), (sum(each.size for each in given),))
    if shape != x.shape[:1]:
        raise DataError(f"{name}: lengths must be {x.shape[:1]} whole numbers for series, got {shape}")
    lengths = np.concatenate(given)
    if lengths.dtype.kind not in "iu":
        raise DataError(f"{name}: lengths must be whole numbers, got {lengths.dtype}", hint="lengths.astype(int)")
    wrong = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
    if len(wrong):
        row = int(wrong[0])
        raise DataError(f"{name}: lengths must be from 1 to {x.shape[1]}, got {lengths[row]} in row {row + 1}")
    return lengths.astype(np.int64)


def with_lengths(arrays: Mapping[str, Any], x: Any, name: str) -> Any:
    """Return padded series x (N, T, C) as sequences where the arrays hold `lengths`, else as they are.

    Raises:
        DataError: the lengths do not fit.
    """
    lengths = _lengths(arrays, [""], x, name)
    return x if lengths is None else Sequences.cut(x, lengths)


def _tags(y: Any, x: Any, lengths: Rows | None, name: str) -> tuple[Sequences, tuple[str, ...]]:
    """Return the class of each step as sequences, and the names of the classes. Raises: DataError."""
    if x.ndim != 3 or y.shape != x.shape[:2]:
        raise DataError(f"{name}: task=tagging needs series (N, T, C) and y (N, T), got {x.shape} and {y.shape}")
    whole = np.full(len(x), x.shape[1], np.int64) if lengths is None else lengths
    inside = np.arange(y.shape[1]) < whole[:, None]
    if y.dtype.kind in "if" and (ignored := np.argwhere(inside & (y == SKIPPED))).size:
        row, step = ignored[0].tolist()
        told = f"y is {SKIPPED} in row {row + 1}, step {step + 1}: a step that does not count is no class"
        raise DataError(f"{name}: {told}", hint="give lengths, and end each series there")
    target, classes, _ = read_target(y[inside], task="classification", name=f"{name}: y")
    numbers = np.zeros(y.shape, np.int64)
    numbers[inside] = target
    return Sequences.cut(numbers, whole), classes


def masks_of(y: Any, x: Any, name: str) -> tuple[Any, tuple[str, ...]]:
    """Return the class of each pixel (N, H, W) uint8, IGNORED where y has -100, and the names. Raises: DataError."""
    if x.ndim != 4 or y.shape != (len(x), *x.shape[2:]):
        raise DataError(f"{name}: task=segmentation needs images and y (N, H, W), got x {x.shape} and y {y.shape}")
    if y.dtype.kind not in "iub":
        raise DataError(f"{name}: y must be whole numbers for segmentation, got {y.dtype}", hint="y.astype(int)")
    values, numbers = np.unique(y, return_inverse=True)
    counted = values[values != SKIPPED]
    if len(counted) > IGNORED:
        hint = "data=masks data.values=any makes one class of all that is not 0"
        raise DataError(f"{name}: y has {len(counted)} classes, more than {IGNORED}", hint=hint)
    places = np.where(values == SKIPPED, IGNORED, np.searchsorted(counted, values))
    return places.astype(np.uint8)[numbers].reshape(y.shape), tuple(str(int(value)) for value in counted)


def as_inputs(x: Any, *, kind: ArrayKind, name: str) -> tuple[Any, InputSpec]:
    """Return an array as the network's input, float32 or uint8 for images, with its spec.

    Raises:
        DataError: it is not numeric, or has no shape of the kind.
    """
    if x.dtype.kind not in "buif":
        raise DataError(f"{name} must be numeric, got {x.dtype}")
    if x.ndim == 3 and (kind == "image" or (x.dtype == np.uint8 and kind == "auto")):
        x = x[:, None]
    wanted = _KIND_OF_DIMENSIONS.get(x.ndim) if kind == "auto" else kind
    if wanted is None or _KIND_OF_DIMENSIONS.get(x.ndim) != wanted:
        raise DataError(
            f"{name} has shape {x.shape}, which is no {kind if kind != 'auto' else 'features, series or image'}"
        )
    if wanted == "image" and x.shape[-1] in (1, 3, 4) and x.shape[1] not in (1, 3, 4):
        x = x.transpose(0, 3, 1, 2)
    spec = InputSpec("x", wanted, x.shape[1:])
    if x.dtype == np.uint8 and wanted == "image":
        return np.ascontiguousarray(x), spec
    with np.errstate(over="ignore"):  # what 32 bits cannot hold becomes infinite, and is refused as such
        return x.astype(np.float32), spec


def load_arrays(path: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return the arrays of an .npz file: those of some names where it has them all, else those that it is read for.

    Raises:
        DataError: it cannot be read.
    """
    try:
        # Opened here, since numpy leaves a damaged file open.
        with open_regular(path) as file, np.load(file, allow_pickle=False) as arrays:
            ours = [name + part for part in _PARTS for name in ("x", "y", "lengths") if name + part in arrays]
            wanted = ours if {"x", "y"} <= {*ours} else [*arrays]
            wanted = [*names] if names and {*names} <= {*arrays} else wanted
            _refuse_bombs(str(path), arrays.zip, wanted)
            return {name: arrays[name] for name in wanted}
    except FileNotFoundError:
        raise DataError(f"{path} is not there", hint="data.path=FILE.npz") from None
    except MemoryError as error:  # also of a head that promises more than there is
        raise _too_large(path, error) from error
    except _UNREADABLE as error:
        raise DataError(f"{path} is not an .npz file of plain arrays: {' '.join(str(error).split())}") from error


def _too_large(path: Path, error: MemoryError) -> OutOfMemoryError:
    return OutOfMemoryError(f"{path} does not fit in memory: {error}", hint=LESS)


def _refuse_bombs(name: str, archive: zipfile.ZipFile, wanted: Sequence[str]) -> None:
    """Refuse arrays that unpack to more than memory holds. Raises: OutOfMemoryError."""
    entries = [entry for entry in archive.infolist() if entry.filename.removesuffix(".npy") in wanted]
    refuse_too_large(f"{name} unpacks to", sum(entry.file_size for entry in entries))


def load_array(path: Path) -> Any:
    """Return the array of an .npy file. Raises: DataError."""
    try:
        with open_regular(path) as file:
            found = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{path} is not there", hint="data.path=FILE.npy") from None
    except MemoryError as error:
        raise _too_large(path, error) from error
    except _UNREADABLE as error:
        raise DataError(f"{path} is not an .npy file of plain numbers: {' '.join(str(error).split())}") from error
    if not isinstance(found, np.ndarray):
        raise DataError(f"{path} is not an .npy file", hint="data.path=FILE.npz without data.target_path")
    return found
