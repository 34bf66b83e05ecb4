"""Predictions beside the truth, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.infer.answers import answer_columns, columns_of
from nnkit.infer.finished import Finished
from nnkit.storage import writing

if TYPE_CHECKING:
    from nnkit.infer.evaluate import Evaluation

TARGET = "target"


def write_evaluated(run: Finished, found: Evaluation, path: Path) -> None:
    """Write a CSV file with a line for each evaluated row: its number in the data, from 1, the truth, and the answer.

    Raises:
        StorageError: the file system refused.
    """
    import pyarrow as pa
    import pyarrow.csv

    truth, answered = columns_of(run, TARGET, found.target), answer_columns(run, found.answers, proba=True)
    columns = {"row": pa.array(found.rows + 1), **truth, **answered}
    with writing(path) as file:
        pyarrow.csv.write_csv(pa.table(columns), file, pyarrow.csv.WriteOptions(quoting_style="needed"))
