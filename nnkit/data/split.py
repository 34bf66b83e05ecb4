"""Training, validation and test rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from nnkit.data.source import Rows, Source
from nnkit.errors import ConfigError, DataError
from nnkit.seeding import derive


@final
@dataclass(frozen=True, slots=True)
class Splits:
    """Row numbers of the three parts; no row is in two of them."""

    train: Rows
    val: Rows
    test: Rows


def split(source: Source, *, val_fraction: float, test_fraction: float | None, seed: int) -> Splits:
    """Split the rows at random, keeping each class's share in every part.

    Args:
        source: the data; its published test set, if any, is the test part.
        val_fraction: share of the rows (of the rows outside a published test set) for validation.
        test_fraction: share of the rows for the test; None with a published test set.
        seed: of the split alone.

    Raises:
        ConfigError: a part would be empty, or the fractions leave nothing to train on.
        DataError: a class has no training sample.
    """
    rows = np.arange(len(source), dtype=np.int64)
    if source.test_rows is not None:
        rows = np.setdiff1d(rows, source.test_rows)
    num_test = 0 if test_fraction is None else round(len(rows) * test_fraction)
    num_val = round(len(rows) * val_fraction)
    if test_fraction is not None and num_test < 1:
        raise ConfigError(
            f"data.test_fraction={test_fraction} of {len(rows)} samples leaves no test sample",
            hint="data.test_fraction=0.2",
        )
    if num_val < 1:
        raise ConfigError(
            f"data.val_fraction={val_fraction} of {len(rows)} samples leaves no validation sample",
            hint="data.val_fraction=0.2",
        )
    if num_test + num_val >= len(rows):
        raise ConfigError(
            f"data.val_fraction and data.test_fraction leave no training sample of {len(rows)}",
            hint="make them smaller",
        )
    order = _spread(source, rows, seed)
    test = order[:num_test] if source.test_rows is None else source.test_rows
    parts = Splits(np.sort(order[num_test + num_val :]), np.sort(order[num_test : num_test + num_val]), np.sort(test))
    _check_classes(source, parts)
    return parts


def _spread(source: Source, rows: Rows, seed: int) -> Rows:
    """Return the rows in a random order in which every stretch has about the classes' overall shares."""
    rng = np.random.default_rng(derive(seed, "split"))
    shuffled = rng.permutation(rows)
    if not source.classes:
        return shuffled
    place = np.empty(len(shuffled))
    for number in range(len(source.classes)):
        members = np.flatnonzero(source.target[shuffled] == number)
        place[members] = (np.arange(len(members)) + 0.5) / max(len(members), 1)
    return shuffled[np.argsort(place, kind="stable")]


def _check_classes(source: Source, parts: Splits) -> None:
    counts = np.bincount(source.target[parts.train], minlength=len(source.classes)) if source.classes else np.ones(1)
    if (counts == 0).any():
        name = source.classes[int(np.argmin(counts))]
        hint = "give more data, smaller fractions, a larger data.limit, or leave the class out with data.classes"
        raise DataError(f"class {name} of {source.name} has no training sample", hint=hint)
