"""A CSV file with a header: one target column, all others numeric."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nnkit.data.source import Source
from nnkit.data.target import read_target
from nnkit.errors import ConfigError, DataError
from nnkit.spec import InputSpec

if TYPE_CHECKING:
    import pandas as pd


def read_table(path: Path, *, target: str, task: str) -> Source:
    """Return the rows of a CSV file.

    Args:
        path: the file, UTF-8, with a header.
        target: name of the target column.
        task: classification, regression or "auto" (see `read_target`).

    Raises:
        DataError: the file cannot be parsed, or a feature is missing or not a number (with its line and column).
        ConfigError: there is no such target column.
    """
    frame = _read_csv(path)
    if target not in frame.columns:
        raise ConfigError(
            f"data.target must be a column of {path}, got '{target}'",
            hint=f"columns: {', '.join(map(str, frame.columns))}",
        )
    features = frame.drop(columns=target)
    if features.shape[1] == 0:
        raise DataError(f"{path} has no column beside the target {target}")
    _check_cells(features, path)
    _check_target(frame[target], path, target)
    values = features.to_numpy(dtype=np.float32)
    labels, classes = read_target(frame[target].to_numpy(), task=task, name=f"{path}: column {target}")
    spec = InputSpec("features", "features", values.shape[1:])
    return Source(str(path), (values,), (spec,), labels, (target,), classes)


def _read_csv(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would be cut
            # In one piece, or a long column may get two types; no index, or surplus values would shift the columns.
            return pd.read_csv(path, low_memory=False, index_col=False)
    except FileNotFoundError:
        raise DataError(f"{path} is not there", hint="data.path=FILE.csv") from None
    except pd.errors.ParserWarning:
        raise DataError(f"{path} has rows with more values than the header has names") from None
    except (OSError, ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(f"{path} is not a CSV file: {' '.join(str(error).split())}") from error


def _check_cells(features: pd.DataFrame, path: Path) -> None:
    import pandas as pd

    for name in features.columns:
        column = features[name]
        with np.errstate(over="ignore"):
            usable = np.isfinite(pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float32, na_value=np.nan))
        if not usable.all():
            row = int(np.argmin(usable))
            cell = column.iloc[row]
            what = "a missing value" if pd.isna(cell) else f"'{cell}', which is not a finite number"
            raise DataError(f"{path}, line {_line(path, row)}, column {name}: {what}")


def _check_target(column: pd.Series[float], path: Path, target: str) -> None:
    if column.isna().any():
        row = int(np.argmax(column.isna().to_numpy()))
        raise DataError(f"{path}, line {_line(path, row)}, column {target}: the target is missing")


def _line(path: Path, row: int) -> int:
    """Return the line where a row starts: pandas skips blank lines, and a quoted cell may span several."""
    start, starts = 1, []
    try:
        records = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        for record in records:
            if len(record) > 1 or any(cell.strip() for cell in record):
                starts.append(start)
            start = records.line_num + 1
    except (UnicodeDecodeError, csv.Error):
        return row + 2  # a compressed file, or a cell too long for csv: as if each row had one line
    return starts[row + 1]
