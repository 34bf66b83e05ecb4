"""What is in masks: how many pixels each class has."""

from __future__ import annotations

from typing import Any

import numpy as np

from nnkit.data.profile import MOST_TOLD, ColumnFacts
from nnkit.data.source import IGNORED, Rows, Source


def class_counts(source: Source, rows: Rows) -> Any:
    """Return how often each class stands in some rows, (C,) int64; of masks, in their pixels that count."""
    size = len(source.classes)
    if source.task != "segmentation":
        return np.bincount(source.row_target[rows], minlength=size)
    total = np.zeros(IGNORED + 1, np.int64)
    for row in rows:  # one by one: counting makes eight bytes of each
        total += np.bincount(source.row_target[row].ravel(), minlength=IGNORED + 1)
    return total[:size]


def masks_column(source: Source) -> ColumnFacts:
    """Return the masks as a column of the report: the classes with the most pixels; those without one are missing."""
    counts = class_counts(source, np.arange(len(source)))
    order = np.argsort(-counts, kind="stable")[:MOST_TOLD]
    return ColumnFacts(
        name=source.target_names[0],
        kind="categorical",
        role="target",
        missing=int(source.row_target.size - counts.sum()),
        distinct=int(np.count_nonzero(counts)),
        distinct_of=source.row_target.size,
        top=tuple((source.classes[k], int(counts[k])) for k in order if counts[k]),
    )
