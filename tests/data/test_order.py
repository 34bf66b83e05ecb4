"""In which order samples are seen."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nnkit.data import order as module
from nnkit.data.batches import spans
from nnkit.data.order import continuing, shuffled_by_length, streams


def chance(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lengths_of(num: int, longest: int = 100) -> Tensor:
    return torch.randint(1, longest + 1, (num,), generator=chance(1))


# by length


@given(num=st.integers(1, 300), size=st.integers(1, 40), seed=st.integers(0, 5), stretch=st.integers(1, 6))
def test_every_sequence_comes_once(num: int, size: int, seed: int, stretch: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STRETCH", stretch)
        order = shuffled_by_length(lengths_of(num), size, chance(seed))
    assert sorted(order.tolist()) == list(range(num))


def test_batches_have_like_lengths_and_little_is_padded() -> None:
    lengths = lengths_of(3203)
    order = shuffled_by_length(lengths, 32, chance())
    batches = lengths[order][:3200].view(-1, 32)
    spread = (batches.amax(1) - batches.amin(1)).float()
    assert spread.mean() < 3
    assert spread.max() < 10
    padding = 1 - batches.sum() / (batches.amax(1) * 32).sum()
    assert padding < 0.05


def test_batches_come_in_no_order_and_with_other_companions_each_time() -> None:
    lengths = lengths_of(3200)
    first, second = (shuffled_by_length(lengths, 32, chance(seed)).view(-1, 32) for seed in (0, 1))
    rising = sum(bool(a < b) for a, b in pairwise(lengths[first].float().mean(1).tolist()))
    assert 30 < rising < 70
    met = [max(len({*row} & {*other}) for other in second.tolist()) for row in first.tolist()]
    assert max(met) < 32
    assert sum(met) / len(met) < 16


def test_the_samples_that_fill_no_batch_come_last_and_are_others_each_time() -> None:
    lengths = lengths_of(103)
    lasts = [shuffled_by_length(lengths, 10, chance(seed))[100:] for seed in range(6)]
    assert all(len(last) == 3 and lengths[last].tolist() == sorted(lengths[last].tolist()) for last in lasts)
    assert len({tuple(last.tolist()) for last in lasts}) == 6


def test_a_single_batch_is_a_random_order_too() -> None:
    lengths = lengths_of(15)
    orders = {tuple(shuffled_by_length(lengths, 10, chance(seed)).tolist()) for seed in range(4)}
    assert len(orders) == 4


# streams


@given(num=st.integers(1, 60), size=st.integers(1, 12))
def test_each_place_of_a_batch_goes_through_a_stretch_of_the_samples(num: int, size: int) -> None:
    order = streams(num, size)
    assert sorted(order.tolist()) == list(range(num))
    places = [order[place::size].tolist() for place in range(min(num, size))]
    assert all(right - left == 1 for place in places for left, right in pairwise(place))
    assert [len(place) for place in places] == sorted((len(place) for place in places), reverse=True)
    assert len(places[0]) - len(places[-1]) <= 1


@given(
    num=st.integers(1, 60),
    size=st.integers(1, 12),
    texts=st.lists(st.integers(1, 20), min_size=1, max_size=6),
)
def test_a_sample_continues_where_its_own_predecessor_was_last_at_its_place(
    num: int, size: int, texts: list[int]
) -> None:
    starts = {sum(texts[:k]) for k in range(len(texts) + 1)}
    follows = torch.tensor([row not in starts for row in range(num)])
    order, cuts = streams(num, size), spans(num, size)
    held: dict[int, int] = {}  # what a run that keeps one state a place has in it
    for number, cut in enumerate(cuts):
        found = continuing(order, follows, cut, cuts[number - 1] if number else None)
        rows = order[cut[0] : cut[1]].tolist()
        expected = [held.get(place) == row - 1 and bool(follows[row]) for place, row in enumerate(rows)]
        assert found.tolist() == expected
        held = dict(enumerate(rows))


def test_all_but_the_first_batch_of_one_text_continue() -> None:
    order, follows = streams(12, 3), torch.arange(12) > 0
    assert order.view(4, 3).tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert continuing(order, follows, (0, 3), None).tolist() == [False] * 3
    assert continuing(order, follows, (3, 6), (0, 3)).tolist() == [True] * 3


def test_leftovers_continue_and_a_single_last_sample_starts_anew() -> None:
    follows = torch.arange(14) > 0
    order, cuts = streams(14, 3), spans(14, 3)
    assert (cuts[-1], order[12:].tolist()) == ((12, 14), [4, 9])
    assert continuing(order, follows, cuts[-1], cuts[-2]).tolist() == [True, True]
    order, cuts = streams(13, 3), spans(13, 3)
    assert cuts[-1] == (9, 13)
    assert order[9:].tolist() == [3, 8, 12, 4]  # the last one has no place of its own: see spans
    assert continuing(order, follows, cuts[-1], cuts[-2]).tolist() == [True, True, True, False]
