"""What a reader returns: whole arrays, by row, with their meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import numpy as np
import numpy.typing as npt

from nnkit.errors import ConfigError, DataError
from nnkit.seeding import derive
from nnkit.spec import DataSpec, InputSpec, TargetSpec

Array = npt.NDArray[np.generic]
Rows = npt.NDArray[np.int64]


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A data set in memory.

    Attributes:
        name: for messages, such as "data=digits" or a path.
        inputs: one array an input, (N, …), float32 or uint8.
        specs: name, kind and shape of each input.
        target: class numbers (N,) int64, or values (N, K) float64.
        target_names: K names; one for classes.
        classes: class names by number; empty for regression.
        test_rows: the published test set; None where the test set is to be split off.
    """

    name: str
    inputs: tuple[Array, ...]
    specs: tuple[InputSpec, ...]
    target: Array
    target_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    test_rows: Rows | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.target)

    @property
    def spec(self) -> DataSpec:
        """The contract with the model."""
        return DataSpec(
            "classification" if self.classes else "regression", self.specs, TargetSpec(self.target_names, self.classes)
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of all values, in hexadecimal: equal data, equal fingerprint."""
        digest = hashlib.sha256()
        for array in (*self.inputs, self.target):
            digest.update(str((array.dtype, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def take(self, rows: Rows) -> Source:
        """Return the source of these rows alone; a published test set keeps its meaning."""
        test = None if self.test_rows is None else np.flatnonzero(np.isin(rows, self.test_rows))
        return replace(self, inputs=tuple(x[rows] for x in self.inputs), target=self.target[rows], test_rows=test)


def check_source(source: Source) -> None:
    """Check that there is something finite to learn.

    Raises:
        DataError: naming the first value that is not finite, a single class, or a lack of rows.
    """
    if len(source) < 3:
        raise DataError(f"{source.name} has {len(source)} rows, but training, validation and test need one each")
    for array in (*source.inputs, source.target):
        if array.size == 0:
            raise DataError(f"{source.name} has an array of shape {array.shape}, which holds no value")
        if not np.issubdtype(array.dtype, np.floating):
            continue
        finite = np.isfinite(array)
        if not finite.all():
            where = np.argwhere(~finite)[0]
            raise DataError(
                f"{source.name} has {np.count_nonzero(~finite)} values that are not finite; "
                f"the first is {array[tuple(where)]} in row {where[0] + 1}, position {(where[1:] + 1).tolist()}"
            )
    if len(source.classes) == 1:
        raise DataError(f"{source.name} has one class only ({source.classes[0]}): there is nothing to tell apart")
    if source.classes and len(source) < len(source.classes):
        raise DataError(f"{source.name} has {len(source)} rows, fewer than its {len(source.classes)} classes")


def keep_classes(source: Source, wanted: Sequence[str | int]) -> Source:
    """Return the rows of the named classes, numbered in the order of the original.

    Raises:
        ConfigError: a name that is not a class, fewer than two, or a regression target.
    """
    if not source.classes:
        raise ConfigError("data.classes picks classes, but the target is a number", hint="data.classes=null")
    names = [str(name) for name in wanted]
    unknown = [name for name in names if name not in source.classes]
    if unknown:
        raise ConfigError(
            f"data.classes must be among {', '.join(source.classes)}, got {', '.join(unknown)}",
            hint="data.classes=null",
        )
    if len(set(names)) < 2:
        raise ConfigError(f"data.classes needs two or more classes, got [{','.join(names)}]", hint="data.classes=null")
    kept = [number for number, name in enumerate(source.classes) if name in names]
    subset = source.take(np.flatnonzero(np.isin(source.target, kept)).astype(np.int64))
    numbers = np.searchsorted(kept, subset.target.astype(np.int64)).astype(np.int64)
    return replace(subset, target=numbers, classes=tuple(source.classes[k] for k in kept))


def keep_some(source: Source, limit: int, seed: int) -> Source:
    """Return at most `limit` rows, drawn by `seed`; a published test set stays whole.

    Raises:
        ConfigError: there are more classes than rows to be kept.
    """
    if limit < max(3, len(source.classes)):
        needed = f"the {len(source.classes)} classes of {source.name}" if source.classes else "three parts"
        raise ConfigError(f"data.limit={limit} is too few for {needed}", hint="data.limit=null")
    rows = (
        np.arange(len(source)) if source.test_rows is None else np.setdiff1d(np.arange(len(source)), source.test_rows)
    )
    if len(rows) <= limit:
        return source
    drawn = np.random.default_rng(derive(seed, "limit")).permutation(rows)[:limit]
    kept = drawn if source.test_rows is None else np.concatenate([drawn, source.test_rows])
    return source.take(np.sort(kept).astype(np.int64))
