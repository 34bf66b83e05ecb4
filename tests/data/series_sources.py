"""Small sources of sequences that several test files of the data share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.data.tokens import sequences_of
from nnkit.data.windows import windows_source
from nnkit.spec import InputSpec


def source_of_series(items: Sequence[Any], target: Any = None, classes: Sequence[str] = ("no", "yes")) -> Source:
    """Return series (T, C) with classes 0, 1, 0, …, or with a target of their own."""
    x = Sequences.of([np.asarray(item, np.float32) for item in items])
    target = np.arange(len(items)) % 2 if target is None else target
    spec = InputSpec("x", "series", (x.longest, x.values.shape[1]))
    return Source("data=made", (x,), (spec,), target, ("y",), tuple(classes))


def source_of_tags(items: Sequence[Any], tags: Sequence[Any], classes: Sequence[str] = ("no", "yes")) -> Source:
    """Return series (T, C) with a class a step."""
    return source_of_series(items, Sequences.of([np.asarray(each, np.int64) for each in tags]), classes)


def source_of_texts(texts: Sequence[str], *, is_language: bool = False) -> Source:
    """Return texts of words with classes 0, 1, 0, …; or as a language, each to tell the next word of all texts."""
    if not is_language:
        x, _ = sequences_of(texts, "word")
        spec = InputSpec("tokens", "tokens", (x.longest,), (0,))
        return Source("data=made", (x,), (spec,), np.arange(len(texts)) % 2, ("y",), ("no", "yes"))
    whole, _ = sequences_of([" ".join([*texts, "end"])], "word")
    size = len(texts[0].split())
    starts = np.arange(0, len(whole.values) - size, size, dtype=np.int64)
    lengths, part_of = np.full(len(starts), size), np.zeros(len(starts), np.int64)
    x, ahead = (Sequences(whole.values, starts + k, lengths, whole.words, part_of) for k in (0, 1))
    return Source("data=made", (x,), (InputSpec("tokens", "tokens", (size,), (0,)),), ahead, ("token",))


def source_of_windows(steps: int, *, window: int, horizon: int, stride: int = 1) -> Source:
    """Return windows of the series 0, 1, 2, …; the last quarter is for the test, the one before for validation."""
    return windows_source(
        "data=made",
        {"a": np.arange(steps, dtype=np.float64)},
        inputs=["a"],
        targets=["a"],
        future=[],
        times=None,
        parts_of=None,
        window=window,
        horizon=horizon,
        stride=stride,
        parts=None,
        val_fraction=0.25,
        test_fraction=0.25,
    )
