"""Series that are stretched, multiplied and jittered."""

from __future__ import annotations

import numpy as np
import torch

from nnkit.augment.draws import Draws
from nnkit.augment.series import jittered, multiplied, stretched

SERIES = torch.arange(20.0).repeat(300, 1)[:, :, None] * torch.tensor([1.0, -2.0])  # (300, 20, 2)


def draws(size: int = 300) -> Draws:
    return Draws.of(np.random.default_rng(0), size, size, torch.device("cpu"))


def test_a_window_of_a_line_is_a_line_of_at_least_its_share() -> None:
    found = stretched(SERIES, draws(), 0.4, None)
    slopes = found[:, 1:, 0] - found[:, :-1, 0]
    assert torch.allclose(slopes, slopes[:, :1].expand_as(slopes), atol=1e-4)
    assert torch.allclose(found[:, :, 1], -2 * found[:, :, 0])
    span = (found[:, -1, 0] - found[:, 0, 0] + 1) / 20
    assert 0.6 <= float(span.min()) < 0.63 < 0.97 < float(span.max()) <= 1.0 + 1e-6
    assert float(found.min()) >= -2 * 19 - 1e-4
    assert float(found[:, :, 0].min()) >= 0
    assert float(found[:, :, 0].max()) <= 19 + 1e-4


def test_what_lies_behind_the_end_of_a_series_stays_and_is_not_read() -> None:
    lengths = torch.tensor([1, 2, 7, 20]).repeat(75)
    padded = SERIES.where((torch.arange(20) < lengths[:, None])[:, :, None], torch.tensor(1e6))
    found = stretched(padded, draws(), 0.9, lengths)
    there = torch.arange(20) < lengths[:, None]
    assert float(found[there].abs().max()) < 39
    assert bool((found[~there] == 1e6).all())
    assert torch.equal(found[::4], padded[::4])
    noisy = jittered(padded, torch.ones_like(padded), 0.5, lengths)
    assert torch.equal(noisy[~there], padded[~there])
    assert torch.equal(noisy[there], padded[there] + 0.5)


def test_each_channel_has_a_factor() -> None:
    normal = torch.tensor([[1.0, -1.0]])
    found = multiplied(SERIES, normal, 0.1)
    assert torch.allclose(found, SERIES * torch.tensor([1.1, 0.9]))
