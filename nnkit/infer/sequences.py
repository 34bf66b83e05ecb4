"""What `nnkit predict` reads of sequences: series in .ts files, and texts, a line each or in a table."""

# N sequences of a part, T steps, C channels

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from nnkit.config.sections.data import OnBad
from nnkit.config.sections.sequences import TextConfig
from nnkit.data.cells import as_text, plain
from nnkit.data.head import TextFormat
from nnkit.data.sequence_encoder import SequenceEncoder
from nnkit.data.sequences import Sequences
from nnkit.data.tables import PARQUET, TableFile, found_files, missing_columns, names_of, open_table, place_of
from nnkit.data.text_layouts import one_line
from nnkit.data.text_lines import read_whole, unpacked_name
from nnkit.data.tokens import sequences_of
from nnkit.data.ts import read_ts_cases
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.finished import Finished
from nnkit.infer.hints import hinting
from nnkit.infer.predict import MOST_TOLD, Part, Told

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = (".csv", ".tsv", ".tab", *PARQUET)
SKIP = "--on-bad skip leaves it out"
AT_ONCE = 8  # batches that are read before the network sees them


def as_trained(run: Finished, given: Any, name: str) -> Any:
    """Return series or texts in the form that the run's encoder takes.

    Args:
        run: trained on series or texts.
        given: an array (N, T, C), or sequences.
        name: for messages.

    Raises:
        DataError: they have other channels; or another length, and the run has learned from sequences of one length.
    """
    encoder, spec = run.preprocess.inputs[0], run.spec.inputs[0]
    if spec.kind == "tokens":
        return given
    channels = given.values.shape[1] if isinstance(given, Sequences) else given.shape[2]
    if channels != spec.shape[1]:
        raise DataError(f"{name} has {channels} channels a step, but the run was trained on {spec.shape[1]}")
    is_array = isinstance(given, np.ndarray)
    lengths = np.full(len(given), given.shape[1]) if is_array else given.lengths
    odd = np.flatnonzero(lengths != spec.shape[0])
    if len(odd) and not run.spec.has_lengths:
        told = f"row {odd[0] + 1} has {lengths[odd[0]]} steps, but the run was trained on {spec.shape[0]}"
        raise DataError(f"{name}: {told}, the same for every row")
    if isinstance(encoder, SequenceEncoder):
        return _as_sequences(given) if is_array else given
    return given if is_array else given.values[given.starts[:, None] + np.arange(spec.shape[0])]


def _as_sequences(array: Any) -> Sequences:
    num, steps = array.shape[:2]
    return Sequences(
        array.reshape(num * steps, -1), np.arange(num, dtype=np.int64) * steps, np.full(num, steps, np.int64)
    )


def parts_of(run: Finished, given: Any) -> Iterator[Part]:
    """Yield N sequences, as the run's encoder takes them, some at a time."""
    size = run.config.batching.eval_batch_size * AT_ONCE
    for start in range(0, len(given), size):
        some = given[start : start + size]
        yield Part((some,), step_columns(run, some, np.arange(start, start + len(some))), len(some))


def step_columns(run: Finished, given: Any, rows: Any) -> dict[str, pa.Array]:
    """Return row and step of each answer, from 1, where each step of sequences has one; else nothing.

    Args:
        run: that answers.
        given: N sequences, or an array of them.
        rows: (N,) their numbers, from 0.
    """
    import pyarrow as pa

    if not run.spec.is_per_step:
        return {}
    lengths = given.lengths if isinstance(given, Sequences) else np.full(len(given), given.shape[1])
    steps = np.arange(lengths.sum()) - (lengths.cumsum() - lengths).repeat(lengths)
    return {"row": pa.array(rows.repeat(lengths) + 1), "step": pa.array(steps + 1)}


def ts_parts(run: Finished, path: Path) -> Iterator[Part]:
    """Yield the series of a .ts file, with labels or without.

    Raises:
        DataError: it cannot be read, or its series are unlike those of the training.
        ConfigError: the run was trained on something else.
    """
    kind = run.spec.inputs[0].kind
    if kind != "series":
        raise ConfigError(f"{path} holds series, but the run was trained on {kind}", hint="a file as in training")
    found = read_ts_cases(path, channels=run.spec.inputs[0].shape[1])
    yield from parts_of(run, as_trained(run, found, str(path)))


def text_parts(run: Finished, source: str | BinaryIO, told: Told, *, on_bad: OnBad) -> Iterator[Part]:
    """Yield texts: the lines of text files, or a column of tables, whose other columns go along.

    Standard input is a table where the run was trained on one, else a text a line.

    Args:
        run: trained on texts.
        source: a path, a glob, or a stream.
        told: grows by what there is to tell.
        on_bad: whether an empty text, or a row that cannot be read, ends it all or is left out.

    Raises:
        DataError: naming the line of what cannot be read.
        ConfigError: a table has no column of texts.
    """
    section = run.config.data
    assert isinstance(section, TextConfig)
    with hinting(on_bad=SKIP):
        for each in found_files(source) if isinstance(source, str) else (source,):
            if isinstance(each, Path) and each.is_dir():
                raise DataError(f"{each} is a folder", hint=f"'{each}/*.txt'")
            is_table = _is_table(str(section.path), section) if not isinstance(each, Path) else _is_named_table(each)
            read = _of_table if is_table else _of_lines
            yield from read(run, section, each, told, on_bad)


def _is_table(path: str, section: TextConfig) -> bool:
    return section.layout == "table" or (section.layout == "auto" and _is_named_table(Path(path)))


def _is_named_table(path: Path) -> bool:
    return Path(unpacked_name(path)).suffix.lower() in TABLES


def _of_lines(run: Finished, section: TextConfig, source: Path | BinaryIO, told: Told, on_bad: OnBad) -> Iterator[Part]:
    import pyarrow as pa

    name = str(source) if isinstance(source, Path) else "standard input"
    lines = read_whole(source, section.encoding).removesuffix("\n").split("\n")
    size = run.config.batching.eval_batch_size * AT_ONCE
    for start in range(0, len(lines), size):
        some = lines[start : start + size]
        given, kept = tokens_of(run, some, partial(_line, name, start), told, on_bad)
        if len(kept):
            yield Part((given,), {"line": pa.array(kept + start + 1)}, len(kept))


def _of_table(run: Finished, section: TextConfig, source: Path | BinaryIO, told: Told, on_bad: OnBad) -> Iterator[Part]:
    file = open_table(source, TextFormat(delimiter=section.delimiter, encoding=section.encoding))
    if section.text not in names_of(file):
        raise missing_columns([section.text], file)
    first = 0
    for batch in file.batches(skips_ragged=on_bad == "skip"):
        column = as_text(plain(batch.column(section.text)))
        if column is None:
            kind = batch.column(section.text).type
            raise DataError(f"{file.name}: column {section.text} holds {kind}, not text", hint="texts, in quotes")
        texts = [text or "" for text in column.to_pylist()]
        given, kept = tokens_of(run, texts, partial(_row, file, first), told, on_bad)
        first += batch.num_rows
        names = [name for name in batch.schema.names if name != section.text]
        if len(kept):
            yield Part((given,), {name: batch.column(name).take(kept) for name in names}, len(kept))
    told.skip(len(file.ragged), [f"{file.name}, {text}" for text in file.ragged[:MOST_TOLD]])


def _line(name: str, first: int, number: int) -> str:
    return f"{name}, line {first + number + 1}"


def _row(file: TableFile, first: int, number: int) -> str:
    return place_of(first + number, file)


def tokens_of(
    run: Finished, texts: Sequence[str], place: Callable[[int], str], told: Told, on_bad: OnBad
) -> tuple[Sequences, Any]:
    """Return texts as sequences of words, and the numbers of those that have a token, (N,).

    Args:
        run: trained on texts.
        texts: as they were written.
        place: says where a text stands, by its number.
        told: grows by what there is to tell.
        on_bad: whether an empty text is an error, or left out.

    Raises:
        DataError: naming the places of empty texts.
    """
    section, encoder = run.config.data, run.preprocess.sequences
    assert isinstance(section, TextConfig)
    assert encoder is not None
    lines = [one_line(text) for text in texts]
    given, num_cut = sequences_of(lines, section.tokens, lower=section.lower, max_length=section.max_length)
    empty = np.flatnonzero(given.lengths == 0)
    problems = [f"{place(row)}: the text is empty" for row in empty[:MOST_TOLD].tolist()]
    if problems and on_bad == "error":
        raise DataError(*(Problem(text, "" if k else SKIP) for k, text in enumerate(problems)))
    told.skip(len(empty), problems)
    told.cut += num_cut
    kept = np.flatnonzero(given.lengths > 0)
    for word, count in encoder.unknown(given).items():
        told.unknown[word] = told.unknown.get(word, 0) + count
    told.tokens += int(given.lengths.sum())
    return given[kept], kept
