"""What is in sequences and what looks wrong with them: lengths, channels, words, classes."""

# N sequences, S steps, C channels

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nnkit.data.preprocess import Preprocess
from nnkit.data.profile import ColumnFacts
from nnkit.data.report import QUANTILES, Code, Repeats, Report, RowCounts, TargetFacts, of_repeats, of_target
from nnkit.data.sequences import Sequences
from nnkit.data.source import Rows, Source, class_numbers
from nnkit.data.split import Splits

MUCH_UNKNOWN = 0.2  # share of the words of a part that training has not
MOST_SHOWN = 5


def examine_sequences(source: Source, splits: Splits, preprocess: Preprocess) -> Report:
    """Return what is in sequences.

    Args:
        source: whose first input is sequences, or series (N, T, C) with an answer for each step.
        splits: its parts.
        preprocess: fitted on the training rows.
    """
    given, account = source.inputs[0], source.rows
    x = given if isinstance(given, Sequences) else Sequences.cut(given)
    of_parts = source.part_notes if x.part_of is None else []  # parts that time or place cut are none to tell of
    report = Report(
        name=source.name,
        task=source.task,
        rows=RowCounts.of(source, splits),
        columns=tuple(_columns(x, account.names)),
        target=_target_facts(source, splits, preprocess),
        repeats=None if x.part_of is not None else _repeats(x, source, splits),
        notes=(*_of_lengths(x), *_of_words(x, preprocess), *account.notes, *of_parts),
    )
    warnings = (*_of_unknown(x, splits, preprocess), *of_repeats(report), *of_target(report))
    return replace(report, warnings=warnings)


def _columns(x: Sequences, names: tuple[str, ...]) -> Iterator[ColumnFacts]:
    steps = x.values[x.covered()]
    if x.words:
        counts = np.bincount(steps, minlength=len(x.words))
        often = [(x.words[k], int(counts[k])) for k in counts.argsort(kind="stable")[::-1][:MOST_SHOWN]]
        top = tuple((repr(word)[1:-1], count) for word, count in often)
        distinct = int(np.count_nonzero(counts))
        yield ColumnFacts(name="tokens", kind="text", missing=0, distinct=distinct, distinct_of=len(steps), top=top)
        return
    for c in range(x.values.shape[1]):
        low, high, mean = (float(f(steps[:, c].astype(np.float64))) for f in (np.min, np.max, np.mean))
        name = names[c] if c < len(names) else f"channel {c + 1}"
        yield ColumnFacts(name=name, kind="series", missing=0, constant=low == high, low=low, high=high, mean=mean)


def _of_lengths(x: Sequences) -> Iterator[str]:
    if x.is_even:
        yield f"{x.longest:,} steps each"
    else:
        middle = int(np.median(x.lengths))
        yield f"lengths from {int(x.lengths.min()):,} to {x.longest:,} steps, half of them up to {middle:,}"


def _of_words(x: Sequences, preprocess: Preprocess) -> Iterator[str]:
    encoder = preprocess.sequences
    if x.words and encoder is not None:
        yield f"a vocabulary of {len(encoder.vocabulary) - 1:,} tokens, and one number for all others"


def unknown_share(x: Sequences, rows: Rows, preprocess: Preprocess) -> float:
    """Return the share of the tokens of some rows that the vocabulary lacks."""
    encoder, steps = preprocess.sequences, int(x.lengths[rows].sum())
    return sum(encoder.unknown(x[rows]).values()) / max(steps, 1) if encoder is not None else 0.0


def _of_unknown(x: Sequences, splits: Splits, preprocess: Preprocess) -> Iterator[tuple[Code, str]]:
    if not x.words:
        return
    for part, rows in (("validation", splits.val), ("test", splits.test)):
        share = unknown_share(x, rows, preprocess)
        if share > MUCH_UNKNOWN:
            yield "unseen", f"{share:.0%} of the {part} tokens are not in the vocabulary of training"


def _repeats(x: Sequences, source: Source, splits: Splits) -> Repeats:
    """Return how many sequences equal a training one, step by step."""
    keys = np.array([hash(steps.tobytes()) for steps in x], np.int64)
    of_train, per_row = keys[splits.train], isinstance(source.target, np.ndarray)
    known, first, counts = np.unique(of_train, return_index=True, return_counts=True)
    val, test = (int(np.isin(keys[rows], known).sum()) for rows in (splits.val, splits.test))
    contradicting = 0
    if per_row:
        target: Any = source.target
        place = np.searchsorted(known, of_train)
        own = target[splits.train].reshape(len(of_train), -1)
        differs = (own != own[first[place]]).any(1)
        torn = np.zeros(len(known), bool)
        np.logical_or.at(torn, place, differs)
        contradicting = int(counts[torn].sum())
    return Repeats(len(of_train) - len(known), val, test, contradicting, _must_repeat(x))


def _must_repeat(x: Sequences) -> bool:
    """Tell whether there are at least four texts for each that is possible, as of short words of few letters."""
    kinds = len(np.unique(x.values)) if x.words else 0
    possible = sum(float(kinds) ** int(length) for length in np.unique(x.lengths.clip(max=64)))
    return bool(kinds) and possible <= len(x) / 4


def _target_facts(source: Source, splits: Splits, preprocess: Preprocess) -> TargetFacts:
    parts = {"train": splits.train, "val": splits.val, "test": splits.test}
    if source.task == "language":
        return TargetFacts(quantiles={})
    if source.classes or source.is_multilabel:
        of_part = {p: _how_often(source, rows) for p, rows in parts.items()}
        names, train = source.classes or source.target_names, of_part["train"]
        counts = {name: {p: int(n[k]) for p, n in of_part.items()} for k, name in enumerate(names)}
        return TargetFacts(counts, float(train.max() / max(train.min(), 1)) if source.classes else None)
    target = source.target
    values = target.values[target[splits.train].covered()] if isinstance(target, Sequences) else target[splits.train]
    found = np.quantile(values.astype(np.float64), list(QUANTILES.values()), axis=0)
    names = preprocess.target_names
    return TargetFacts(
        quantiles={n: dict(zip(QUANTILES, q.tolist(), strict=True)) for n, q in zip(names, found.T, strict=True)}
    )


def _how_often(source: Source, rows: Rows) -> Any:
    """Return of how many rows, or steps of rows, each class is, or each label."""
    if source.classes:
        return np.bincount(class_numbers(source.target, rows), minlength=len(source.classes))
    return source.row_target[rows].sum(axis=0)
