"""Small sources that several test files of the data share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit.data.source import Source
from nnkit.spec import InputKind, InputSpec


def source_of(
    x: Any, target: Any, *, classes: Sequence[str] = (), kind: InputKind = "features", test_rows: Any = None
) -> Source:
    """Return a source with the name "data=made"; without classes, for regression."""
    x, target = np.asarray(x), np.asarray(target)
    target = target.astype(np.int64) if classes else target.astype(np.float64).reshape(len(x), -1)
    names = ("y",) if target.ndim == 1 else tuple(f"y{k}" for k in range(target.shape[1]))
    return Source("data=made", (x,), (InputSpec("x", kind, x.shape[1:]),), target, names, tuple(classes), test_rows)


def source_of_classes(labels: Sequence[int], num_classes: int, *, test_rows: Any = None) -> Source:
    """Return a source whose only feature is the row's number, with classes c0, c1, …"""
    x = np.arange(len(labels), dtype=np.float32)[:, None]
    return source_of(x, labels, classes=[f"c{k}" for k in range(num_classes)], test_rows=test_rows)


def source_of_values(num_rows: int) -> Source:
    """Return a regression source whose feature and target are the row's number."""
    numbers = np.arange(num_rows, dtype=np.float32)[:, None]
    return source_of(numbers, numbers)
