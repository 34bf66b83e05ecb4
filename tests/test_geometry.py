"""Sizes of feature maps against torch's own layers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnkit.geometry import map_sizes, padding_of


def run_blocks(x: Tensor, blocks: nn.ModuleList, pool: nn.Module) -> list[int]:
    """Return the sizes that torch makes, up to the first block in which it refuses the map."""
    sizes = []
    for conv in blocks:
        try:
            x = pool(conv(x))
        except RuntimeError:
            return [*sizes, 0]
        sizes.append(x.shape[-1])
    return sizes


@given(
    size=st.integers(1, 40),
    blocks=st.integers(1, 4),
    kernel_size=st.integers(1, 7),
    stride=st.integers(1, 4),
    padding=st.one_of(st.integers(0, 4), st.just("same")),
    pool_size=st.one_of(st.none(), st.integers(2, 4)),
    average=st.booleans(),
)
@settings(deadline=None, max_examples=200)
def test_map_sizes_are_those_of_torch(
    size: int, blocks: int, kernel_size: int, stride: int, padding: int | str, pool_size: int | None, average: bool
) -> None:
    zeros = kernel_size // 2 if padding == "same" else padding
    convs = nn.ModuleList(nn.Conv1d(1, 1, kernel_size, stride, zeros) for _ in range(blocks))  # type: ignore[arg-type]
    kind = nn.AvgPool1d if average else nn.MaxPool1d
    pool = nn.Identity() if pool_size is None else kind(pool_size)
    ours = map_sizes(size, blocks=blocks, kernel_size=kernel_size, stride=stride, padding=padding, pool_size=pool_size)
    theirs = run_blocks(torch.zeros(1, 1, size), convs, pool)
    gone = next((i for i, s in enumerate(ours) if s < 1), None)
    assert len(ours) == blocks
    assert (ours if gone is None else [*ours[:gone], 0]) == theirs


@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7])
def test_same_keeps_the_size_at_stride_1_and_an_odd_kernel(kernel_size: int) -> None:
    kept = map_sizes(9, blocks=3, kernel_size=kernel_size, stride=1, padding="same", pool_size=None)
    assert kept == [9, 9, 9]


def test_padding_is_taken_as_written_when_it_is_a_number() -> None:
    assert padding_of(0, 5) == 0
    assert padding_of(3, 5) == 3
