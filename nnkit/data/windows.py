"""Windows of a series: the steps of the past that a network sees, the steps ahead that it tells, and in which part."""

# S steps in all, N windows, C input channels, K targets, F columns that are known beforehand

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, final

import numpy as np
import numpy.typing as npt

from nnkit.config.sections.cv import CvConfig
from nnkit.data.cells import compact
from nnkit.data.folds import time_fold
from nnkit.data.sequences import Sequences
from nnkit.data.source import Account, Rows, Source
from nnkit.data.split import PARTS
from nnkit.errors import ConfigError
from nnkit.spec import InputSpec

FloatArray = npt.NDArray[np.floating[Any]]
BoolArray = npt.NDArray[np.bool_]
Times = npt.NDArray[np.generic]
OVER_GAP, IN_TWO_PARTS = "windows over a gap", "windows whose target lies in two parts"
OF_FILLED = "windows whose target, or last step of the past, was filled"


def windows_source(
    name: str,
    columns: Mapping[str, FloatArray],
    *,
    inputs: Sequence[str],
    targets: Sequence[str],
    future: Sequence[str],
    times: Times | None,
    parts_of: Sequence[tuple[int, int]] | None,
    window: int,
    horizon: int,
    stride: int,
    parts: Sequence[int] | None,
    val_fraction: float,
    test_fraction: float,
    filled: Mapping[str, BoolArray] | None = None,
    season: int = 1,
    cv: CvConfig | None = None,
) -> Source:
    """Return all windows of a series, in the order of time; a window belongs to the part that its target lies in.

    The steps are cut into training, validation and test, one after the other. A window whose whole target lies in a
    part belongs to it, and its past may reach back into the part before: so each part starts with a full window. What
    was filled in knows of the values behind it: it is no target, and no past ends with it.

    Args:
        name: for messages.
        columns: (S,) each, all finite.
        inputs: names of the C columns whose past is seen; the targets are among them.
        targets: names of the K columns that are told.
        future: names of the F columns that are seen over the horizon, too.
        times: (S,) of the steps.
        parts_of: stretches [start, stop) that no window may span, in order, together all steps; None for a single one.
        window: steps of the past.
        horizon: steps ahead.
        stride: steps from one training window to the next; of validation and test every window counts.
        parts: steps of training, validation and test; steps behind them are left out. None: by the fractions.
        val_fraction: share of the steps, behind those of training; 0 for no such part.
        test_fraction: share of the steps, the last ones; 0 for no such part.
        filled: (S,) of each column, which cells were filled in; None where none was.
        season: steps that MASE looks back.
        cv: whose fold takes the place of the parts: it holds out some of the steps before those of the real test, which
            are its test part; the last ones before them are for validation, and what is behind is left out.

    Returns:
        Inputs "x" (window, C) and, where there is a future, "future" (horizon, F), both as of `as_values`; target
        (horizon, K) float64.

    Raises:
        ConfigError: a target is no input, a part has too few steps for one window, or that of training for a season.
    """
    if lacking := [target for target in targets if target not in inputs]:
        hint = f"data.inputs=[{','.join([*inputs, *lacking])}]"
        raise ConfigError(f"data.inputs lacks the target {lacking[0]}, whose past the forecast needs", hint=hint)
    num_steps = len(columns[inputs[0]])
    stretches = [(0, num_steps)] if parts_of is None else list(parts_of)
    sizes = _part_sizes(name, num_steps, parts, val_fraction, test_fraction)
    if cv is not None:
        before, held = time_fold(num_steps - sizes[2], cv)
        sizes = (before - round(before * val_fraction), round(before * val_fraction), held)
        test_fraction = held / num_steps
    found = _found_windows(stretches, sizes, window, horizon, stride)
    if filled is not None:
        found = _without_filled(found, _any(filled, inputs), _any(filled, targets), horizon)
    wanted = [True, *(parts is not None or fraction > 0 for fraction in (val_fraction, test_fraction))]
    _check_parts(name, found, stretches, sizes, wanted, window, horizon)
    _check_season(name, found, season, window + horizon)

    def cut(values: FloatArray, starts: Rows, length: int) -> Sequences:
        return Sequences(values, starts, np.full(len(starts), length, np.int64), part_of=found.stretch)

    past = cut(as_values(columns, inputs), found.starts - window, window)
    given = [(past, InputSpec("x", "series", (window, len(inputs))))]
    if future:
        ahead = cut(as_values(columns, future), found.starts, horizon)
        given.append((ahead, InputSpec("future", "series", (horizon, len(future)))))
    values = np.stack([columns[each] for each in targets], axis=1).astype(np.float64)
    return Source(
        name,
        tuple(sequences for sequences, _ in given),
        tuple(spec for _, spec in given),
        cut(values, found.starts, horizon),
        tuple(targets),
        val_rows=np.flatnonzero(found.part == 1).astype(np.int64),
        test_rows=np.flatnonzero(found.part == 2).astype(np.int64) if wanted[2] else None,
        account=_account(found, num_steps, sizes, "the fold" if parts is None else "data.parts"),
        channels=tuple(list(inputs).index(target) for target in targets),
        times=times,
    )


def as_values(columns: Mapping[str, FloatArray], names: Sequence[str]) -> FloatArray:
    """Return columns (S,) side by side, (S, C) float32; float64 where one would lose digits that matter."""
    return np.stack([compact(columns[name].astype(np.float64)) for name in names], axis=1)


@final
@dataclass(frozen=True, slots=True)
class _Windows:
    """The windows that are kept, and how many are not.

    Attributes:
        starts: (N,) the first step of each target.
        part: (N,) 0 for training, 1 for validation, 2 for test.
        stretch: (N,) the number of the stretch that each lies in.
        dropped: how many are left out, by reason.
    """

    starts: Rows
    part: Rows
    stretch: Rows
    dropped: dict[str, int]


def _part_sizes(
    name: str, num_steps: int, parts: Sequence[int] | None, val_fraction: float, test_fraction: float
) -> tuple[int, int, int]:
    """Return how many steps the parts have. Raises: ConfigError where there are not as many, or none to train on."""
    if parts is not None:
        train, val, test = parts
        if train + val + test > num_steps:
            told = f"data.parts=[{train},{val},{test}] are {train + val + test} steps, but {name} has {num_steps}"
            raise ConfigError(told, hint="data.parts=null")
        return train, val, test
    val, test = round(num_steps * val_fraction), round(num_steps * test_fraction)
    if val + test >= num_steps:
        told = f"data.val_fraction={val_fraction} and data.test_fraction={test_fraction} leave no step to train on"
        raise ConfigError(f"{told}, of {num_steps} in {name}", hint="make them smaller")
    return num_steps - val - test, val, test


def _found_windows(
    stretches: Sequence[tuple[int, int]], sizes: tuple[int, int, int], window: int, horizon: int, stride: int
) -> _Windows:
    """Return the windows that lie in one stretch, with their target in one part, by the first step of the target."""
    part_ends = np.cumsum(sizes)
    starts = np.arange(window, part_ends[-1] - horizon + 1, dtype=np.int64)
    firsts, ends = np.array(stretches, np.int64).T
    stretch = np.searchsorted(ends, starts, side="right")
    part = np.searchsorted(part_ends, starts, side="right")
    on_grid = (part > 0) | ((starts - firsts[stretch] - window) % stride == 0)
    starts, stretch, part = starts[on_grid], stretch[on_grid], part[on_grid]
    over_gap = (starts - window < firsts[stretch]) | (starts + horizon > ends[stretch])
    in_two = (starts + horizon > part_ends[part]) & ~over_gap
    counts = {OVER_GAP: int(over_gap.sum()), IN_TWO_PARTS: int(in_two.sum())}
    kept = ~(over_gap | in_two)
    dropped = {reason: count for reason, count in counts.items() if count}
    return _Windows(starts[kept], part[kept].astype(np.int64), stretch[kept].astype(np.int64), dropped)


def _any(filled: Mapping[str, BoolArray], names: Sequence[str]) -> BoolArray:
    """Return the steps (S,) at which any of some columns was filled in."""
    found: BoolArray = np.any([filled[name] for name in names], axis=0)
    return found


def _without_filled(found: _Windows, ends: BoolArray, told: BoolArray, horizon: int) -> _Windows:
    """Return the windows whose past does not end with a step of `ends` (S,), and that tell none of `told` (S,)."""
    before = np.append(0, np.cumsum(told))
    wrong = ends[found.starts - 1] | (before[found.starts + horizon] > before[found.starts])
    dropped = found.dropped | ({OF_FILLED: int(wrong.sum())} if wrong.any() else {})
    return _Windows(found.starts[~wrong], found.part[~wrong], found.stretch[~wrong], dropped)


def _check_season(name: str, found: _Windows, season: int, needed: int) -> None:
    """Check that training windows, of `needed` steps each, cover more than a season in a row. Raises: ConfigError."""
    mine = found.part == 0
    starts, stretch = found.starts[mine], found.stretch[mine]
    longest = max(int(np.ptp(starts[stretch == number])) for number in np.unique(stretch)) + needed
    if season >= longest:
        told = f"data.season={season} needs more steps for training than {longest}, which {name} has in a row"
        raise ConfigError(told, hint="data.season=1")


def _check_parts(
    name: str,
    found: _Windows,
    stretches: Sequence[tuple[int, int]],
    sizes: tuple[int, int, int],
    wanted: Sequence[bool],
    window: int,
    horizon: int,
) -> None:
    """Check that each part that is wanted has a window. Raises: ConfigError, saying how many steps there are."""
    needed, total = window + horizon, sum(sizes)
    asked = f"data.window={window} and data.horizon={horizon} need {needed} steps"
    if needed > total:
        raise ConfigError(f"{asked}, but {name} has {total}", hint="make them smaller")
    ends = np.cumsum([0, *sizes]).tolist()
    for number, (start, stop) in enumerate(pairwise(ends)):
        if (found.part == number).any() or not wanted[number]:
            continue
        part = f"the {PARTS[number]} part of {name}"
        if number and sizes[number] < horizon:
            told = f"data.horizon={horizon} is longer than {part}, which has {sizes[number]} steps"
            raise ConfigError(told, hint="make it smaller, or the part larger")
        reach = max(0, start - window) if number else 0
        longest = max(0, *(min(stop, end) - max(reach, first) for first, end in stretches))
        if longest >= needed:
            told = f"no window of {part} is left whose target, and last step of the past, are values of the file"
            raise ConfigError(told, hint="data.gaps=split, or make them smaller")
        between = " without a gap" if len(stretches) > 1 else ""
        hint = "data.gaps=interpolate, or make them smaller" if between else "make them smaller, or the part larger"
        raise ConfigError(f"{asked}, but {part} has {longest}{between}", hint=hint)


def _account(found: _Windows, num_steps: int, sizes: tuple[int, int, int], by: str) -> Account:
    """Return where the windows and the steps went."""
    listed = ", ".join(f"{size} for {part}" for size, part in zip(sizes, PARTS, strict=True))
    behind = num_steps - sum(sizes)
    note = f"of {num_steps} steps {listed}" + (f", {behind} behind them are left out by {by}" if behind else "")
    return Account(len(found.starts) + sum(found.dropped.values()), found.dropped, (note,))
