"""Small sets that are made up: functions of their settings alone."""

# N sequences, T steps, S = N * T steps in all

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nnkit.config.sections.cv import CvConfig
from nnkit.config.sections.sequences import AddingConfig, ParityConfig, SineConfig
from nnkit.data.sequences import Rows, Sequences
from nnkit.data.source import Source
from nnkit.data.windows import windows_source
from nnkit.seeding import derive
from nnkit.spec import InputSpec

SLOWER = 4  # how many times as long the second wave of a sine is


def read_adding(config: AddingConfig) -> Source:
    """Return sequences of numbers in [0, 1) beside marks, of which two are 1; the target is the sum of the marked ones.

    Returns:
        Input (N, T, 2) float32, or sequences of min_length to length steps; target (N, 1) float64.

    Source: Hochreiter & Schmidhuber 1997, section 5.4, with numbers in [0, 1) and marks of 0 and 1.
    """
    rng = np.random.default_rng(derive(0, "adding"))
    lengths = _lengths(rng, config)
    values = rng.random((config.samples, config.length), np.float32)
    first = rng.integers(0, lengths)
    second = (first + rng.integers(1, lengths)) % lengths
    marks = np.zeros_like(values)
    rows = np.arange(config.samples)
    marks[rows, first] = marks[rows, second] = 1
    total = values[rows, first].astype(np.float64) + values[rows, second]
    x = _input(np.stack([values, marks], axis=2), lengths)
    return Source("data=adding", (x,), (InputSpec("x", "series", (_longest(x), 2)),), total[:, None], ("sum",))


def read_parity(config: ParityConfig) -> Source:
    """Return sequences of bits; the label of each step says whether an odd number of them has been 1 so far.

    Returns:
        Input (N, T, 1) float32, or sequences of min_length to length steps; target sequences of class numbers.
    """
    rng = np.random.default_rng(derive(0, "parity"))
    lengths = _lengths(rng, config)
    bits = rng.integers(0, 2, (config.samples, config.length))
    x = _input(bits[:, :, None].astype(np.float32), lengths)
    target = Sequences.cut(np.cumsum(bits, axis=1) % 2, lengths)
    spec = InputSpec("x", "series", (_longest(x), 1))
    return Source("data=parity", (x,), (spec,), target, ("parity",), ("even", "odd"))


def _lengths(rng: np.random.Generator, config: AddingConfig | ParityConfig) -> Rows:
    """Return the length of each sequence."""
    least = config.length if config.min_length is None else config.min_length
    return rng.integers(least, config.length, config.samples, endpoint=True)


def _input(values: npt.NDArray[Any], lengths: Rows) -> Any:
    """Return values (N, T, C) as they are where all have one length, else as sequences."""
    return values if (lengths == lengths[0]).all() else Sequences.cut(values, lengths)


def _longest(x: Any) -> int:
    return x.longest if isinstance(x, Sequences) else int(x.shape[1])


def sine_wave(steps: int, noise: float, period: float) -> npt.NDArray[np.float64]:
    """Return the mean of two sine waves, the second SLOWER times as long as the first, plus normal noise.

    Args:
        steps: S.
        noise: standard deviation of what is added to each step.
        period: steps of the faster wave.

    Returns:
        (S,), within [-1, 1] without noise.
    """
    phase = 2 * np.pi * np.arange(steps) / period
    waves: npt.NDArray[np.float64] = (np.sin(phase) + np.sin(phase / SLOWER)) / 2
    return waves + noise * np.random.default_rng(derive(0, "sine")).standard_normal(steps)


def read_sine(config: SineConfig, cv: CvConfig | None = None) -> Source:
    """Return windows of noisy sine waves, to be forecast, for a fold where one is given. Raises: ConfigError."""
    return windows_source(
        "data=sine",
        {"wave": sine_wave(config.steps, config.noise, config.period)},
        inputs=["wave"],
        targets=["wave"],
        future=[],
        times=None,
        parts_of=None,
        window=config.window,
        horizon=config.horizon,
        stride=config.stride,
        parts=None,
        val_fraction=config.val_fraction,
        test_fraction=config.test_fraction or 0.0,
        cv=cv,
        season=config.season,
    )
