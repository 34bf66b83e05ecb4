"""What is in the data and what looks wrong with it: looked at once, before the first step."""

# N rows

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnkit.data.frame import Column, Frame
from nnkit.data.guard_masks import class_counts, masks_column
from nnkit.data.guard_sequences import examine_sequences
from nnkit.data.leakage import counts_rows, leak
from nnkit.data.preprocess import Preprocess
from nnkit.data.profile import ColumnFacts, Looked, RowHashes, look_at_array, look_at_column
from nnkit.data.report import (
    FEW_ROWS,
    MUCH_MISSING,
    NOTABLE,
    QUANTILES,
    Code,
    Repeats,
    Report,
    RowCounts,
    TargetFacts,
    many,
    of_repeats,
    of_target,
    some,
)
from nnkit.data.sequences import Sequences
from nnkit.data.source import Account, Rows, Source
from nnkit.data.split import Splits
from nnkit.data.tabular import column_notes
from nnkit.seeding import derive

SAMPLED = 10_000  # rows in which leaks are looked for, and different values are counted


def examine(source: Source, splits: Splits, preprocess: Preprocess) -> Report:
    """Return what is in the data, and what looks wrong with it.

    Args:
        source: the data.
        splits: its parts.
        preprocess: fitted on the training rows; it knows which columns became no feature.

    Raises: nothing.
    """
    if isinstance(source.inputs[0], Sequences) or isinstance(source.target, Sequences):
        return examine_sequences(source, splits, preprocess)
    num_rows, train = len(source), splits.train
    sample = _sample(num_rows, train)
    hashes = RowHashes(num_rows, derive(0, "guard", "hashes"))
    looked, specs = [], iter(source.specs)
    for x in source.inputs:
        if isinstance(x, Frame):
            looked += _look_at_table(x, splits, sample, hashes)
        else:
            looked += [_with_id(each, train) for each in look_at_array(x, next(specs), sample, hashes)]
    in_train = np.zeros(num_rows, bool)
    in_train[train] = True
    if source.task != "segmentation":  # a picture's mean colours say nothing of its pixels
        looked = [_judged(each, source, sample, in_train[sample]) for each in looked]
    compared = [each.facts for each in looked if not each.is_id]
    is_read = source.digests is not None or (
        bool(compared) and all(isinstance(x, (Frame, np.ndarray)) for x in source.inputs)
    )
    values = hashes.values if source.digests is None else source.digests[:, 0].view(np.uint64)
    expected = _must_repeat(compared, num_rows)
    tables = [x for x in source.inputs if isinstance(x, Frame)]
    notes = [note for x in tables if preprocess.table is not None for note in column_notes(preprocess.table, x)]
    report = Report(
        name=source.name,
        task=source.task,
        rows=RowCounts.of(source, splits),
        columns=(*_features(looked, preprocess), *_targets(source), *_left_out(source.rows)),
        target=_target_facts(source, splits),
        repeats=_repeats(values, splits, source.row_target, expected=expected) if is_read else None,
        notes=(*source.rows.notes, *source.part_notes, *notes),
    )
    return replace(report, warnings=(*_of_columns(looked, report), *of_repeats(report), *of_target(report)))


def examine_table(name: str, frame: Frame, account: Account) -> Report:
    """Return what is in a table whose target nobody named: no parts, and so no leak.

    Args:
        name: of the data.
        frame: all columns that can be read.
        account: where the rows went.
    """
    every, none = np.arange(len(frame)), np.empty(0, np.int64)
    sample = _sample(len(frame), every)
    hashes = RowHashes(len(frame), 0)
    looked = _look_at_table(frame, Splits(every, none, none), sample, hashes)
    again = 0 if all(each.is_id for each in looked) else len(frame) - len(np.unique(hashes.values))
    notes = (f"{many(again, 'row')} equal an earlier one",) if again else ()
    report = Report(
        name=name,
        task=None,
        rows=RowCounts(account.rows_in, len(frame), dropped=account.dropped),
        columns=(*(each.facts for each in looked), *_left_out(account)),
        notes=(*account.notes, *notes),
    )
    return replace(report, warnings=tuple(_of_columns(looked, report)))


def _sample(num_rows: int, train: Rows) -> Rows:
    """Return rows in random order: all of a small set, of a large one some for training."""
    rng = np.random.default_rng(derive(0, "guard", "sample"))
    every = np.arange(num_rows)
    return rng.permutation(every) if num_rows <= SAMPLED else rng.choice(train, min(SAMPLED, len(train)), replace=False)


def _parts(splits: Splits) -> dict[str, Rows]:
    return {"train": splits.train, "val": splits.val, "test": splits.test}


def _look_at_table(frame: Frame, splits: Splits, sample: Rows, hashes: RowHashes) -> list[Looked]:
    """Look at all columns; those that name the rows do not tell whether rows are equal."""
    looked = []
    for column in frame.columns:
        looked.append(_with_id(look_at_column(column, splits, sample), splits.train))
        if not looked[-1].is_id:
            hashes.add_column(column.values)
    return looked


def _with_id(column: Looked, train: Rows) -> Looked:
    facts, of = column.facts, column.facts.distinct_of
    if facts.distinct != of or facts.missing or not of:
        return column
    if column.whole is None:
        return replace(column, is_id=facts.kind == "categorical" and of > FEW_ROWS)
    if facts.kind != "numeric" or not isinstance(facts.low, float) or not isinstance(facts.high, float):
        return column
    return replace(column, is_id=counts_rows(column.whole[train], facts.low, facts.high, len(column.whole)))


def _judged(column: Looked, source: Source, sample: Rows, in_train: npt.NDArray[np.bool_]) -> Looked:
    """Return the column with its leak; one that names the rows predicts nothing, however well it fits."""
    if column.is_id or column.facts.constant or column.sampled is None:
        return column
    count = len(column.sampled)
    known = in_train[:count]
    is_category = column.facts.kind == "categorical"
    target = source.row_target[sample[:count][known]]
    return replace(column, leak=leak(column.sampled[known], target, source.task, is_category=is_category))


def _must_repeat(columns: Sequence[ColumnFacts], num_rows: int) -> bool:
    """Tell whether there are at least four rows for each combination of values, as far as a sample can tell."""
    combinations = 0.0
    for column in columns:
        if column.distinct is None or column.distinct_of is None:
            return False
        if column.distinct_of < num_rows and 2 * column.distinct > column.distinct_of:
            return False
        combinations += math.log(max(column.distinct, 1))
    return combinations <= math.log(num_rows / 4)


def _repeats(hashes: npt.NDArray[np.uint64], splits: Splits, target: Any, *, expected: bool) -> Repeats:
    of_train = hashes[splits.train]
    known = np.sort(of_train)
    again = known[1:] == known[:-1]
    val, test = (int(np.count_nonzero(_among(np.sort(hashes[rows]), known))) for rows in (splits.val, splits.test))
    contradicting = 0
    if again.any():
        rows = np.flatnonzero(_among(of_train, np.unique(known[1:][again])))
        rows = rows[np.argsort(of_train[rows])]
        starts = np.flatnonzero(np.diff(of_train[rows], prepend=of_train[rows[:1]] + np.uint64(1)))
        targets = target[splits.train[rows]].reshape(len(rows), -1)
        differ = np.minimum.reduceat(targets, starts) != np.maximum.reduceat(targets, starts)
        contradicting = int(np.diff(starts, append=len(rows))[differ.any(axis=1)].sum())
    return Repeats(int(np.count_nonzero(again)), val, test, contradicting, expected)


def _among(values: npt.NDArray[np.uint64], known: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Return where values are among known ones, which are sorted."""
    found: npt.NDArray[np.bool_] = known[np.searchsorted(known, values).clip(max=len(known) - 1)] == values
    return found


def _features(looked: Sequence[Looked], preprocess: Preprocess) -> Iterator[ColumnFacts]:
    names = None if preprocess.table is None else set(preprocess.table.names)
    for column in looked:
        is_out = names is not None and column.facts.name not in names
        why = "no value in training"
        yield replace(column.facts, role="left out", left_out=why) if is_out else column.facts


def _targets(source: Source) -> Iterator[ColumnFacts]:
    """Yield the target's columns."""
    rows = np.arange(len(source))
    everything = Splits(rows, rows[:0], rows[:0])
    if source.task == "segmentation":
        yield masks_column(source)
        return
    values = source.row_target.reshape(len(source), -1)
    for k, name in enumerate(source.target_names):
        kind: Literal["categorical", "numeric"] = "categorical" if source.classes else "numeric"
        of_kind = values[:, k].astype(np.int32) if source.classes else values[:, k]
        column = Column(name, kind, of_kind, source.classes)
        yield replace(look_at_column(column, everything, rows[:SAMPLED]).facts, role="target")


def _left_out(account: Account) -> Iterator[ColumnFacts]:
    for name, reason in account.left_out.items():
        kind = "text" if reason.startswith("text") else "unread"
        yield ColumnFacts(name=name, kind=kind, role="left out", left_out=reason)


def _target_facts(source: Source, splits: Splits) -> TargetFacts:
    if source.task == "regression":
        train_values: npt.NDArray[np.float64] = source.row_target[splits.train].astype(np.float64)
        found = np.quantile(train_values, list(QUANTILES.values()), axis=0)
        values = {
            name: dict(zip(QUANTILES, q.tolist(), strict=True))
            for name, q in zip(source.target_names, found.T, strict=True)
        }
        return TargetFacts(quantiles=values)
    if source.classes:
        of_part = {p: class_counts(source, r) for p, r in _parts(splits).items()}
    else:
        of_part = {p: source.row_target[r].sum(axis=0).astype(np.int64) for p, r in _parts(splits).items()}
    names = source.classes or source.target_names
    counts = {name: {p: int(found[k]) for p, found in of_part.items()} for k, name in enumerate(names)}
    train = of_part["train"]
    return TargetFacts(counts, float(train.max() / max(train.min(), 1)) if source.classes else None)


def _of_columns(looked: Sequence[Looked], report: Report) -> Iterator[tuple[Code, str]]:
    """Yield what is wrong with single columns."""
    score = "rank correlation" if report.task == "regression" else "balanced accuracy"
    leaks = [f"{each.facts.name} ({score} {each.leak:.3f})" for each in looked if each.leak is not None]
    if leaks:
        alone = "alone predicts the target: is it" if len(leaks) == 1 else "each alone predict the target: are they"
        yield "leakage", f"{some(leaks)} {alone} known before the target is?"
    ids = [each.facts.name for each in looked if each.is_id]
    if ids:
        yield "id", f"{some(ids)}: a value of its own in every row, as ids have, which says nothing of new rows"
    texts = [c.name for c in report.columns if c.role == "left out" and c.kind == "text"]
    if texts:
        yield "id", f"{some(texts)}: left out, for most texts in it differ"
    constant = [each.facts.name for each in looked if each.facts.constant]
    if constant:
        yield "constant", f"{some(constant)}: one value in all rows"
    used = report.rows.used
    gaps = {each.facts.name: (each.facts.missing or 0) / used for each in looked}
    much = [f"{name} ({share:.0%})" for name, share in gaps.items() if share > MUCH_MISSING]
    if much:
        yield "missing", f"{some(much)}: more cells are missing than not"
    for part, size in (("val", report.rows.val), ("test", report.rows.test)):
        new = {each.facts.name: each.unseen.get(part, 0) / (size or 1) for each in looked}
        unseen = [f"{name} ({share:.0%})" for name, share in new.items() if share >= NOTABLE]
        if unseen:
            yield "unseen", f"{some(unseen)}: {part} rows with a category that training has not"
