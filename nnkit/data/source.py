"""What a reader returns: whole arrays, by row, with their meaning."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nnkit.data.frame import Frame
from nnkit.data.sequences import Sequences
from nnkit.data.times import Layout, Step
from nnkit.errors import ConfigError, DataError
from nnkit.seeding import derive
from nnkit.spec import InputSpec, Task

Array = npt.NDArray[np.generic]
Rows = npt.NDArray[np.int64]
IGNORED = 255  # the class number of a pixel that does not count
OF_TEXTS = "data.task=language for one long text, or what fits of data.layout=lines, table, folders, files"


@final
@dataclass(frozen=True, slots=True)
class Account:
    """Where the rows of the files went: rows_in = rows used + rows dropped, by reason.

    Attributes:
        rows_in: rows that the files hold.
        dropped: how many were left out, by reason.
        notes: what the user should know of the reading, in words.
        left_out: columns that are no feature, with the reason.
        names: of the columns of a file without a header, in its order; empty where the names stand in the file. Of
            masks the value of each class, in the order of the classes, where each class has one.
    """

    rows_in: int
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def dropping(self, reason: str, count: int) -> Account:
        """Return the account with more rows dropped for a reason."""
        return replace(self, dropped={**self.dropped, reason: self.dropped.get(reason, 0) + count}) if count else self


@final
@dataclass(frozen=True, slots=True)
class Source:
    """A data set, by row.

    Attributes:
        name: for messages, such as "data=digits" or a path.
        inputs: each an array (N, …) float32 or uint8, a table, picture files that are read in training, or sequences.
        specs: name, kind and shape of each input that is no table; of sequences that vary, without their lengths, and
            with the longest T; of words, sizes is (0,), for the vocabulary is yet to be fitted.
        target: class numbers (N,) int64, or values (N, K) float64, 0 and 1 for multilabel; for segmentation class
            numbers (N, H, W) uint8, IGNORED where a pixel does not count. Sequences for an answer a step: of class
            numbers (S,) int64 for tagging, of words for language, and of values (S, K), H steps each, for a forecast.
        target_names: K names; one for classes.
        classes: class names by number; only for classification.
        test_rows: the test set that the data comes with; None where one is to be split off.
        val_rows: the validation set that the data comes with; None where one is to be split off.
        is_multilabel: whether the values are labels that are there or not.
        weight: (N,) float32, how much each row counts; None for all alike.
        group: (N,) int64, rows of one group stay together in one part; None for no groups.
        account: where the rows of the files went; None where all are used.
        numbers: (N,) int64, the number of each row in its files, from 0, over all of them; None where none is left out.
        channels: of a forecast, where the K targets stand among the channels of the first input.
        times: (S,) datetime64 of the steps of a forecast's inputs and target; None where there are none.
        step: from one of the times to the next.
        layout: how the times are written.
        names: of the rows, N of them, which alone decide on the parts that are split off; empty where chance does.
        digests: (N, 2) int64, of the pixels of pictures: the data is the same, in memory or not; None for other data.
    """

    name: str
    inputs: tuple[Any, ...]
    specs: tuple[InputSpec, ...]
    target: Array | Sequences
    target_names: tuple[str, ...]
    classes: tuple[str, ...] = ()
    test_rows: Rows | None = None
    val_rows: Rows | None = None
    is_multilabel: bool = False
    weight: Array | None = None
    group: Rows | None = None
    account: Account | None = None
    digests: Rows | None = None
    numbers: Rows | None = None
    channels: tuple[int, ...] = ()
    times: Array | None = None
    step: Step | None = None
    layout: Layout | None = None
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.target)

    @property
    def task(self) -> Task:
        """What is learned."""
        if isinstance(self.target, Sequences):
            return "language" if self.target.words else "tagging" if self.classes else "forecast"
        if self.classes:
            return "segmentation" if self.target.ndim == 3 else "classification"
        return "multilabel" if self.is_multilabel else "regression"

    @property
    def row_target(self) -> Array:
        """The target of a task that has one answer a row, (N,) or (N, K)."""
        assert isinstance(self.target, np.ndarray)
        return self.target

    @property
    def rows(self) -> Account:
        """Where the rows of the files went."""
        return self.account or Account(len(self))

    @property
    def part_notes(self) -> list[str]:
        """What the user should know of parts that are not split off."""
        parts = {"validation": self.val_rows, "test": self.test_rows}
        return [
            f"the {name} rows are those that the data comes with" for name, rows in parts.items() if rows is not None
        ]

    def fingerprint(self, *, has_parts: bool = True) -> str:
        """Return the SHA-256 of all values, in hexadecimal: equal data, equal fingerprint.

        Args:
            has_parts: whether the parts and groups that the data comes with count, too; in runs of the first format
                they did not.
        """
        digest = hashlib.sha256()
        for x in self.inputs if self.digests is None else (self.digests,):
            _add_parts(digest, x)
        _add_parts(digest, self.target)
        if self.weight is not None:
            _add(digest, self.weight)
        for name in ("val_rows", "test_rows", "group") if has_parts else ():
            rows = getattr(self, name)
            if rows is not None:
                _add(digest, rows, name)
        return digest.hexdigest()

    def is_of(self, run_facts: Mapping[str, Any]) -> bool:
        """Tell whether this is the data of a run, by its run.json."""
        found = self.fingerprint(has_parts=run_facts.get("format", 1) > 1)
        return found == run_facts.get("data_fingerprint")

    def take(self, rows: Rows, *, reason: str = "") -> Source:
        """Return the source of these rows alone; parts that the data comes with keep their meaning.

        Args:
            rows: their numbers, in order.
            reason: why the others are left out, for the account.
        """
        return replace(
            self,
            inputs=tuple(x[rows] for x in self.inputs),
            target=self.target[rows],
            test_rows=_still(self.test_rows, rows),
            val_rows=_still(self.val_rows, rows),
            weight=None if self.weight is None else self.weight[rows],
            group=None if self.group is None else self.group[rows],
            account=self.rows.dropping(reason, len(self) - len(rows)),
            digests=None if self.digests is None else self.digests[rows],
            numbers=rows if self.numbers is None else self.numbers[rows],
            names=tuple(self.names[row] for row in rows) if self.names else (),
        )


def _add_parts(digest: Any, x: Any) -> None:
    for name, array in x.arrays() if isinstance(x, (Frame, Sequences)) else (("", x),):
        _add(digest, array, name)


def _add(digest: Any, array: Array, name: str = "") -> None:
    digest.update((name + str((array.dtype, array.shape))).encode())
    digest.update(np.ascontiguousarray(array).data)


def _still(part: Rows | None, rows: Rows) -> Rows | None:
    return None if part is None else np.flatnonzero(np.isin(rows, part)).astype(np.int64)


def check_source(source: Source) -> None:
    """Check that there is something finite to learn.

    Raises:
        DataError: naming the first value that is not finite, a single class, or a lack of rows.
    """
    if len(source) < 3:
        is_text = source.task == "classification" and [spec.kind for spec in source.specs] == ["tokens"]
        told = f"{source.name} has {len(source)} rows, but training, validation and test need one each"
        raise DataError(told, hint=OF_TEXTS if is_text else "")
    check_finite(source)
    if len(source.classes) == 1:
        raise DataError(f"{source.name} has one class only ({source.classes[0]}): there is nothing to tell apart")
    if source.task == "classification" and len(source) < len(source.classes):
        raise DataError(f"{source.name} has {len(source)} rows, fewer than its {len(source.classes)} classes")


def check_finite(source: Source) -> None:
    """Check that arrays hold values, all of them finite. Raises: DataError, naming the first that is not."""
    for x in (*source.inputs, source.target):
        if not isinstance(x, (np.ndarray, Sequences)):
            continue
        array: Any = x.values if isinstance(x, Sequences) else x
        if array.size == 0:
            raise DataError(f"{source.name} has an array of shape {array.shape}, which holds no value")
        if not np.issubdtype(array.dtype, np.floating):
            continue
        wrong = ~np.isfinite(array)
        if wrong.any():
            first, *others = np.argwhere(wrong)[0].tolist()
            row, place = _row_of(x, first)
            raise DataError(
                f"{source.name} has {np.count_nonzero(wrong)} values that are not finite; the first is "
                f"{array[first, *others]} in row {row}, position {[*place, *(k + 1 for k in others)]}"
            )


def _row_of(x: Array | Sequences, first: int) -> tuple[int, list[int]]:
    """Return the row, from 1, of a place along the first dimension; of sequences also which of its steps it is."""
    if not isinstance(x, Sequences):
        return first + 1, []
    row = int(np.flatnonzero((x.starts <= first) & (first < x.starts + x.lengths))[0])
    return row + 1, [first - int(x.starts[row]) + 1]


def keep_classes(source: Source, wanted: Sequence[str | int]) -> Source:
    """Return the rows of the named classes, numbered in the order of the original.

    Raises:
        ConfigError: a name that is not a class, fewer than two, or a regression target.
    """
    if source.task != "classification":
        each = "pixel" if source.task == "segmentation" else "step"
        what = f"each {each} has a class" if source.classes else "the target is a number"
        raise ConfigError(f"data.classes picks classes, but {what}", hint="data.classes=null")
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
    rows = np.flatnonzero(np.isin(source.row_target, kept)).astype(np.int64)
    subset = source.take(rows, reason="not among data.classes")
    numbers = np.searchsorted(kept, subset.row_target.astype(np.int64)).astype(np.int64)
    return replace(subset, target=numbers, classes=tuple(source.classes[k] for k in kept))


def keep_some(source: Source, limit: float, seed: int) -> Source:
    """Return some rows, drawn by `seed`; parts that the data comes with stay whole.

    Args:
        source: the data.
        limit: at most so many rows; below 1, such a share of those that are in no part that the data comes with.
        seed: of the draw. A smaller limit keeps some of the rows that a larger one keeps.

    Raises:
        ConfigError: there are more classes than rows to be kept.
    """
    fixed = fixed_rows(source)
    rows = np.setdiff1d(np.arange(len(source)), fixed)
    most = int(limit) if limit >= 1 else round(limit * len(rows))
    classes = len(source.classes) if source.task == "classification" else 0
    if most < max(3, classes):
        needed = f"the {classes} classes of {source.name}" if classes else "three parts"
        shown = f"{limit}" if limit >= 1 else f"{limit}, {most} of {len(rows)} rows,"
        raise ConfigError(f"data.limit={shown} is too few for {needed}", hint="data.limit=null")
    if len(rows) <= most:
        return source
    drawn = np.random.default_rng(derive(seed, "limit")).permutation(rows)[:most]
    return source.take(np.sort(np.concatenate([drawn, fixed])).astype(np.int64), reason="over data.limit")


def class_numbers(target: Array | Sequences, rows: Rows) -> Array:
    """Return the class of each row, or of each step of the rows, or of their pixels that count."""
    if isinstance(target, np.ndarray) and target.ndim == 3:
        pixels = target[rows].ravel()
        return pixels.compress(pixels != IGNORED)
    return np.concatenate([target.values[:0], *target[rows]]) if isinstance(target, Sequences) else target[rows]


def all_count(source: Source) -> bool:
    """Tell whether each row has as many answers as any other: no sequence ends early, and no pixel is left out."""
    target = source.target
    if isinstance(target, Sequences):
        return target.is_even
    return source.task != "segmentation" or not (target == IGNORED).any()


def numbers_of(source: Source, rows: Rows) -> Rows:
    """Return the numbers that some rows have in their files, from 0."""
    return rows if source.numbers is None else source.numbers[rows]


def fixed_rows(source: Source) -> Rows:
    """Return the rows of the validation and test sets that the data comes with."""
    parts = [part for part in (source.val_rows, source.test_rows) if part is not None]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
