"""The steps of a series, made regular: in the order of time, each once, and what becomes of gaps between them."""

# N rows

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nnkit.data.series_file import FILL, Steps, tell
from nnkit.data.tables import BadCell
from nnkit.data.times import HOUR, Places, Step, Times, usual_step
from nnkit.errors import DataError

CLOCKS = "a change of the clocks? write times in UTC, or with their zone"
Stretches = list[tuple[int, int]]


def in_order(steps: Steps) -> Steps:
    """Return the rows in the order of time, those of one time in the order of the file."""
    late = int(np.count_nonzero(steps.times < np.maximum.accumulate(steps.times)))
    if not late:
        return steps
    return steps[np.argsort(steps.times, kind="stable")].noting(f"{late} rows stood behind a later time: sorted")


def distinct(times: Times) -> Times:
    """Return times (N,) that are in order, each once."""
    is_new = np.append(True, times[1:] != times[:-1])  # np.unique takes as long as half of the reading
    return np.asarray(times[is_new])


def step_of(steps: Steps, trained: Step | None = None) -> Step:
    """Return the usual step of rows in the order of time, or that of the training, if it is known.

    Raises: DataError where there is one time only; or where the rows have another step than the training.
    """
    times = distinct(steps.times)
    if trained is None and len(times) < 2:
        raise DataError(f"{steps.file.name} has one time only, {steps.time(0)}: a step needs two")
    if trained is None:
        return usual_step(times)
    if not trained.is_of(times):
        has = f"a step of {usual_step(times)}" if len(times) > 1 else f"the time {steps.time(0)}"
        told = f"{steps.file.name} has {has}, but the run was trained on a step of {trained}"
        raise DataError(told, hint="a series with the step of the training")
    return trained


def known_ahead(steps: Steps, names: Sequence[str]) -> tuple[Steps, Steps]:
    """Return the rows up to the last one with a value in any of the columns, and those behind it.

    Raises: DataError where there is no value at all.
    """
    there = np.flatnonzero(~steps.missing(names).all(axis=1))
    if not len(there):
        raise DataError(f"{steps.file.name} holds no value in {', '.join(names)}", hint="is it the right file?")
    end = int(there[-1]) + 1
    return steps[:end], steps[end:]


def each_once(steps: Steps, how: Literal["error", "first", "last", "mean"], step: Step) -> Steps:
    """Return the rows with each time once; `how` says which of several rows stands for a time.

    Args:
        steps: in the order of time.
        how: the setting `data.duplicates`.
        step: the usual one.

    Raises:
        DataError: naming the line of a time that occurs a second time, where that is an error.
    """
    repeats = steps.times[1:] == steps.times[:-1]
    count = int(repeats.sum())
    if not count:
        return steps
    if how == "error":
        number = int(np.argmax(repeats))
        told = f"{steps.place(number + 1)}: {steps.time(number)} stands there again, first in {steps.place(number)}"
        told += f"; {count} rows repeat a time" if count > 1 else ""
        hint = "data.duplicates=first, last or mean"
        raise DataError(told, hint=f"{hint}; {CLOCKS}" if _is_clock_change(steps, number, step) else hint)
    is_first = np.append(True, ~repeats)
    kept = steps[np.append(~repeats, True) if how == "last" else is_first]
    if how == "mean":
        starts = np.flatnonzero(is_first)
        kept = replace(kept, columns={name: _means(values, starts) for name, values in steps.columns.items()})
    return kept.noting(f"{count} rows that repeat a time are left out by data.duplicates={how}")


def _means(values: npt.NDArray[np.float64], starts: Places) -> npt.NDArray[np.float64]:
    """Return the mean of the values that are there, of each group that starts at one of the places."""
    there = ~np.isnan(values)
    sums, counts = np.add.reduceat(np.where(there, values, 0), starts), np.add.reduceat(there, starts, dtype=np.int64)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def without_gaps(
    steps: Steps, how: Literal["error", "split", "interpolate"], step: Step
) -> tuple[Steps, Stretches | None]:
    """Return complete rows, and the stretches without a gap; None where there is no gap.

    Args:
        steps: in the order of time, each once.
        how: the setting `data.gaps`.
        step: the usual one.

    Raises:
        DataError: naming the line of a gap or of a missing cell, where that is an error or cannot be filled.
    """
    if how == "interpolate":
        return _filled(steps, step), None
    _check_complete(steps)
    gaps = np.flatnonzero(np.diff(step.places(steps.times)) != step.size)
    if not len(gaps):
        return steps, None
    if how == "error":
        raise gap_error(steps, gaps, step)
    edges = [0, *(gaps + 1).tolist(), len(steps)]
    noted = steps.noting(f"{len(gaps)} gaps in time, the first before {steps.time(int(gaps[0]) + 1)}: none is spanned")
    return noted, list(pairwise(edges))


def _check_complete(steps: Steps) -> None:
    names = list(steps.columns)
    places = np.argwhere(steps.missing(names))
    tell([BadCell(int(steps.rows[i]), names[k], "", "missing") for i, k in places.tolist()], steps.file, FILL)


def gap_error(steps: Steps, gaps: Places, step: Step) -> DataError:
    """Return the error of times that are not a step apart; `gaps` are the rows before them."""
    number = int(gaps[0])
    distance = int(np.diff(step.places(steps.times[number : number + 2]))[0])
    told = f"{steps.place(number + 1)}: {steps.time(number + 1)} comes after {steps.time(number)}"
    lacking = distance // step.size - 1
    is_whole = distance % step.size == 0 and lacking > 0
    missing = (
        f"{lacking} step{'s are' if lacking > 1 else ' is'} missing" if is_whole else "not a whole number of steps"
    )
    told += f", but the usual step is {step}: {missing}" + (f"; {len(gaps)} gaps in all" if len(gaps) > 1 else "")
    hint = "data.gaps=split" + (", or data.gaps=interpolate" if is_whole else "")
    if distance - step.size == HOUR and _is_clock_change(steps, number + 1, step):
        hint += f"; {CLOCKS}"
    elif step.unit == "number" and _look_like_dates(steps.times):
        hint = "write dates like 2026-01-31"
    elif steps.layout.zone and step.unit == "nanosecond" and not step.is_below_a_day:
        hint += "; a change of the clocks? write dates without a zone"
    return DataError(told, hint=hint)


def _is_clock_change(steps: Steps, number: int, step: Step) -> bool:
    """Tell whether a local time is one at which clocks may be put forward or back: early on a Sunday."""
    if step.unit != "nanosecond" or not step.is_below_a_day or steps.layout.zone:
        return False
    time = steps.times[number]
    day = time.astype("datetime64[D]")
    return bool((day.astype(np.int64) + 4) % 7 == 0 and (time - day).astype(np.int64) < 4 * HOUR)


def _look_like_dates(numbers: Any) -> bool:
    """Tell whether whole numbers are all of the form 20260131."""
    years, months, days = numbers // 10_000, numbers // 100 % 100, numbers % 100
    is_date = (years >= 1800) & (years < 2200) & (months >= 1) & (months <= 12) & (days >= 1) & (days <= 31)
    return bool(is_date.all())


def _filled(steps: Steps, step: Step) -> Steps:
    """Return all steps from the first to the last, with what is missing on a line between its neighbours."""
    distances = np.diff(step.places(steps.times))
    if len(odd := np.flatnonzero(distances % step.size)):
        raise gap_error(steps, odd, step)
    places = np.append(0, np.cumsum(distances // step.size))
    num_all = int(places[-1]) + 1
    num_cells = int(steps.missing(list(steps.columns)).sum())
    if num_all == len(steps) and not num_cells:
        return steps
    if num_all > 2 * len(steps):
        told = f"{steps.file.name} lacks {num_all - len(steps)} steps of {num_all}, at a usual step of {step}"
        raise DataError(f"{told}: more than there are", hint="data.gaps=split")
    wanted = np.arange(num_all)
    rows = np.full(num_all, -1, np.int64)
    rows[places] = steps.rows
    columns, is_filled = {}, {}
    for name, values in steps.columns.items():
        there = ~np.isnan(values)
        _check_ends(steps, name, there)
        columns[name] = np.interp(wanted, places[there], values[there])
        is_filled[name] = ~np.isin(wanted, places[there])
    times = np.append(steps.times[:1], step.after(steps.times[0], num_all - 1))
    filled = replace(steps, rows=rows, times=times, columns=columns, filled=is_filled)
    if steps.num_bad:
        filled = filled.noting(f"{steps.num_bad} cells of the file are no finite numbers, and count as missing")
    note = f"{num_all - len(steps)} steps and {num_cells} cells are filled on a line by data.gaps=interpolate"
    return filled.noting(note)


def _check_ends(steps: Steps, name: str, there: npt.NDArray[np.bool_]) -> None:
    """Check that a column has a first and a last value to draw lines between. Raises: DataError."""
    for number, side in ((0, "before"), (len(steps) - 1, "behind")):
        if not there[number]:
            told = f"{steps.place(number)}, column {name}: the value is missing, and there is none {side} it"
            raise DataError(told, hint="leave out the rows at the ends, or the column: data.inputs=[…]")
