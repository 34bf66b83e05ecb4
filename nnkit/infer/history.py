"""What a forecast starts from: the last window of a series, in a file, an array or a frame."""

# S steps, T window, C channels, H horizon, F columns that are known beforehand

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nnkit.config.sections.sequences import SeriesConfig
from nnkit.data.array import load_array, load_arrays
from nnkit.data.sequences import Sequences
from nnkit.data.series import History, read_history
from nnkit.data.windows import as_values
from nnkit.errors import ConfigError, DataError, Problem
from nnkit.infer.finished import Finished
from nnkit.infer.hints import calling, hinting
from nnkit.infer.predict import MOST_TOLD, Part, Told
from nnkit.storage import write_file

ARRAYS = (".npz", ".npy")


def history_part(run: Finished, path: Path, told: Told) -> Iterator[Part]:
    """Yield the last window of a file, with the times of the steps ahead: one row, of H answers.

    Args:
        run: that forecasts.
        path: a table with the columns of the training, or an array (S, C) without times: .npy, or x of an .npz.
        told: grows by what there is to tell.

    Raises:
        DataError: it cannot be read, or is shorter than the window, or has a gap in it.
        ConfigError: a column is not there.
    """
    import pyarrow as pa

    section, horizon = run.config.data, run.spec.target.horizon
    if path.suffix.lower() in ARRAYS:
        with hinting():
            array = _loaded(path)
        yield Part((window_of_array(run, array, str(path)),), {"step": pa.array(range(1, horizon + 1))}, 1)
        return
    if not isinstance(section, SeriesConfig):
        raise ConfigError(f"data={section.kind} has no files of its own form, got {path}", hint="FILE.npy (steps, 1)")
    with hinting("mend the file"):
        found = _history(run, section, path)
    told.notes += found.notes
    yield Part(_inputs(found), {section.time: pa.array(found.future_stamps(horizon))}, 1)


def _history(run: Finished, section: SeriesConfig, path: Path) -> History:
    """Return the end of a file, read as the run's own was. Raises: as `read_history`."""
    return read_history(
        path,
        section,
        channels=section.inputs or [],
        future=section.future,
        window=run.spec.inputs[0].shape[0],
        horizon=run.spec.target.horizon,
        step=run.preprocess.step,
    )


def _inputs(found: History) -> tuple[Sequences, ...]:
    given = [found.values] if found.ahead is None else [found.values, found.ahead]
    return tuple(Sequences.of([each]) for each in given)


def _loaded(path: Path) -> Any:
    if path.suffix.lower() == ".npy":
        return load_array(path)
    arrays = load_arrays(path)
    if "x" not in arrays:
        raise DataError(f"{path} has no array named x, only {', '.join(arrays)}")
    return arrays["x"]


def window_of_array(run: Finished, array: Any, name: str) -> Sequences:
    """Return the last window of an array (S, C), or (S,) for one channel, its channels in the order of the training.

    Raises:
        DataError: it has another shape, is shorter than the window, or holds a value there that is not finite.
        ConfigError: the forecast needs to know columns ahead, which an array has no place for.
    """
    steps, channels = run.spec.inputs[0].shape
    if len(run.preprocess.inputs) > 1:
        known = ", ".join(run.config.data.future) if isinstance(run.config.data, SeriesConfig) else ""
        raise ConfigError(f"{name} is an array, but the forecast needs {known} ahead", hint="a table, or a DataFrame")
    if array.ndim == 1 and channels == 1:
        array = array[:, None]
    if array.dtype.kind not in "buif" or array.ndim != 2 or array.shape[1] != channels:
        raise DataError(f"{name} must hold numbers (steps, {channels}), got {array.dtype} of shape {array.shape}")
    _check_length(name, len(array), steps)
    last = array[-steps:].astype(np.float64)
    if not np.isfinite(last).all():
        row = len(array) - steps + int(np.argwhere(~np.isfinite(last))[0][0])
        raise DataError(f"{name}: row {row + 1} is not finite")
    return Sequences.of([last])


def _check_length(name: str, steps: int, window: int) -> None:
    if steps < window:
        raise DataError(f"{name} has {steps} steps, fewer than the window of {window}", hint="give more of the past")


def windows_of_frame(run: Finished, frame: Any) -> tuple[Sequences, ...]:
    """Return the last window of a pandas.DataFrame, and what is known of the steps ahead.

    Where columns are known beforehand, the last rows hold these alone, for the H steps ahead, as in a file. With its
    times, in a column or as its index, a frame is held to all that a file is held to; without them, its rows are taken
    in their order.

    Raises:
        ConfigError: a column is not there.
        DataError: rows are too few, or lack a value; or their times are none, repeat, have gaps, or another step than
            the training, as far as the run's settings do not repair that.
    """
    section, window, horizon = run.config.data, run.spec.inputs[0].shape[0], run.spec.target.horizon
    if isinstance(section, SeriesConfig):
        names, future = list(section.inputs or []), list(section.future)
        frame = frame.reset_index() if frame.index.name == section.time else frame
    else:
        names, future = list(run.spec.target.names), []
    if missing := [name for name in dict.fromkeys([*names, *future]) if name not in frame.columns]:
        raise ConfigError(*(Problem(f"the DataFrame has no column {name}") for name in missing))
    if isinstance(section, SeriesConfig) and section.time in frame.columns:
        return _by_time(run, section, frame[list(dict.fromkeys([section.time, *names, *future]))])
    values = _numbers(frame, list(dict.fromkeys([*names, *future])))
    past = len(frame)
    if future:
        told = ~np.isnan(np.stack([values[name] for name in names if name not in future])).all(0)
        past = int(np.flatnonzero(told).max(initial=-1)) + 1
        if past + horizon > len(frame):
            known = ", ".join(future)
            text = f"the DataFrame has {len(frame) - past} rows ahead, but {horizon} are needed"
            raise DataError(text, hint=f"add rows with {known} at the end, and nothing in other columns")
    _check_length("the DataFrame", past, window)
    windows = [(slice(past - window, past), names)] + [(slice(past, past + horizon), future)] * bool(future)
    return tuple(Sequences.of([_complete(values, rows, columns)]) for rows, columns in windows)


def _by_time(run: Finished, section: SeriesConfig, frame: Any) -> tuple[Sequences, ...]:
    """Return what a frame says as a file, which it becomes for a moment. Raises: as `read_history`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise DataError(f"the DataFrame cannot be read: {' '.join(str(error).split())}") from error
    with TemporaryDirectory(prefix="nnkit-") as folder:
        path = Path(folder) / "frame.parquet"
        write_file(path, partial(pq.write_table, table))
        with calling(path, "the DataFrame"), hinting("mend the DataFrame"):
            return _inputs(_history(run, section, path))


def _numbers(frame: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return columns of a frame as (S,) float64. Raises: DataError where one holds no numbers."""
    found = {}
    for name in names:
        try:
            found[name] = frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise DataError(f"the DataFrame, column {name}: {error}") from error
    return found


def _complete(values: dict[str, Any], rows: slice, names: Sequence[str]) -> Any:
    """Return some rows of columns as (T, C). Raises: DataError, naming the cells that are not finite."""
    bad = [(row, name) for name in names for row in np.flatnonzero(~np.isfinite(values[name][rows]))]
    if bad:
        texts = [
            f"the DataFrame, row {rows.start + row + 1}, column {name}: the value is missing or not finite"
            for row, name in sorted(bad)[:MOST_TOLD]
        ]
        raise DataError(*texts)
    return as_values({name: values[name][rows] for name in names}, names)
