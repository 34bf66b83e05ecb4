"""Small sets that are made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnkit.config.sections.sequences import AddingConfig, ParityConfig, SineConfig
from nnkit.data.generated import read_adding, read_parity, read_sine, sine_wave
from nnkit.data.sequences import Sequences
from nnkit.spec import InputSpec


def adding(**settings: Any) -> AddingConfig:
    return AddingConfig(kind="adding", val_fraction=0.2, test_fraction=0.2, **settings)


def parity(**settings: Any) -> ParityConfig:
    return ParityConfig(kind="parity", val_fraction=0.2, test_fraction=0.2, **settings)


@pytest.mark.parametrize("min_length", [None, 3])
def test_the_sum_of_the_two_marked_numbers_is_the_target(min_length: int | None) -> None:
    source = read_adding(adding(samples=200, length=9, min_length=min_length))
    (x,) = source.inputs
    assert isinstance(x, Sequences) == (min_length is not None)
    assert source.specs == (InputSpec("x", "series", (9, 2)),)
    target = np.asarray(source.target)
    assert (target.shape, str(target.dtype), source.task) == ((200, 1), "float64", "regression")
    for case, total in zip(x, target, strict=True):
        assert sorted(case[:, 1].tolist())[-3:] == [0, 1, 1]
        assert case[case[:, 1] == 1, 0].astype(np.float64).sum() == total[0]
        assert (case.dtype, case[:, 0].min() >= 0, case[:, 0].max() < 1) == (np.float32, True, True)


def test_each_place_is_marked_about_equally_often() -> None:
    (x,) = read_adding(adding(samples=4000, length=4)).inputs
    np.testing.assert_allclose(x[..., 1].mean(0), 0.5, atol=0.03)  # 2 of 4 steps; 4 deviations of a share


@pytest.mark.parametrize("min_length", [None, 2])
def test_the_label_of_a_step_is_the_parity_of_the_bits_so_far(min_length: int | None) -> None:
    source = read_parity(parity(samples=100, length=7, min_length=min_length))
    (x,) = source.inputs
    assert isinstance(source.target, Sequences)
    assert (source.task, source.classes, str(source.target.values.dtype)) == ("tagging", ("even", "odd"), "int64")
    assert source.specs == (InputSpec("x", "series", (7, 1)),)
    for case, labels in zip(x, source.target, strict=True):
        assert labels.tolist() == [int(case[: t + 1].sum()) % 2 for t in range(len(case))]


def test_lengths_vary_between_the_two() -> None:
    source = read_parity(parity(samples=300, length=5, min_length=2))
    (x,) = source.inputs
    assert set(x.lengths.tolist()) == {2, 3, 4, 5}
    assert x.covered().all()


@pytest.mark.parametrize(("read", "config"), [(read_adding, adding), (read_parity, parity)])
def test_the_settings_alone_say_what_is_drawn(read: Any, config: Any) -> None:
    np.random.seed(1)
    one = read(config(samples=5))
    np.random.seed(2)
    assert one.fingerprint() == read(config(samples=5)).fingerprint()
    assert one.fingerprint() != read(config(samples=6)).fingerprint()


@pytest.mark.parametrize(("read", "config"), [(read_adding, adding), (read_parity, parity)])
def test_the_least_length_may_be_the_length(read: Any, config: Any) -> None:
    (x,) = read(config(samples=4, length=5, min_length=5)).inputs
    assert x.shape[:2] == (4, 5)


def test_a_wave_is_the_mean_of_two() -> None:
    wave = sine_wave(33, 0.0, 8.0)
    assert wave[8] == pytest.approx(0.5)  # the slow wave at its top, the fast one at 0
    assert wave[[0, 16, 32]] == pytest.approx([0, 0, 0])
    assert wave[2] == pytest.approx((1 + np.sin(np.pi / 8)) / 2)


def test_noise_has_the_deviation_that_is_asked_for() -> None:
    noise = sine_wave(20_000, 0.3, 25.0) - sine_wave(20_000, 0.0, 25.0)
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.01)


def test_sine_is_windows_of_a_wave() -> None:
    config = SineConfig(
        kind="sine", steps=200, noise=0.0, window=20, horizon=5, season=25, val_fraction=0.2, test_fraction=0.2
    )
    source = read_sine(config)
    assert (source.task, source.name) == ("forecast", "data=sine")
    wave = sine_wave(200, 0.0, 25.0)
    assert isinstance(source.target, Sequences)
    for start, x, y in zip(source.inputs[0].starts, *source.inputs, source.target, strict=True):
        np.testing.assert_allclose(np.concatenate([x, y])[:, 0], wave[start : start + 25], atol=1e-6)
