"""Predictions beside the truth, as a file."""

# N windows, H horizon

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnkit.infer.answers import Answers, answer_columns, columns_of
from nnkit.infer.evaluation import Evaluation, Masked, Windows
from nnkit.infer.finished import Finished
from nnkit.infer.segmentation import overlaps
from nnkit.infer.terms import ratio
from nnkit.storage import writing

if TYPE_CHECKING:
    import pyarrow as pa

TARGET = "target"
AT_ONCE = 100_000  # lines of a forecast's file that are made at a time


def write_evaluated(run: Finished, found: Evaluation, path: Path) -> None:
    """Write a CSV file with a line for each answer: where it stands in the data, from 1, the truth, and the answer.

    A line is of a row; where each step has a class, of a step of a row; of a language model, of a token of a segment;
    and of a forecast, of a step ahead of a window, whose origin is the time (or the number) of its last step.

    Raises:
        StorageError: the file system refused.
    """
    _write(_parts(run, found), path)


def write_held_out(folds: Iterable[tuple[Finished, Evaluation]], path: Path) -> None:
    """Write a CSV file as `write_evaluated` does, of what each fold says of the rows that it holds out.

    Args:
        folds: at least one, in order; the column `fold` has their numbers, from 0.
        path: of the file.

    Raises:
        StorageError: the file system refused.
    """
    _write(_of_folds(folds), path)


def _of_folds(folds: Iterable[tuple[Finished, Evaluation]]) -> Iterator[dict[str, pa.Array]]:
    import pyarrow as pa

    for number, (run, found) in enumerate(folds):
        for part in _parts(run, found):
            lines = len(next(iter(part.values())))
            yield {"fold": pa.array(np.full(lines, number)), **part}


def _write(parts: Iterator[dict[str, pa.Array]], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.csv

    options = pa.csv.WriteOptions(quoting_style="needed")
    with writing(path) as file:
        first = pa.table(next(parts))
        with pa.csv.CSVWriter(file, first.schema, write_options=options) as writer:
            writer.write_table(first)
            for part in parts:
                writer.write_table(pa.table(part))


def _parts(run: Finished, found: Evaluation) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of some lines at a time."""
    if found.windows is not None:
        yield from _of_windows(run, found, found.windows)
        return
    if found.masked is not None:
        yield _of_masks(run, found, found.masked)
        return
    truth, answered = columns_of(run, TARGET, found.target), answer_columns(run, found.answers, proba=True)
    yield {**_places(run, found), **truth, **answered}


def _of_masks(run: Finished, found: Evaluation, masked: Masked) -> dict[str, pa.Array]:
    """Return a line a picture: how much of it is of each class, in truth and as predicted, and how well they overlap.

    Of a class that is nowhere in a picture, neither true nor predicted, there is no overlap.
    """
    import pyarrow as pa

    confusions, classes = masked.confusions, run.spec.target.classes
    counted = confusions.sum((1, 2))[:, None]
    true, guessed, iou = ratio(confusions.sum(2), counted), ratio(confusions.sum(1), counted), overlaps(confusions)
    named = {"name": pa.array(masked.names)} if masked.names else {}
    columns = {"row": pa.array(found.rows + 1), **named}
    for title, values in ((f"{TARGET}_share", true), ("share", guessed), ("iou", iou)):
        columns |= {f"{title}_{name}": pa.array(values[:, k], from_pandas=True) for k, name in enumerate(classes)}
    return columns


def _places(run: Finished, found: Evaluation) -> dict[str, pa.Array]:
    import pyarrow as pa

    if found.lengths is None:
        return {"row": pa.array(found.rows + 1)}
    rows, steps = found.places()
    return {"segment" if run.spec.task == "language" else "row": pa.array(rows), "step": pa.array(steps)}


def _of_windows(run: Finished, found: Evaluation, windows: Windows) -> Iterator[dict[str, pa.Array]]:
    import pyarrow as pa

    horizon, firsts = found.target.shape[1], windows.firsts
    times = pa.array(windows.stamps(int(firsts.max()) + horizon))
    size = max(1, AT_ONCE // horizon)
    for start in range(0, len(firsts), size):
        some = firsts[start : start + size]
        ahead = np.arange(horizon) + some[:, None]  # (N, H)
        yield {
            "origin": times.take(pa.array((some - 1).repeat(horizon))),
            "step": pa.array(np.tile(np.arange(1, horizon + 1), len(some))),
            "time": times.take(pa.array(ahead.ravel())),
            **columns_of(run, TARGET, found.target[start : start + size]),
            **answer_columns(run, Answers(found.answers.predicted[start : start + size], None), proba=False),
        }
