"""What `nnkit predict` reads, part by part: tables, and arrays of samples."""

# N rows of a part

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nnkit.config.sections.data import OnBad, TableConfig
from nnkit.data.array import as_inputs, load_array, load_arrays, with_lengths
from nnkit.data.frame import Column, ColumnKind, Frame
from nnkit.data.head import TextFormat
from nnkit.data.sequences import Sequences
from nnkit.data.table import text_format
from nnkit.data.tables import (
    BadCell,
    TableFile,
    bad_cells,
    found_files,
    missing_columns,
    names_of,
    open_table,
    read_batch,
)
from nnkit.data.tabular import TableEncoder
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.finished import Finished
from nnkit.infer.hints import hinting
from nnkit.infer.predict import MOST_TOLD, Part, Told
from nnkit.infer.sequences import as_trained, step_columns

if TYPE_CHECKING:
    import pyarrow as pa

SKIP = "--on-bad skip leaves it out"
TABLES = "a table with the columns that the run was trained on, or a glob of them in quotes"
ARRAYS = "a file of numbers, or an .npz or .npy file with x"
NO_VALUE = ("",)  # what goes along keeps its words, even those that mean a missing value


def table_parts(
    run: Finished, encoder: TableEncoder, source: str | BinaryIO, told: Told, *, on_bad: OnBad
) -> Iterator[Part]:
    """Yield the rows of text or Parquet files, or of standard input.

    Args:
        run: whose data was a table.
        encoder: of its columns.
        source: a path, a glob, or a stream of text.
        told: grows by what there is to tell.
        on_bad: whether a row that cannot be read ends it all, or is left out.

    Raises:
        DataError: naming line and column of what cannot be read.
        ConfigError: naming the columns that are missing.
    """
    section = run.config.data
    assert isinstance(section, TableConfig)
    form, missing = _form(section, encoder), tuple(section.missing_values)
    with hinting(on_bad=SKIP, path=TABLES):
        if not isinstance(source, str):
            file = open_table(source, form)
            yield from _read(file, encoder, missing, _kept(file, encoder), told, on_bad)
            return
        paths = found_files(source)
        kept = _kept_of_all(paths, form, encoder)
        for path in paths:
            yield from _read(open_table(path, form), encoder, missing, kept, told, on_bad)


def _form(section: TableConfig, encoder: TableEncoder) -> TextFormat:
    """Return how files are written; one without a header may lack the target, and then what has a part to play."""
    targets = tuple(section.targets)
    others = tuple(name for role, names in section.roles.items() if role != "target" for name in names)
    absent = (targets, (*targets, *others)) if section.names is not None else ()
    known = frozenset(encoder.names)
    return replace(text_format(section), missing_values=NO_VALUE, absent_names=absent, known_names=known)


def _kept(file: TableFile, encoder: TableEncoder) -> list[str]:
    """Return the columns that go along. Raises: ConfigError, naming the columns that are missing."""
    names = names_of(file)
    if missing := [name for name in encoder.names if name not in names]:
        raise missing_columns(missing, file, encoder.names)
    known = set(encoder.names)
    return [name for name in names if name not in known]


def _kept_of_all(paths: Sequence[Path], form: TextFormat, encoder: TableEncoder) -> list[str]:
    """Return the columns that go along, the same ones in every file; all heads are looked at before the first row."""
    first, *others = paths
    kept = _kept(open_table(first, form), encoder)
    for path in others:
        differing = set(_kept(open_table(path, form), encoder)) ^ set(kept)
        if differing:
            raise DataError(
                f"{path} and {first} differ in the columns that go along: {', '.join(sorted(differing)[:10])}",
                hint="predict the files one by one",
            )
    return kept


def _read(
    file: TableFile, encoder: TableEncoder, missing: Sequence[str], names: list[str], told: Told, on_bad: OnBad
) -> Iterator[Part]:
    for frame, batch in good_rows(file, encoder.kinds, encoder.needed, missing, told, on_bad):
        for name, count in encoder.unseen(frame).items():
            told.unseen[name] = told.unseen.get(name, 0) + count
        yield Part((frame,), {name: batch.column(name) for name in names})


def good_rows(
    file: TableFile,
    kinds: Mapping[str, ColumnKind],
    needed: frozenset[str],
    missing: Sequence[str],
    told: Told,
    on_bad: OnBad,
) -> Iterator[tuple[Frame, pa.RecordBatch]]:
    """Yield the rows of a file that can be read, as a frame and as they stand there.

    Args:
        file: opened.
        kinds: of the columns of the frame.
        needed: columns in which no cell may be missing.
        missing: what a cell without a value may hold.
        told: grows by the rows that cannot be read.
        on_bad: whether such a row ends it all, or is left out.

    Raises:
        DataError: naming line and column of what cannot be read.
    """
    first_row = 0
    with ThreadPoolExecutor(2) as threads:
        for batch in file.batches(skips_ragged=on_bad == "skip"):
            try:
                frame, bad = read_rows(batch, kinds, file.form, missing, needed, threads)
            except DataError as error:
                raise DataError(*(Problem(f"{file.name}: {p.text}", p.hint) for p in error.problems)) from error
            if bad:
                rows = np.setdiff1d(np.arange(batch.num_rows), [cell.row for cell in bad])
                _judge(bad, first_row, file, told, on_bad)
                frame, taken = frame[rows], batch.take(rows)
            first_row += batch.num_rows
            if len(frame):
                yield frame, taken if bad else batch
    told.skip(len(file.ragged), [f"{file.name}, {text}" for text in file.ragged[:MOST_TOLD]])


def _judge(bad: Sequence[BadCell], first_row: int, file: TableFile, told: Told, on_bad: OnBad) -> None:
    room = MOST_TOLD if on_bad == "error" else MOST_TOLD - len(told.lines)
    texts = [replace(cell, row=first_row + cell.row).worded(file) for cell in bad[: max(0, room)]]
    if on_bad == "error":
        raise DataError(*(Problem(text, "" if i else SKIP) for i, text in enumerate(texts)))
    told.skip(len({cell.row for cell in bad}), texts)


def read_rows(
    batch: pa.RecordBatch,
    kinds: Mapping[str, ColumnKind],
    form: TextFormat,
    missing: Sequence[str],
    needed: frozenset[str],
    threads: ThreadPoolExecutor,
) -> tuple[Frame, list[BadCell]]:
    """Return a batch of a file as a frame, and its cells that cannot be read, with their rows in the batch.

    Raises:
        DataError: a column holds something else altogether.
    """
    read = _without(missing, batch.select(list(kinds)), kinds)
    found = read_batch(read, kinds, replace(form, missing_values=tuple(missing)), threads)
    bad = bad_cells(batch, found, kinds, needed, 0)
    return Frame(tuple(Column(n, kinds[n], cells.values, cells.categories) for n, cells in found.items())), bad


def _without(missing: Sequence[str], batch: pa.RecordBatch, kinds: Mapping[str, ColumnKind]) -> pa.RecordBatch:
    """Return the batch with null for words such as nan, which among numbers would be read as one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    words, columns = pa.array(missing, pa.string()), []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        is_text = kinds[name] == "numeric" and pa.types.is_string(column.type)
        columns.append(pc.if_else(pc.is_in(column, words), pa.scalar(None, pa.string()), column) if is_text else column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def array_parts(run: Finished, path: Path, told: Told, *, on_bad: OnBad) -> Iterator[Part]:
    """Yield the samples of an .npz (its x) or .npy file, or, for features, the rows of a text file of numbers.

    Raises:
        DataError: it cannot be read, or its samples have another shape than the run's.
        ConfigError: the run takes no such file.
    """
    size = run.config.batching.eval_batch_size * 8
    with hinting(on_bad=SKIP, path=ARRAYS):
        if path.suffix.lower() in (".npz", ".npy"):
            array, beside = _loaded(path)
            samples = samples_of(run, array, f"{path}: x", beside)
            for start in range(0, len(samples), size):
                rows = _finite(samples[start : start + size], start, path, told, on_bad)
                if len(rows):
                    some = samples[rows]
                    names = tuple(str(row + 1) for row in rows) if run.spec.is_per_pixel else ()
                    yield Part((some,), step_columns(run, some, rows), len(rows), names)
            return
        if run.spec.inputs[0].kind != "features":
            takes = "a .ts, .npz" if run.spec.inputs[0].kind == "series" else "an .npz"
            raise ConfigError(
                f"{path} is not {takes} or .npy file, which the run takes", hint="an array x as in training"
            )
        file = open_table(path, TextFormat())
        names = names_of(file)
        kinds: dict[str, ColumnKind] = dict.fromkeys(names, "numeric")
        for frame, _ in good_rows(file, kinds, frozenset(names), NO_VALUE, told, on_bad):
            yield Part((samples_of(run, np.stack([c.values for c in frame.columns], axis=1), str(path)),))


def _loaded(path: Path) -> tuple[Any, Mapping[str, Any]]:
    """Return the samples of a file, and the arrays that stand beside them. Raises: DataError."""
    if path.suffix.lower() == ".npy":
        return load_array(path), {}
    arrays = load_arrays(path)
    if "x" not in arrays:
        raise DataError(f"{path} has no array named x, only {', '.join(arrays)}", hint="call the samples x")
    return arrays["x"], arrays


def samples_of(run: Finished, array: Any, name: str, beside: Mapping[str, Any] | None = None) -> Any:
    """Return samples (N, …) as the run's encoder takes them.

    Args:
        run: that answers.
        array: the samples.
        name: for messages.
        beside: arrays that stand beside it; `lengths` (N,) are those of padded series.

    Raises:
        DataError: they have another shape, or are no numbers.
        ConfigError: the run takes no arrays.
    """
    given = run.spec.inputs[0]
    if given.kind == "tokens":
        raise ConfigError(f"{name} is an array, but the run was trained on texts", hint="a file with a text a line")
    kind: Any = given.kind
    samples, spec = as_inputs(array, kind=kind, name=name)
    if given.kind == "series":
        return as_trained(run, with_lengths(beside or {}, samples, name), name)
    if spec.shape != given.shape:
        hint = "pictures of any size are taken as files (in Python as Pillow's, too)"
        if kind != "image":
            known = f"the {given.shape[0]} columns of the training, in their order"
            hint = f"{known}, without the target" if spec.shape > given.shape else known
        told = f"{name} has samples of shape {spec.shape}, but the run was trained on {given.shape}"
        raise DataError(told, hint=hint)
    return samples


def _finite(samples: Any, start: int, path: Path, told: Told, on_bad: OnBad) -> Any:
    """Return the numbers (N,) of the samples that hold no value that is not finite; `start` is that of the first."""
    rows = np.arange(start, start + len(samples))
    is_finite = finite_rows(samples)
    if is_finite.all():
        return rows
    texts = [f"{path}, row {r + 1}: a value is not finite" for r in rows[~is_finite][:MOST_TOLD]]
    if on_bad == "error":
        raise DataError(*(Problem(text, "" if i else SKIP) for i, text in enumerate(texts)))
    told.skip(int((~is_finite).sum()), texts)
    return rows[is_finite]


def finite_rows(samples: Any) -> Any:
    """Return which samples (N,) hold finite values alone; of sequences the steps that there are."""
    if isinstance(samples, Sequences):
        kept = samples.compact()
        return np.logical_and.reduceat(np.isfinite(kept.values).all(1), kept.starts)
    if samples.dtype == np.uint8:
        return np.ones(len(samples), bool)
    return np.isfinite(samples).all(tuple(range(1, samples.ndim)))
