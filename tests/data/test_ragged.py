"""Batches of sequences as tensors, filled up with zeros behind their ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from nnkit.data.ragged import Ragged
from nnkit.data.sequences import Sequences

STRETCHES = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 10)), min_size=1, max_size=8)


def ragged(places: list[tuple[int, int]], channels: int) -> tuple[Ragged, list[Tensor]]:
    """Return stretches (start, length) of 30 steps that are never 0, and each as a tensor (T, C) or (T,)."""
    values = np.arange(1, 31, dtype=np.float32)
    values = np.stack([values * (k + 1) for k in range(channels)], 1) if channels else values
    starts, lengths = (np.array(column, np.int64) for column in zip(*places, strict=True))
    found = Ragged.of(Sequences(values, starts, lengths))
    return found, [torch.from_numpy(values[start : start + length]) for start, length in places]


@given(places=STRETCHES, channels=st.integers(0, 2))
def test_a_batch_is_what_torch_makes_of_the_sequences(places: list[tuple[int, int]], channels: int) -> None:
    found, parts = ragged(places, channels)
    expected = pad_sequence(parts, batch_first=True)
    assert torch.equal(found.padded(), expected)
    assert torch.equal(found.flat(), torch.cat(parts))
    inside = expected != 0 if channels == 0 else expected[..., 0] != 0
    assert torch.equal(found.mask(), inside.float())
    assert (len(found), found.is_even) == (len(places), len({length for _, length in places}) == 1)


@given(places=STRETCHES, data=st.data())
def test_some_of_them_are_gathered_from_the_same_steps(places: list[tuple[int, int]], data: st.DataObject) -> None:
    found, parts = ragged(places, 2)
    rows = data.draw(st.lists(st.integers(0, len(places) - 1), min_size=1, max_size=5))
    chosen = found.index_select(0, torch.tensor(rows))
    assert torch.equal(chosen.padded(), pad_sequence([parts[row] for row in rows], batch_first=True))
    first = data.draw(st.integers(0, len(places) - 1))
    assert torch.equal(found[first:].padded(), pad_sequence(parts[first:], batch_first=True))
    assert chosen.values.data_ptr() == found.values.data_ptr()


def test_filling_up_leaves_the_steps_as_they_are() -> None:
    found, _ = ragged([(0, 2), (1, 4)], 2)
    before = found.values.clone()
    found.padded().fill_(-1)
    assert torch.equal(found.values, before)


def test_other_values_may_stand_in_place_of_the_sequences_own() -> None:
    given = Sequences.of([np.array([1, 2, 3]), np.array([4])])
    assert Ragged.of(given, torch.tensor([5.0, 6, 7, 8])).padded().tolist() == [[5, 6, 7], [8, 0, 0]]


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_steps_move_to_the_device_while_places_stay_on_the_cpu(device: str | torch.device) -> None:
    found, parts = ragged([(0, 2), (1, 4)], 2)
    moved = found.to(device)
    assert moved.starts.device.type == moved.lengths.device.type == "cpu"
    assert torch.equal(moved.padded(), pad_sequence(parts, batch_first=True))
