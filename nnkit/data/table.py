"""A table for training: features, target, and the columns that say how rows are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from nnkit.config.sections.data import TableConfig
from nnkit.data.frame import Column, ColumnKind, Frame, joined
from nnkit.data.head import TextFormat
from nnkit.data.parquet import ParquetFile
from nnkit.data.reading import Reading
from nnkit.data.source import Account, Rows, Source
from nnkit.data.tables import found_files, missing_columns, name_of_all, names_of, open_table
from nnkit.data.target import class_order, is_binary, read_target
from nnkit.errors import DataError
from nnkit.spec import Task

# What a split column may hold.
PARTS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "dev": 1, "test": 2, "testing": 2}


def text_format(config: TableConfig) -> TextFormat:
    """Return how a section says that its text files are written."""
    return TextFormat(
        delimiter=config.delimiter,
        header=config.header,
        names=None if config.names is None else tuple(config.names),
        missing_values=tuple(config.missing_values),
        strip=config.strip,
        comment=config.comment,
        encoding=config.encoding,
    )


def role_columns(config: TableConfig) -> list[str]:
    """Return the columns that say how rows are used, and so are no features."""
    return [name for role in ("sample_weight", "group", "split_column") for name in config.roles[role]]


@final
@dataclass(frozen=True, slots=True)
class Contents:
    """What the files of a section hold.

    Attributes:
        name: of the files, for messages.
        frame: their columns that are read, those with a part to play among them.
        lengths: rows of the files for training, and of those for validation and test where there are such.
        reading: what has read them.
        account: where their rows and columns went.
    """

    name: str
    frame: Frame
    lengths: tuple[int, ...]
    reading: Reading
    account: Account


def read_contents(
    config: TableConfig, targets: Sequence[str], kinds: Mapping[str, ColumnKind] | None = None
) -> Contents:
    """Return what a section's files hold.

    Args:
        config: the section; its own targets do not count.
        targets: the columns that are to be predicted; empty where nobody has said so.
        kinds: of the features, where a run has fixed them; all other columns but target and weight are left alone.

    Raises:
        DataError: a file cannot be read, or a cell of it (with line and column).
        ConfigError: a column that is named is not there.
    """
    paths = found_files(config.path)
    form = replace(text_format(config), known_names=frozenset(kinds or ()))
    reading = _reading(config, targets, paths[0], form)
    if kinds is not None:
        reading.wanted = {**reading.wanted, **kinds}
        reading.exact |= kinds.keys()  # the run's encoder rounds them as it did in training
        known = {*kinds, *targets, *role_columns(config)}
        reading.unread = frozenset(names_of(open_table(paths[0], form))) - known
    more = [path for path in (config.val_path, config.test_path) if path is not None]
    frames = [reading.read(paths), *(reading.read(found_files(path)) for path in more)]
    frame = joined([Frame(tuple(f.column(name) for name in reading.kinds)) for f in frames])
    left_out = dict.fromkeys(config.ids, "data.id") | dict.fromkeys(config.drop, "data.drop") | reading.left_out
    names = _names_given(paths[0], form)
    account = Account(reading.rows_in, reading.dropped, tuple(reading.bad_told), left_out, names)
    return Contents(name_of_all(paths), frame, tuple(len(f) for f in frames), reading, account)


def read_table(config: TableConfig, kinds: Mapping[str, ColumnKind] | None = None) -> Source:
    """Return the rows of a section's files.

    Args:
        config: the section.
        kinds: of the features, where a run has fixed them; all other columns but target and weight are left alone.

    Raises:
        DataError: a file cannot be read, or a cell of it (with line and column), or there is nothing to learn.
        ConfigError: a column that is named is not there.
    """
    if kinds is not None:
        config = replace(config, drop=[], id=None, group=None, numeric=[], categorical=[])
    found = read_contents(config, config.targets, kinds)
    name, frame, reading = found.name, found.frame, found.reading
    features = _features(config, frame, reading, name)
    target, names, classes, task = _target(config, [frame.column(t) for t in config.targets], name)
    val_rows, test_rows = _parts(config, frame, found.lengths, reading)
    if classes and config.classes is None:
        _check_classes(target, classes, (val_rows, test_rows), reading, names[0])
    return Source(
        name,
        (features,),
        (),
        target,
        names,
        classes,
        test_rows,
        val_rows,
        task == "multilabel",
        weight=_weight(config, frame, name),
        group=_group(config, frame),
        account=found.account,
        numbers=reading.numbers(),
    )


def _features(config: TableConfig, frame: Frame, reading: Reading, name: str) -> Frame:
    """Return the columns without a part to play. Raises: DataError where there is none, or no target."""
    targets = config.targets
    features = Frame(tuple(c for c in frame.columns if c.name not in {*targets, *role_columns(config)}))
    if not features.columns:
        raise DataError(f"{name} has no column beside the target {', '.join(targets)} that can be learned from")
    text = next((t for t in targets if t in reading.left_out), None)
    if text is not None:
        raise DataError(f"{name}: column {text} is no target: {reading.left_out[text]}")
    return features


def _reading(config: TableConfig, targets: Sequence[str], first: Path, form: TextFormat) -> Reading:
    roles = role_columns(config)
    named = {*config.numeric, *config.categorical, *config.ids, *config.drop, *roles}
    first_file = open_table(first, form)
    there = set(names_of(first_file))
    if absent := [name for name in dict.fromkeys([*targets, *sorted(named)]) if name not in there]:
        raise missing_columns(absent, first_file)
    wanted: dict[str, ColumnKind] = dict.fromkeys(config.numeric, "numeric")
    wanted |= dict.fromkeys(config.categorical, "categorical")
    if config.sample_weight is not None:
        wanted[config.sample_weight] = "numeric"
    wanted |= {name: "categorical" for name in (config.group, config.split_column) if name is not None}
    cut_apart = frozenset(targets) if config.target_separator is not None else frozenset()
    wanted |= dict.fromkeys(cut_apart, "categorical")
    takes_numbers = len(targets) > 1 or (config.task == "multilabel" and not cut_apart)
    return Reading(
        form,
        wanted=wanted,
        unread=frozenset({*config.drop, *config.ids}),
        needed=frozenset({*targets, *roles}) - cut_apart,
        complete=_complete_kinds(config),
        labels=frozenset(roles if takes_numbers else {*targets, *roles}),
        weights=frozenset(config.roles["sample_weight"]),
        exact=frozenset(targets),
        on_bad=config.on_bad,
    )


def _complete_kinds(config: TableConfig) -> frozenset[ColumnKind]:
    """Return the kinds of features in which no cell may be missing."""
    numbers: tuple[ColumnKind, ...] = ("numeric", "boolean", "date") if config.missing_numeric == "error" else ()
    texts: tuple[ColumnKind, ...] = ("categorical",) if config.missing_categorical == "error" else ()
    return frozenset({*numbers, *texts})


def _names_given(path: Path, form: TextFormat) -> tuple[str, ...]:
    file = open_table(path, form)
    return () if isinstance(file, ParquetFile) or file.head.has_header else file.head.names


def _target(
    config: TableConfig, columns: Sequence[Column], name: str
) -> tuple[Any, tuple[str, ...], tuple[str, ...], Task]:
    """Return the target as a network learns it, its names, its classes and the task."""
    where = f"{name}: column {', '.join(c.name for c in columns)}"
    if config.target_separator is not None:
        return _labels_in_cells(columns[0], config.target_separator, where)
    if len(columns) > 1 or config.task == "multilabel":
        texts = [c.name for c in columns if c.kind == "categorical"]
        if texts:
            raise DataError(f"{name}: the target column {texts[0]} is text, but several targets must be numbers")
        values = np.stack([c.values.astype(np.float64) for c in columns], axis=1)
        task = config.task if config.task != "auto" else "multilabel" if is_binary(values) else "regression"
        target, classes, found = read_target(values, task=task, name=where)
        return target, tuple(c.name for c in columns), classes, found
    (column,) = columns
    if column.kind != "numeric":
        if config.task == "regression":
            raise DataError(f"{where} must be numbers for regression, got text such as '{column.categories[0]}'")
        numbers, classes = _classes(column)
        return numbers, (column.name,), classes, "classification"
    target, classes, found = read_target(column.values.astype(np.float64), task=config.task, name=where)
    return target, (column.name,), classes, found


def _classes(column: Column) -> tuple[Any, tuple[str, ...]]:
    """Return class numbers (N,) int64 and the names in their order, of those that occur."""
    occurs = np.bincount(column.values, minlength=len(column.categories)) > 0
    names = class_order([name for name, there in zip(column.categories, occurs, strict=True) if there])
    place = {name: number for number, name in enumerate(names)}
    table = np.array([place.get(name, -1) for name in column.categories], dtype=np.int64)
    return table[column.values], tuple(names)


def _labels_in_cells(column: Column, separator: str, where: str) -> tuple[Any, tuple[str, ...], tuple[str, ...], Task]:
    sets = [{part.strip() for part in text.split(separator)} - {""} for text in column.categories]
    labels = tuple(sorted(set().union(*sets)))
    if not labels:
        raise DataError(f"{where} holds no label")
    table = np.array([[label in found for label in labels] for found in [*sets, set()]], dtype=np.float64)
    return table[column.values], labels, (), "multilabel"


def _parts(
    config: TableConfig, frame: Frame, lengths: Sequence[int], reading: Reading
) -> tuple[Rows | None, Rows | None]:
    """Return the validation and test rows that the files, or a column, fix; None where they are to be split off."""
    if config.split_column is not None:
        return _parts_by_column(frame.column(config.split_column), reading)
    starts = np.cumsum([0, *lengths])
    found: list[Rows | None] = []
    place = 1
    for path in (config.val_path, config.test_path):
        if path is None:
            found.append(None)
            continue
        found.append(np.arange(starts[place], starts[place + 1], dtype=np.int64))
        place += 1
    return found[0], found[1]


def _parts_by_column(column: Column, reading: Reading) -> tuple[Rows | None, Rows | None]:
    parts = np.array([PARTS.get(text.lower(), -1) for text in column.categories])[column.values]
    if (parts < 0).any():
        row = int(np.argmin(parts))
        where = f"{reading.place(row)}, column {column.name}"
        text = f"'{column.categories[column.values[row]]}' is none of train, val, test"
        raise DataError(f"{where}: {text}", hint="data.split_column=null")
    if not (parts == 0).any():
        raise DataError(f"{reading.done[0].path}: column {column.name} has no row of train")
    val, test = (np.flatnonzero(parts == number).astype(np.int64) for number in (1, 2))
    return (val if len(val) else None), (test if len(test) else None)


def _check_classes(
    target: Any, classes: Sequence[str], parts: Sequence[Rows | None], reading: Reading, name: str
) -> None:
    """Raise: DataError, naming the first row of a fixed part whose class no other row has."""
    is_fixed = np.zeros(len(target), dtype=bool)
    for part in parts:
        if part is not None:
            is_fixed[part] = True
    known = np.bincount(target[~is_fixed], minlength=len(classes)) > 0
    if known.all():
        return
    row = int(np.argmin(known[target]))
    raise DataError(
        f"{reading.place(row)}, column {name}: no training row is of the class '{classes[target[row]]}'",
        hint="leave the class out with data.classes=[…], or mend the file",
    )


def _weight(config: TableConfig, frame: Frame, name: str) -> Any:
    if config.sample_weight is None:
        return None
    weight = frame.column(config.sample_weight).values.astype(np.float32)
    if not weight.any():
        raise DataError(f"{name}: column {config.sample_weight} holds weights of 0 alone")
    return weight


def _group(config: TableConfig, frame: Frame) -> Rows | None:
    return None if config.group is None else frame.column(config.group).values.astype(np.int64)
