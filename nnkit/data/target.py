"""From a raw target column to class numbers or values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit.errors import DataError
from nnkit.spec import Task

MOST_WHOLE_NUMBER_CLASSES = 20


def read_target(y: Any, *, task: str, name: str) -> tuple[Any, tuple[str, ...], Task]:
    """Return the target as a network learns it, the class names, and the task.

    Args:
        y: (N,) numbers, booleans or text, or (N, K) numbers.
        task: classification, multilabel, regression, or "auto": classification for text, booleans and at most
            20 distinct whole numbers, regression otherwise.
        name: for messages.

    Returns:
        Class numbers (N,) int64 with the names in sorted order; or values (N, K) float64 with no names, which for
        multilabel are 0 and 1.

    Raises:
        DataError: text for regression, or a target of a shape or with values that the task has not.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1 and task != "multilabel":
        y = y[:, 0]
    numeric = y.dtype.kind in "iuf"
    if task == "auto":
        task = "regression" if numeric and (y.ndim > 1 or not _looks_like_classes(y)) else "classification"
    if task == "multilabel":
        if y.ndim not in (1, 2):
            raise DataError(f"{name} must have one row a sample for multilabel, got shape {y.shape}")
        if y.dtype.kind not in "iufb" or not is_binary(y):
            raise DataError(f"{name} must be 0 and 1 for multilabel, got {_shown(y)}", hint="data.target_separator=…")
        return y.astype(np.float64).reshape(len(y), -1), (), "multilabel"
    if task == "regression":
        if not numeric or y.ndim not in (1, 2):
            raise DataError(f"{name} must be numbers for regression, got {y.dtype} of shape {y.shape}")
        return y.astype(np.float64).reshape(len(y), -1), (), "regression"
    if y.ndim != 1:
        raise DataError(f"{name} must have one class a row, got shape {y.shape}")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise DataError(f"{name} has a class that is not finite, in row {int(np.argmin(np.isfinite(y))) + 1}")
    values, numbers = np.unique(y, return_inverse=True)
    return numbers.astype(np.int64), tuple(_class_name(v) for v in values), "classification"


def is_binary(y: Any) -> bool:
    """Tell whether an array holds 0 and 1 alone."""
    return bool(np.isin(y, (0, 1)).all())


def class_order(names: Sequence[str]) -> list[str]:
    """Return class names in order: by value where all are whole numbers, else by text."""
    return sorted(names, key=int) if all(re.fullmatch(r"[+-]?\d+", name) for name in names) else sorted(names)


def _shown(y: Any) -> str:
    other = y[~np.isin(y, (0, 1))] if y.dtype.kind in "iufb" else y.ravel()
    return str(other.ravel()[0])


def _looks_like_classes(y: Any) -> bool:
    if not np.isfinite(y).all() or not (y == np.round(y)).all():
        return False
    return len(np.unique(y)) <= MOST_WHOLE_NUMBER_CLASSES


def _class_name(value: Any) -> str:
    return str(int(value)) if isinstance(value, (float, np.floating)) and value == int(value) else str(value)
