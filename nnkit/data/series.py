"""A series in a file: all its windows for training, or the last one to forecast from."""

# T window, C input channels, H horizon, F columns that are known beforehand

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np

from nnkit.config.sections.cv import CvConfig
from nnkit.config.sections.sequences import SeriesConfig
from nnkit.data.series_file import Steps, read_steps
from nnkit.data.series_steps import distinct, each_once, in_order, known_ahead, step_of, without_gaps
from nnkit.data.source import Source
from nnkit.data.tables import found_files
from nnkit.data.times import Layout, Step, Times
from nnkit.data.windows import FloatArray, as_values, windows_source
from nnkit.errors import ConfigError, DataError, Problem


def read_series(config: SeriesConfig, cv: CvConfig | None = None) -> Source:
    """Return all windows of a series.

    By default all columns of numbers are inputs, those that are known beforehand among them: of these the network sees
    the past in "x" and what is ahead in "future". The last rows that hold nothing but times and known columns are for
    a forecast, and left out here.

    Args:
        config: the section.
        cv: whose fold cuts the parts; None for no fold.

    Raises:
        DataError: the file cannot be read, or a time or a cell of it, with its line; or it has gaps or repeats.
        ConfigError: a column is not there, or has two parts to play; or a part has too few steps for a window.
    """
    _check_roles(config)
    listed = config.inputs or []
    named = list(dict.fromkeys([*listed, *config.targets, *config.future]))
    steps = in_order(read_steps(_file_of(config), config, named, others="infer" if config.inputs is None else "leave"))
    inputs = listed or list(steps.columns)
    if config.future:
        steps, ahead = known_ahead(steps, [name for name in steps.columns if name not in config.future])
        steps = steps.noting(f"the last {len(ahead)} rows have times and known columns alone") if len(ahead) else steps
    step = step_of(steps)
    steps, stretches = without_gaps(each_once(steps, config.duplicates, step), config.gaps, step)
    source = windows_source(
        steps.file.name,
        steps.columns,
        inputs=inputs,
        targets=config.targets,
        future=config.future,
        times=steps.times,
        parts_of=stretches,
        window=config.window,
        horizon=config.horizon,
        stride=config.stride,
        parts=config.parts,
        val_fraction=config.val_fraction,
        test_fraction=config.test_fraction or 0.0,
        cv=cv,
        filled=steps.filled or None,
        season=config.season,
    )
    account = source.rows
    notes = (f"a step is {step}", *steps.notes, *account.notes, *_of_constants(steps))
    told = replace(account, notes=notes, left_out=dict(steps.left_out), names=tuple(inputs))
    return replace(source, account=told, step=step, layout=steps.layout)


def _file_of(config: SeriesConfig) -> Path:
    """Return the one file of a section. Raises: DataError where there is none, or several."""
    found = found_files(config.path)
    if len(found) > 1:
        raise DataError(
            f"data.path={config.path} matches {len(found)} files, but a series is one", hint="data.path=FILE"
        )
    return found[0]


def _check_roles(config: SeriesConfig) -> None:
    """Check that no column stands twice in a list, or plays two parts. Raises: ConfigError."""
    lists = {"target": config.targets, "inputs": config.inputs or [], "future": config.future}
    problems = []
    for key, names in lists.items():
        if double := next((name for name in names if names.count(name) > 1), None):
            problems.append(Problem(f"data.{key} names {double} twice", "leave one out"))
        if config.time in names:
            problems.append(Problem(f"column {config.time} is both data.time and data.{key}", "leave one out"))
    if known := next((name for name in config.targets if name in config.future), None):
        told = f"column {known} is both data.target and data.future: what is known needs no forecast"
        problems.append(Problem(told, "leave one out"))
    if problems:
        raise ConfigError(*problems)


def _of_constants(steps: Steps) -> list[str]:
    constant = [name for name, values in steps.columns.items() if values.min() == values.max()]
    return [f"columns of one value alone: {', '.join(constant)}"] if constant else []


@final
@dataclass(frozen=True, slots=True)
class History:
    """The end of a series, to forecast from.

    Attributes:
        values: (T, C) float32, or float64 as of `as_values`.
        ahead: (H, F) likewise, of the columns that are known beforehand; None where there are none.
        times: (T,) datetime64[ns], or int64.
        step: from one time to the next.
        layout: how times are written in the file.
        notes: what the user should know.
    """

    values: FloatArray
    ahead: FloatArray | None
    times: Times
    step: Step
    layout: Layout
    notes: tuple[str, ...] = ()

    def future_times(self, horizon: int) -> Times:
        """Return the times (H,) of the steps ahead."""
        return self.step.after(self.times[-1], horizon)

    def future_stamps(self, horizon: int) -> list[str]:
        """Return the times of the steps ahead as text, written as those of the file are."""
        return self.layout.written(self.future_times(horizon))


def read_history(
    path: Path,
    config: SeriesConfig,
    *,
    channels: Sequence[str],
    future: Sequence[str],
    window: int,
    horizon: int,
    step: Step | None = None,
) -> History:
    """Return the last window of a file, and what is known of the steps ahead.

    Where columns are known beforehand, the file's last rows hold the time and these columns of the steps ahead, and no
    other cells. Gaps, repeats and missing cells before the window are not looked at, but where gaps are interpolated.

    Args:
        path: a text file or a Parquet file.
        config: the section of the run: how the file is written, and what becomes of gaps and repeats.
        channels: names of the C columns that the network sees.
        future: names of the F columns that are known beforehand.
        window: T.
        horizon: H.
        step: of the training; None takes that of the file's times.

    Raises:
        DataError: the file has too few rows, before or ahead, or a gap, a repeat or a missing cell in those; or another
            step; or, unless gaps are interpolated, a cell anywhere that is no finite number.
        ConfigError: a column is not there.
    """
    steps = in_order(read_steps(path, config, list(dict.fromkeys([*channels, *future]))))
    rest = steps[:0]
    if future:
        steps, rest = known_ahead(steps, [name for name in channels if name not in future])
    steps = replace(steps, columns={name: steps.columns[name] for name in channels})
    step = step_of(steps, step)
    if config.gaps != "interpolate":
        steps = steps[steps.times >= distinct(steps.times)[-window:][0]]
    steps, stretches = without_gaps(each_once(steps, config.duplicates, step), config.gaps, step)
    num = len(steps) - (stretches[-1][0] if stretches else 0)
    if num < window:
        since = " since the last gap" if stretches else ""
        raise DataError(
            f"{path} has {num} steps{since}, fewer than the window of {window}", hint="give more of the past"
        )
    steps = steps[len(steps) - window :]
    history = History(as_values(steps.columns, channels), None, steps.times, step, steps.layout, steps.notes)
    return replace(history, ahead=_ahead(rest, history, future, horizon)) if future else history


def _ahead(rest: Steps, history: History, future: Sequence[str], horizon: int) -> FloatArray:
    """Return what is known (H, F) of the steps ahead. Raises: DataError where it is not what comes next."""
    times, stamps = history.future_times(horizon), history.future_stamps(horizon)
    columns = ", ".join(future)
    for number, (time, stamp) in enumerate(zip(times, stamps, strict=True)):
        if number == len(rest):
            told = (
                f"{rest.file.name} has {number} rows ahead, but {horizon} are needed, from {stamps[0]} to {stamps[-1]}"
            )
            raise DataError(told, hint=f"add rows with the time and {columns} at the end, and nothing in other columns")
        if rest.times[number] != time:
            told = f"{rest.place(number)}: {rest.time(number)} stands where {stamp} comes next"
            raise DataError(told, hint=f"{horizon} rows ahead, a step of {history.step} apart")
        for name in future:
            if np.isnan(rest.columns[name][number]):
                raise DataError(f"{rest.place(number)}, column {name}: the value is missing", hint="fill it in")
    return as_values(rest[:horizon].columns, future)
