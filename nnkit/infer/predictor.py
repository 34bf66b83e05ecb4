"""`nnkit.load(run)`: a finished run as an object that predicts."""

# N rows

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np

from nnkit.config.sections.data import TableConfig
from nnkit.data.table import text_format
from nnkit.data.tabular import TableEncoder
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.answers import Answers, answers
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.predict import MOST_TOLD, Part, Told
from nnkit.infer.rows import read_rows, samples_of, table_parts
from nnkit.runs import find_run


@final
class Predictor:
    """A finished run with its best weights.

    Attributes:
        classes: class names, or labels; empty for regression.
        run: the opened run.
    """

    def __init__(self, run: Finished) -> None:
        """Take the opened run."""
        self.run = run
        self.classes = run.spec.target.classes or (run.spec.target.names if run.spec.task == "multilabel" else ())

    def predict(self, rows: Any) -> Any:
        """Return the answers for some rows.

        Args:
            rows: of a run on a table: a pandas.DataFrame with its columns, in any order, or the path of a file of the
                same form; of other runs an array (N, …) of samples as in training; of a run on pictures also the path
                of a picture, or a list of such.

        Returns:
            Class names (N,), labels (N, L) of 0 and 1, or values (N,) or (N, K) float64.

        Raises:
            ConfigError: columns are missing, or the run takes no such rows.
            DataError: a cell or a picture cannot be read.
        """
        found = self._answers(rows).predicted
        if self.run.spec.task == "classification":
            return np.array(self.classes, dtype=object)[found]
        return found[:, 0] if self.run.spec.task == "regression" and found.shape[1] == 1 else found

    def predict_proba(self, rows: Any) -> Any:
        """Return the probability of each class or label, (N, C) float32. Raises: as `predict`; ConfigError."""
        if self.run.spec.task == "regression":
            raise ConfigError("a regression has no probabilities", hint="predict")
        return self._answers(rows).probabilities

    def _answers(self, rows: Any) -> Answers:
        parts = [answers(self.run, self.run.outputs(self.run.batches(part.inputs))) for part in self._parts(rows)]
        if not parts:
            raise DataError("there is no row to predict")
        if parts[0].probabilities is None:
            return Answers(np.concatenate([part.predicted for part in parts]), None)
        return Answers(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("predicted", "probabilities")))

    def _parts(self, rows: Any) -> Iterator[Part]:
        encoder = self.run.preprocess.table
        if encoder is not None and isinstance(rows, (str, Path)):
            yield from table_parts(self.run, encoder, str(rows), Told(), on_bad="error")
            return
        if encoder is not None:
            inputs: Any = self._frame(rows, encoder)
        elif (paths := _as_paths(rows)) is not None:
            from nnkit.infer.pictures import pixels_of

            inputs = pixels_of(self.run, paths)
        else:
            inputs = samples_of(self.run, np.asarray(rows), "the array")
            if inputs.dtype != np.uint8 and not np.isfinite(inputs).all():
                raise DataError(f"the array: row {int(np.argwhere(~np.isfinite(inputs))[0][0]) + 1} is not finite")
        if len(inputs):
            yield Part((inputs,))

    def _frame(self, rows: Any, encoder: TableEncoder) -> Any:
        import pyarrow as pa

        section = self.run.config.data
        assert isinstance(section, TableConfig)
        if not hasattr(rows, "columns"):
            raise ConfigError(f"a run on a table predicts a DataFrame, got {type(rows).__name__}")
        missing = [name for name in encoder.names if name not in rows.columns]
        if missing:
            raise ConfigError(*(Problem(f"the DataFrame has no column {name}") for name in missing))
        try:
            batch = pa.RecordBatch.from_pandas(rows[list(encoder.names)], preserve_index=False)
        except (pa.ArrowException, ValueError) as error:
            raise DataError(f"the DataFrame cannot be read: {' '.join(str(error).split())}") from error
        with ThreadPoolExecutor(2) as threads:
            frame, bad = read_rows(
                batch, encoder.kinds, text_format(section), section.missing_values, encoder.needed, threads
            )
        if bad:
            raise DataError(*(cell.worded_at(f"the DataFrame, row {cell.row + 1}") for cell in bad[:MOST_TOLD]))
        return frame


def _as_paths(rows: Any) -> list[Path] | None:
    """Return a path, or a list of them, as paths; None for anything else."""
    if isinstance(rows, (str, Path)):
        return [Path(rows)]
    if isinstance(rows, Sequence) and rows and all(isinstance(row, (str, Path)) for row in rows):
        return [Path(row) for row in rows]
    return None


def load(run: str | Path, *, trust: bool = False) -> Predictor:
    """Return a finished run, ready to predict.

    Args:
        run: a run folder, a sweep folder (its best run), or "last".
        trust: whether code that the run names may be run, where it names the user's own.

    Raises:
        ConfigError: there is no such run.
        CheckpointError: its weights are missing or damaged.
    """
    return Predictor(open_run(find_run(str(Path(run).expanduser()), Path("outputs")), trust=trust))
