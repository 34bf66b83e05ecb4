"""Series in the text format `.ts` of sktime and aeon: a line a case, its dimensions between colons, then its label."""

# N cases, T steps, C channels (dimensions)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nnkit.config.sections.sequences import TsConfig
from nnkit.data.images import report
from nnkit.data.sequences import Rows, Sequences
from nnkit.data.source import Account, Source
from nnkit.data.tables import found_files, name_of_all
from nnkit.data.text_lines import read_lines
from nnkit.data.ts_header import TsHeader, read_header, short
from nnkit.errors import DataError, Problem
from nnkit.spec import InputSpec

Case = npt.NDArray[np.float32]
_MISSING = ("?", "", "nan")
_MOST_SHOWN = 10
_LARGEST = float(np.finfo(np.float32).max)


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """What is wrong with a line."""


@final
@dataclass(slots=True)
class _Cases:
    """The cases of one file after the other.

    Attributes:
        needs_labels: whether each case must have a label that can be learned; else labels are passed over.
        dimensions: how many channels each case has; None before the first one.
        dimensions_by: who says so.
        classes: the names that labels may have; None before the first file.
        labels: of each case, if they are needed: the number of its class, or its value.
    """

    needs_labels: bool
    dimensions: int | None = None
    dimensions_by: str = ""
    header: TsHeader | None = None
    notes: list[str] = field(default_factory=list)
    cases: list[Case] = field(default_factory=list)
    labels: list[float] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Add the cases of a file. Raises: DataError, with all that is wrong in it."""
        if path.is_dir():
            raise DataError(f"{path} is a folder", hint="data.path=FILE.ts, and data.test_path for the test")
        lines = read_lines(path)
        header = read_header(lines, str(path))
        self._take_header(header, path)
        before, problems = len(self.cases), []
        length = (header.length, "@seriesLength says") if header.length is not None else (None, "")
        for number, raw in enumerate(lines[header.first :], header.first + 1):
            line = raw.strip()
            if not line or line.startswith(b"#"):
                continue
            try:
                case = self._case(line, header, number)
                if length[0] not in (None, len(case)):
                    raise _Wrong(f"{_counted(len(case), 'value')} a dimension, but {length[1]} {length[0]}")
            except _Wrong as wrong:
                problems.append(Problem(f"{path}, line {number}: {wrong}"))
                continue
            self.cases.append(case)
            if header.is_equal and length[0] is None:
                length = (len(case), f"@equalLength is true, and line {number} has")
        report(problems)
        if len(self.cases) == before:
            raise DataError(f"{path} has no series behind @data", hint="is it the right file?")
        self.notes += header.notes

    def _take_header(self, header: TsHeader, path: Path) -> None:
        """Hold what the first file says. Raises: DataError, where a later one says something else."""
        if self.dimensions is None and header.dimensions is not None:
            self.dimensions, self.dimensions_by = header.dimensions, "the header says"
        if not self.needs_labels:
            return
        if header.labels == "none":
            raise DataError(f"{path} has no labels to learn from", hint="@classLabel true a b, or @targetlabel true")
        if header.labels == "classes" and not header.classes:
            raise DataError(f"{path}: @classLabel true names no class", hint="@classLabel true a b")
        if self.header is None:
            self.header = header
        elif self.header.labels != header.labels:
            raise DataError(f"{path} has {header.labels} as labels, but the file for training has {self.header.labels}")

    def _case(self, line: bytes, header: TsHeader, number: int) -> Case:
        """Return one case (T, C). Raises: _Wrong."""
        try:
            pieces = line.decode("utf-8").split(":")
        except UnicodeDecodeError as error:
            raise _Wrong(f"byte {error.start + 1} of it, 0x{line[error.start]:02x}, is not utf-8 text") from None
        if "(" in pieces[0]:
            raise _Wrong("values with time stamps in brackets cannot be used; write the values alone")
        has_label = header.labels != "none" and (self.needs_labels or len(pieces) - 1 == self.dimensions)
        label = pieces.pop().strip() if has_label else ""
        if not pieces:
            raise _Wrong("no label behind a colon")
        if self.dimensions is None:
            self.dimensions, self.dimensions_by = len(pieces), f"line {number} has"
        if len(pieces) != self.dimensions:
            beside = f" beside the label '{short(label)}'" if has_label else ""
            raise _Wrong(f"{_counted(len(pieces), 'dimension')}{beside}, but {self.dimensions_by} {self.dimensions}")
        case = _values(pieces)
        if self.needs_labels:
            self.labels.append(self._label(label))
        return case

    def _label(self, label: str) -> float:
        """Return the number of a class, or a value. Raises: _Wrong."""
        assert self.header is not None
        if self.header.labels == "values":
            value = _number(label)
            if value is None or not np.isfinite(value):
                raise _Wrong(f"the value to be predicted, '{short(label)}', is not a finite number")
            return value
        classes = self.header.classes
        if label not in classes:
            shown = ", ".join(classes[:_MOST_SHOWN]) + (", …" if len(classes) > _MOST_SHOWN else "")
            raise _Wrong(f"the label '{short(label)}' is not among {shown}")
        return float(classes.index(label))


def _values(pieces: Sequence[str]) -> Case:
    """Return the values (T, C) of C dimensions. Raises: _Wrong, naming the first that is none."""
    dimensions = [piece.split(",") for piece in pieces]
    length = len(dimensions[0])
    for number, dimension in enumerate(dimensions, 1):
        if dimension == [""] or not "".join(dimension).strip():
            raise _Wrong(f"dimension {number} is empty")
        if len(dimension) != length:
            found = _counted(len(dimension), "value")
            raise _Wrong(f"dimension {number} has {found}, but dimension 1 has {length}")
    try:
        if any("_" in piece for piece in pieces):
            raise ValueError  # which Python takes for a sign between digits
        values = np.array([list(map(float, dimension)) for dimension in dimensions])
    except ValueError:
        raise next(_wrong_ones(dimensions)) from None
    with np.errstate(over="ignore"):
        case = np.ascontiguousarray(values.T, np.float32)
    if not np.isfinite(case).all():
        raise next(_wrong_ones(dimensions))
    return case


def _wrong_ones(dimensions: Sequence[Sequence[str]]) -> Iterator[_Wrong]:
    """Yield the values that are no finite numbers of 32 bits."""
    for number, dimension in enumerate(dimensions, 1):
        for position, text in enumerate(dimension, 1):
            where = f"dimension {number}, position {position}"
            value = _number(text)
            if text.strip().lower() in _MISSING:
                yield _Wrong(f"{where}: the value is missing ('{text.strip()}'), and gaps cannot be used")
            elif value is None:
                yield _Wrong(f"{where}: '{short(text)}' is not a number")
            elif not abs(value) <= _LARGEST:
                yield _Wrong(f"{where}: '{short(text)}' is not a finite number of 32 bits")


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def read_ts(config: TsConfig) -> Source:
    """Return the series of a section's files, with the classes (or the values) that they are labelled with.

    Returns:
        Input "x": (N, T, C) float32 where all series of all files have one length, else sequences; target of class
        numbers (N,), those of the classes that occur, in the order of the header; or of values (N, 1).

    Raises:
        DataError: a file is missing or broken: with the lines, up to 20 of them.
    """
    found, parts = _Cases(needs_labels=True), []
    for word in (config.path, config.val_path, config.test_path):
        before = len(found.cases)
        for path in found_files(word) if word is not None else ():
            found.read(path)
        rows = np.arange(before, len(found.cases), dtype=np.int64)
        parts.append(None if word is None else rows)
    x, spec = _input(Sequences.of(found.cases))
    target, name, classes = _target(found)
    return Source(
        name_of_all(found_files(config.path)),
        (x,),
        (spec,),
        target,
        (name,),
        classes,
        test_rows=parts[2],
        val_rows=parts[1],
        account=Account(len(found.cases), notes=tuple(found.notes)) if found.notes else None,
    )


def _input(given: Sequences) -> tuple[Any, InputSpec]:
    """Return series (N, T, C) as they are where all have one length, else as sequences."""
    spec = InputSpec("x", "series", (given.longest, given.values.shape[1]))
    return (given.values.reshape(len(given), *spec.shape) if given.is_even else given), spec


def _target(found: _Cases) -> tuple[Any, str, tuple[str, ...]]:
    """Return the target, its name, and the classes that occur."""
    assert found.header is not None
    if found.header.labels == "values":
        return np.array(found.labels)[:, None], "target", ()
    numbers: Rows = np.array(found.labels, np.int64)
    occurs, numbers = np.unique(numbers, return_inverse=True)
    absent = [name for k, name in enumerate(found.header.classes) if k not in occurs]
    if absent:
        found.notes.append(f"no series is of the class {', '.join(absent)}")
    return numbers.astype(np.int64), "class", tuple(found.header.classes[k] for k in occurs)


def read_ts_cases(path: Path, *, channels: int) -> Sequences:
    """Return the series of a file for which something is to be predicted; its labels, if it has some, are passed over.

    Args:
        path: a file in the format; with a label a line, or without any.
        channels: how many dimensions a run has learned from.

    Raises:
        DataError: the file is missing or broken, or its series have other dimensions.
    """
    found = _Cases(needs_labels=False, dimensions=channels, dimensions_by="the run has learned from")
    found.read(path)
    return Sequences.of(found.cases)
