"""What the guard finds, as plain data, and the warnings that follow from it alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, final

from nnkit.data.profile import MOST_TOLD, ColumnFacts
from nnkit.data.source import Source
from nnkit.data.split import Splits
from nnkit.spec import Task

Code = Literal[
    "leakage",
    "duplicates",
    "contradictions",
    "id",
    "constant",
    "missing",
    "few_rows",
    "imbalance",
    "small_validation",
    "unseen",
]
FORMAT = 1  # of data.json
MUCH_MISSING, FEW_ROWS, MUCH_IMBALANCE, SMALL_VALIDATION = 0.5, 10, 10.0, 30
NOTABLE = 0.01  # share of a part's rows from which a matter can move a score by a point
MEASURES = {
    "segmentation": ("pixel_accuracy", "mean_iou")
}  # one that imbalance makes useless, and one that it does not
QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}


@final
@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows of the files = rows used + rows dropped; rows used = rows of the parts, where they are split."""

    read: int
    used: int
    train: int | None = None
    val: int | None = None
    test: int | None = None
    dropped: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, source: Source, splits: Splits) -> RowCounts:
        """Return the counts of a source and its parts; those of a fold leave out what the real test is to be."""
        train, val, test = (len(rows) for rows in (splits.train, splits.val, splits.test))
        used = train + val + test
        account = source.rows.dropping("left for the test behind the folds", len(source) - used)
        return cls(account.rows_in, used, train, val, test, account.dropped)

    def __post_init__(self) -> None:
        """Check both equations."""
        assert self.read == self.used + sum(self.dropped.values()), f"rows got lost: {self}"
        assert self.train is None or self.used == self.train + (self.val or 0) + (self.test or 0), f"{self}"


@final
@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows whose features all equal those of a training row.

    Attributes:
        train: training rows that repeat an earlier one.
        val: validation rows that equal a training row.
        test: test rows that equal a training row.
        contradicting: training rows that equal another one with another target.
        expected: whether the columns have so few different values that rows must repeat.
    """

    train: int
    val: int
    test: int
    contradicting: int
    expected: bool


@final
@dataclass(frozen=True, slots=True)
class TargetFacts:
    """What is to be learned.

    Attributes:
        counts: rows of each class, or with each label, by part; empty for regression.
        imbalance: training rows of the most frequent class over those of the rarest; None but for classification.
        quantiles: of each value in training, for regression.
    """

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    imbalance: float | None = None
    quantiles: dict[str, dict[str, float]] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found.

    Attributes:
        name: of the data.
        task: what is learned; None where no target was named.
        rows: where they went.
        columns: in the order of the data; then the target, then those left out.
        target: None where none was named.
        repeats: None where it was not looked for: without parts, and in pictures that are read while training.
        warnings: a code and a sentence each, the gravest first.
        notes: what else there is to know.
    """

    name: str
    task: Task | None
    rows: RowCounts
    columns: tuple[ColumnFacts, ...]
    target: TargetFacts | None = None
    repeats: Repeats | None = None
    warnings: tuple[tuple[Code, str], ...] = ()
    notes: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return plain data for data.json, in which nothing is infinite or not a number."""
        plain = asdict(self)
        plain["rows"] = {"in" if name == "read" else name: count for name, count in plain["rows"].items()}
        plain["warnings"] = [{"code": code, "text": text} for code, text in self.warnings]
        found: dict[str, Any] = _finite({"format": FORMAT, **plain})
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:MOST_TOLD]) + (f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else "")


def many(count: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def of_repeats(report: Report) -> Iterator[tuple[Code, str]]:
    """Yield where rows repeat that should not."""
    repeats, rows = report.repeats, report.rows
    if repeats is None or repeats.expected:
        return
    for part, count, size in (("validation", repeats.val, rows.val), ("test", repeats.test, rows.test)):
        if size and count >= NOTABLE * size:
            share = f"{count / size:.1%} of them"
            yield "duplicates", f"{many(count, f'{part} row')} ({share}) equal a training row: the score flatters"
    if report.task != "regression" and rows.train and repeats.contradicting >= NOTABLE * rows.train:
        share = f"{repeats.contradicting / rows.train:.1%}"
        text = f"{many(repeats.contradicting, 'training row')} ({share}) equal another one with another target"
        yield "contradictions", f"{text}: no model can be right on all of them"


def of_target(report: Report) -> Iterator[tuple[Code, str]]:
    """Yield what is wrong with the target and the parts."""
    target, rows = report.target, report.rows
    assert target is not None
    train = {name: counts["train"] for name, counts in target.counts.items()}
    few = [f"{name} ({count})" for name, count in train.items() if count < FEW_ROWS]
    if few:
        what = "classes" if report.task in ("classification", "segmentation") else "labels"
        of_training = "training pixels" if report.task == "segmentation" else "training rows"
        yield "few_rows", f"{what} with fewer than {FEW_ROWS} {of_training}: {some(few)}"
    if target.imbalance is not None and target.imbalance > MUCH_IMBALANCE:
        most, least = max(train, key=lambda k: train[k]), min(train, key=lambda k: train[k])
        of_training = "training pixels" if report.task == "segmentation" else "training rows"
        text = f"class {most} has {target.imbalance:,.0f} times the {of_training} of class {least}"
        little, more = MEASURES.get(report.task or "", ("accuracy", "macro_f1"))
        yield "imbalance", f"{text} ({train[most]:,} to {train[least]:,}): {little} says little, {more} more"
    if rows.val is not None and rows.val < SMALL_VALIDATION:
        yield "small_validation", f"validation has {many(rows.val, 'row')}: one of them is {1 / max(rows.val, 1):.1%}"
