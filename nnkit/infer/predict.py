"""`nnkit predict`: rows without labels in, answers out, part by part, so that memory does not grow with the file."""

# N rows of a part

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, final

from nnkit.errors import ConfigError, DataError
from nnkit.infer.answers import answer_columns, answers_to
from nnkit.infer.finished import Finished

if TYPE_CHECKING:
    import pyarrow as pa

MOST_TOLD = 20


@final
@dataclass(slots=True)
class Told:
    """What there is to tell of a prediction.

    Attributes:
        rows: answered.
        skipped: rows that were left out.
        lines: what was wrong with the first of them.
        unseen: cells of categories that training has not, by column.
        renamed: columns of the input that gave way to an answer of the same name.
        unknown: words of texts that training has not, and how often they are there.
        tokens: of all texts together.
        cut: texts that were cut off, as those of training were.
        notes: what the user should know besides.
    """

    rows: int = 0
    skipped: int = 0
    lines: list[str] = field(default_factory=list)
    unseen: dict[str, int] = field(default_factory=dict)
    renamed: set[str] = field(default_factory=set)
    unknown: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    cut: int = 0
    notes: list[str] = field(default_factory=list)

    def skip(self, rows: int, texts: list[str]) -> None:
        """Count rows that are left out; the first texts are kept."""
        self.skipped += rows
        self.lines += texts[: max(0, MOST_TOLD - len(self.lines))]


@final
@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of the input, at least one.

    Attributes:
        inputs: one an encoder: a frame, an array or sequences.
        kept: columns that go along into the answers, by name: a cell for each answer.
        rows: how many rows they are, where that is not the number of answers.
        names: of pictures, after which their masks are called; below their folder, or row numbers.
        places: of pictures, their files; empty where they are rows of an array.
        sizes: of pictures without a file, height and width.
    """

    inputs: tuple[Any, ...]
    kept: Mapping[str, pa.Array] = field(default_factory=dict)
    rows: int | None = None
    names: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    sizes: tuple[tuple[int, int], ...] = ()


# From a part and its masks (N, H, W) to columns.
MaskColumns = Callable[[Part, Any], "dict[str, pa.Array]"]


def predict_parts(
    run: Finished, parts: Iterator[Part], told: Told, *, proba: bool, masks: MaskColumns | None = None
) -> Iterator[pa.RecordBatch]:
    """Yield the answers of each part: the columns that go along, then the answers.

    Args:
        run: opened.
        parts: of the input.
        told: grows by what there is to tell.
        proba: whether probabilities are asked for.
        masks: writes the masks of a part, where each pixel has an answer, and returns columns for them.

    Raises:
        DataError: what goes along changes its type from one file to the next.
    """
    import pyarrow as pa

    schema: pa.Schema | None = None
    for part in parts:
        found = answers_to(run, part.inputs)
        columns = answer_columns(run, found, proba=proba) if masks is None else masks(part, found.predicted)
        told.rows += len(found.predicted) if part.rows is None else part.rows
        told.renamed |= set(part.kept) & set(columns)
        kept = {name: array for name, array in part.kept.items() if name not in columns}
        batch = pa.RecordBatch.from_pydict({**kept, **columns})
        schema = batch.schema if schema is None else schema
        yield batch if batch.schema == schema else _as_before(batch, schema)


def _as_before(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = []
    for given, wanted in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(given.cast(wanted.type))
        except pa.ArrowException as error:
            text = f"column {wanted.name} holds {given.type}, but {wanted.type} in the files before"
            raise DataError(text, hint="predict the files one by one") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """Yield the parts, with the next one being read meanwhile, by a thread: nothing that a user may interrupt."""
    with ThreadPoolExecutor(1) as reader:
        waiting: Future[Part | None] = reader.submit(next, parts, None)
        while (part := waiting.result()) is not None:
            waiting = reader.submit(next, parts, None)
            yield part


@contextmanager
def batch_writer(out: BinaryIO, schema: pa.Schema, *, as_parquet: bool) -> Iterator[Callable[[Any], None]]:
    """Give the function that writes a batch of answers.

    Args:
        out: where the file goes; it stays open.
        schema: of the batches.
        as_parquet: whether it becomes a Parquet file; otherwise a CSV file.

    Raises:
        ConfigError: a column that goes along cannot stand in such a file.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet as pq

    try:
        options = pa.csv.WriteOptions(quoting_style="needed")
        made = pq.ParquetWriter(out, schema) if as_parquet else pa.csv.CSVWriter(out, schema, write_options=options)
    except pa.ArrowException as error:
        text = " ".join(str(error).split())[:200]
        hint = "leave the column out of the input" if as_parquet else "-o FILE.parquet"
        raise ConfigError(f"a column of the input cannot go along: {text}", hint=hint) from error
    with made as writer:
        yield writer.write_batch
