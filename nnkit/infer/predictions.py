"""Predictions beside the truth, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnkit.infer.answers import answer_columns
from nnkit.infer.finished import Finished
from nnkit.storage import writing

if TYPE_CHECKING:
    import pyarrow as pa

    from nnkit.infer.evaluate import Evaluation


def write_evaluated(run: Finished, found: Evaluation, path: Path) -> None:
    """Write a CSV file with a line for each evaluated row: its number in the data, from 1, the truth, and the answer.

    Raises:
        StorageError: the file system refused.
    """
    import pyarrow as pa
    import pyarrow.csv

    columns = {"row": pa.array(found.rows + 1), **_truth(run, found), **answer_columns(run, found.answers, proba=True)}
    with writing(path) as file:
        pyarrow.csv.write_csv(pa.table(columns), file, pyarrow.csv.WriteOptions(quoting_style="needed"))


def _truth(run: Finished, found: Evaluation) -> dict[str, pa.Array]:
    import pyarrow as pa

    target = run.spec.target
    if run.spec.task == "classification":
        numbers = pa.array(found.target.astype(np.int32))
        return {"target": pa.DictionaryArray.from_arrays(numbers, pa.array(target.classes)).cast(pa.string())}
    if len(target.names) == 1 and run.spec.task == "regression":
        return {"target": pa.array(found.target[:, 0])}
    return {f"target_{name}": pa.array(found.target[:, k]) for k, name in enumerate(target.names)}
