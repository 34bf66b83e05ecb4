"""Batches in an order that depends on seed and epoch alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnkit.data import batches as module
from nnkit.data.batches import Batch, Batches, Samples, balanced_chances, encode, spans
from nnkit.data.frame import Column, Frame
from nnkit.data.preprocess import ArrayEncoder, fit_preprocess
from nnkit.data.scaling import Scale
from nnkit.data.source import Source
from nnkit.data.tabular import Rules
from tests.data.series_sources import source_of_series, source_of_tags, source_of_texts, source_of_windows
from tests.data.sources import source_of, source_of_classes, source_of_values

CPU = torch.device("cpu")
# Below one batch, one batch or a few, and all of them: the samples below take 8 bytes a row.
BLOCK_SIZES = pytest.mark.parametrize("block_bytes", [1, 50, 130, 1 << 20])


def numbered(num_rows: int) -> Samples:
    """Return samples of which each tensor holds the row's number."""
    numbers = torch.arange(num_rows)
    return Samples((numbers[:, None].expand(-1, 2).float().contiguous(),), numbers, numbers.float())


def batches_of(num_rows: int, size: int, *, shuffle: bool = True, drop_last: bool = False, seed: int = 0) -> Batches:
    return Batches(numbered(num_rows), size=size, shuffle=shuffle, drop_last=drop_last, seed=seed)


def order_of(found: Batches, epoch: int, first_step: int = 0) -> list[list[int]]:
    return [batch.index.tolist() for batch in found.epoch(epoch, first_step=first_step)]


def rows_of(found: Batches, epoch: int) -> list[int]:
    return [row for batch in order_of(found, epoch) for row in batch]


@pytest.mark.parametrize(
    ("total", "size", "drop_last", "expected"),
    [
        (6, 3, False, [(0, 3), (3, 6)]),
        (8, 3, False, [(0, 3), (3, 6), (6, 8)]),
        (7, 3, False, [(0, 3), (3, 7)]),
        (7, 3, True, [(0, 3), (3, 6)]),
        (8, 3, True, [(0, 3), (3, 6)]),
        (6, 3, True, [(0, 3), (3, 6)]),
        (4, 3, False, [(0, 4)]),
        (2, 3, True, [(0, 2)]),
        (1, 3, False, [(0, 1)]),
        (3, 1, False, [(0, 1), (1, 2), (2, 3)]),
    ],
)
def test_rows_are_cut_into_stretches(total: int, size: int, drop_last: bool, expected: list[tuple[int, int]]) -> None:
    assert spans(total, size, drop_last=drop_last) == expected


@given(total=st.integers(1, 200), size=st.integers(1, 50))
def test_stretches_follow_each_other_over_all_rows_and_none_is_left_alone(total: int, size: int) -> None:
    cut = spans(total, size)
    assert (cut[0][0], cut[-1][1]) == (0, total)
    assert all(left[1] == right[0] for left, right in pairwise(cut))
    assert size == 1 or total == 1 or min(stop - start for start, stop in cut) > 1


@given(
    num_rows=st.integers(1, 60),
    size=st.integers(1, 20),
    shuffle=st.booleans(),
    seed=st.integers(-9, 9),
    epoch=st.integers(0, 9),
    block_bytes=st.sampled_from([1, 50, 130, 1 << 20]),
)
def test_an_epoch_has_every_row_exactly_once(
    num_rows: int, size: int, shuffle: bool, seed: int, epoch: int, block_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_BYTES", block_bytes)
        found = batches_of(num_rows, size, shuffle=shuffle, seed=seed)
    assert len(order_of(found, epoch)) == len(found)
    assert sorted(rows_of(found, epoch)) == list(range(num_rows))


@BLOCK_SIZES
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_keeps_the_parts_of_a_sample_together(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int, shuffle: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    for batch in batches_of(23, 5, shuffle=shuffle).epoch(0):
        assert batch.inputs[0].tolist() == [[k, k] for k in batch.index.tolist()]
        assert batch.target.tolist() == batch.weight.tolist() == batch.index.tolist()
        assert len(batch) == len(batch.index)


@BLOCK_SIZES
@pytest.mark.parametrize("shuffle", [True, False])
def test_an_epoch_goes_on_from_any_step_as_if_it_had_not_been_left(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int, shuffle: bool
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    found = batches_of(23, 5, shuffle=shuffle)
    whole = order_of(found, 3)
    for step in range(len(found) + 1):
        assert order_of(found, 3, first_step=step) == whole[step:]


def test_an_epoch_that_goes_on_has_its_batches_at_the_same_places_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 130)
    found = batches_of(23, 5)
    whole = [batch.inputs[0].storage_offset() for batch in found.epoch(0)]
    assert len(set(whole)) > 1
    for step in range(len(found)):
        assert [batch.inputs[0].storage_offset() for batch in found.epoch(0, first_step=step)] == whole[step:]


def test_the_size_of_a_block_does_not_change_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for block_bytes in (1, 50, 130, 1 << 20):
        monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
        found.append(order_of(batches_of(23, 5), 1))
    assert all(order == found[0] for order in found)


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    first = order_of(batches_of(30, 7, seed=5), 2)
    torch.manual_seed(2)
    again = batches_of(30, 7, seed=5)
    order_of(again, 0)
    assert order_of(again, 2) == first
    orders = {tuple(rows_of(batches_of(30, 7, seed=seed), e)) for seed in (5, 6) for e in (0, 1, 2)}
    assert len(orders) == 6


def test_drawing_an_order_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    order_of(batches_of(30, 7), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_batch_size_does_not_change_the_order_of_the_rows() -> None:
    assert rows_of(batches_of(30, 4), 1) == rows_of(batches_of(30, 30), 1)


def test_without_shuffling_each_epoch_has_the_rows_in_order() -> None:
    found = batches_of(8, 3, shuffle=False)
    assert order_of(found, 0) == order_of(found, 1) == [[0, 1, 2], [3, 4, 5], [6, 7]]


def test_an_incomplete_last_batch_is_dropped_on_demand_and_differs_by_epoch() -> None:
    found = batches_of(8, 3, drop_last=True)
    epochs = [rows_of(found, e) for e in range(8)]
    assert all(len(rows) == len(set(rows)) == 6 for rows in epochs)
    assert set().union(*epochs) == set(range(8))


def test_rows_of_a_batch_are_views() -> None:
    batch = next(batches_of(8, 8, shuffle=False).epoch(0))
    part: Batch = batch.rows(2, 5)
    assert part.index.tolist() == part.target.tolist() == part.weight.tolist() == [2, 3, 4]
    assert part.inputs[0].data_ptr() == batch.inputs[0][2:].data_ptr()


def encoded(source: Source, rows: Any, **scaling: str) -> Samples:
    rows = np.asarray(rows)
    settings = {"scaling": "standard", "target_scaling": "none"} | scaling
    return encode(source, rows, fit_preprocess(source, rows, **settings), CPU)


def prepared(samples: Samples) -> Any:
    """Return what the model sees of the first input."""
    (batch,) = Batches(samples, size=len(samples), shuffle=False, drop_last=False, seed=0).epoch(0)
    return batch.inputs[0].tolist()


def test_floats_are_scaled_once_when_they_are_encoded() -> None:
    samples = encoded(source_of(np.array([[9], [1], [3]], np.float32), [0, 1, 2]), [1, 2])
    assert samples.inputs[0].tolist() == [[-1.0], [1.0]]
    assert prepared(samples) == [[-1.0], [1.0]]
    assert samples.target.tolist() == [[1.0], [2.0]]
    assert samples.weight.tolist() == [1.0, 1.0]
    assert (len(samples), samples.target.dtype) == (2, torch.float32)


def test_unscaled_floats_are_stored_as_they_are() -> None:
    samples = encoded(source_of(np.array([[9], [1], [3]], np.float32), [0, 1, 2]), [0, 2], scaling="none")
    assert samples.inputs[0].tolist() == prepared(samples) == [[9.0], [3.0]]


def test_targets_are_scaled_when_they_are_encoded() -> None:
    source = source_of(np.zeros((3, 1), np.float32), [10.0, 20.0, 99.0])
    assert encoded(source, [0, 1], target_scaling="standard").target.tolist() == [[-1.0], [1.0]]


def test_class_numbers_are_encoded_as_they_are() -> None:
    samples = encoded(source_of_classes([2, 0, 1], 3), [0, 2])
    assert (samples.target.tolist(), samples.target.dtype) == ([2, 1], torch.int64)


@pytest.mark.parametrize(("scaling", "shift", "size"), [("standard", 4.0, 2.0), ("minmax", 0.0, 255.0), ("none", 0, 1)])
@pytest.mark.parametrize("shuffle", [True, False])
def test_bytes_stay_bytes_until_a_batch_is_made_of_them(scaling: str, shift: float, size: float, shuffle: bool) -> None:
    images = np.array([2, 6, 2, 6], np.uint8).reshape(4, 1, 1, 1)
    samples = encoded(source_of(images, range(4), classes="abcd", kind="image"), range(4), scaling=scaling)
    assert samples.inputs[0].dtype == torch.uint8
    for batch in Batches(samples, size=2, shuffle=shuffle, drop_last=False, seed=0).epoch(0):
        expected = (images[batch.index.numpy()].astype(np.float64) - shift) / size
        np.testing.assert_allclose(batch.inputs[0], expected, rtol=1e-6)
        assert batch.inputs[0].dtype == torch.float32


def test_encoding_leaves_the_source_as_it_was() -> None:
    source = source_of(np.array([[9], [1], [3]], np.float32), [5, 6, 8])
    before = source.fingerprint()
    encoded(source, [0, 1, 2], target_scaling="standard")
    assert source.fingerprint() == before


def test_other_parts_are_scaled_by_what_was_fitted_on_the_training_rows() -> None:
    source = source_of(np.array([[0], [2], [5]], np.float32), [0, 1, 2])
    preprocess = fit_preprocess(source, np.array([0, 1]), scaling="standard", target_scaling="none")
    assert preprocess.inputs == (ArrayEncoder(source.specs[0], Scale("features", (1.0,), (1.0,))),)
    assert encode(source, np.array([2]), preprocess, CPU).inputs[0].tolist() == [[4.0]]


# drawing classes equally often


def drawing(target: Any, *, size: int = 8, seed: int = 0) -> Batches:
    samples = replace(numbered(len(target)), target=torch.as_tensor(target))
    chances = balanced_chances(samples.target)
    return Batches(samples, size=size, shuffle=True, drop_last=False, seed=seed, chances=chances)


@given(counts=st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_chances_give_every_class_the_same_share(counts: list[int]) -> None:
    target = torch.as_tensor(np.repeat(np.arange(len(counts)), counts))
    chances = balanced_chances(target)
    shares = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, target, chances) / chances.sum()
    np.testing.assert_allclose(shares, 1 / len(counts), rtol=1e-12)
    for number in range(len(counts)):
        assert len(set(chances[target == number].tolist())) == 1


def test_classes_are_drawn_equally_often_whatever_their_shares() -> None:
    target = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [2700, 250, 50]))
    found = drawing(target, size=100)
    rows = np.array(rows_of(found, 0))
    shares = np.bincount(target[rows], minlength=3) / len(rows)
    np.testing.assert_allclose(shares, 1 / 3, atol=4 * np.sqrt(2 / 9 / 3000))  # four standard deviations
    within = np.bincount(rows, minlength=len(target))[target == 2]
    assert within.mean() == pytest.approx(1000 / 50, rel=0.15)
    assert within.min() > 0


def test_an_epoch_of_draws_has_as_many_as_there_are_samples() -> None:
    found = drawing([0] * 20 + [1] * 3)
    assert len(rows_of(found, 0)) == 23
    assert len(set(rows_of(found, 0))) < 23


@BLOCK_SIZES
def test_draws_depend_on_seed_and_epoch_alone_and_go_on_from_any_step(
    monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    target = [0] * 20 + [1] * 3
    torch.manual_seed(1)
    whole = order_of(drawing(target, size=5), 2)
    torch.manual_seed(2)
    again = drawing(target, size=5)
    order_of(again, 0)
    for step in range(len(again) + 1):
        assert order_of(again, 2, first_step=step) == whole[step:]
    epochs = {tuple(rows_of(drawing(target, seed=seed), epoch)) for seed in (5, 6) for epoch in (0, 1)}
    assert len(epochs) == 4


def test_drawn_samples_keep_their_parts_together() -> None:
    for batch in drawing([0, 1] * 10).epoch(0):
        assert batch.inputs[0].tolist() == [[k, k] for k in batch.index.tolist()]


def test_a_class_that_training_lacks_does_not_disturb() -> None:
    assert balanced_chances(torch.tensor([0, 0, 2])).tolist() == [0.5, 0.5, 1.0]


# weights and tables


def test_the_weights_of_the_rows_are_those_of_the_source() -> None:
    source = replace(source_of_values(4), weight=np.array([1, 0, 2.5, 3], np.float32))
    assert encoded(source, [1, 2]).weight.tolist() == [0.0, 2.5]


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("block_bytes", [1, 1 << 20])
def test_buckets_become_features_when_a_batch_is_made_of_them(
    monkeypatch: pytest.MonkeyPatch, shuffle: bool, block_bytes: int
) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", block_bytes)
    buckets = np.array([0, 1, 0, 2, 1], np.int32)
    numeric = Column("n", "numeric", np.arange(5.0))
    frame = Frame((numeric, Column("c", "categorical", buckets, ("a", "b", "z"))))
    source = replace(source_of_values(5), inputs=(frame,), specs=())
    samples = encoded(source, range(5), scaling="none")
    assert [x.dtype for x in samples.inputs] == [torch.float32, torch.int32]
    for batch in Batches(samples, size=2, shuffle=shuffle, drop_last=False, seed=0).epoch(0):
        (x,) = batch.inputs
        expected = np.column_stack([np.arange(5.0), np.eye(3)[buckets]])[batch.index.numpy()]
        assert x.tolist() == expected.tolist()


def test_a_block_is_measured_as_the_model_sees_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 1000 * 20)
    names = tuple(f"c{k}" for k in range(1000))
    frame = Frame((Column("c", "categorical", np.arange(1000, dtype=np.int32), names),))
    source = replace(source_of_values(1000), inputs=(frame,), specs=())
    rules = Rules(max_categories=1000)
    preprocess = fit_preprocess(source, np.arange(1000), scaling="none", target_scaling="none", rules=rules)
    samples = encode(source, np.arange(1000), preprocess, CPU)
    for batch in Batches(samples, size=10, shuffle=False, drop_last=False, seed=0).epoch(0):
        assert batch.inputs[0].untyped_storage().nbytes() <= 4 * 1000 * 20


# sequences


def series_of(lengths: list[int], *, tags: bool = False) -> Source:
    """Return series whose values are the row's number, with classes 0, 1, 0, … of the rows or of the steps."""
    items = [np.full((n, 1), row) for row, n in enumerate(lengths)]
    return source_of_tags(items, [np.arange(n) % 2 for n in lengths]) if tags else source_of_series(items)


def of_sequences(source: Source, size: int, **choices: Any) -> Batches:
    samples = encoded(source, range(len(source)), scaling="none")
    return Batches(samples, **{"size": size, "shuffle": True, "drop_last": False, "seed": 0, **choices})


LENGTHS = np.random.default_rng(0).integers(1, 40, 203).tolist()


@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=40),
    size=st.integers(1, 12),
    shuffle=st.booleans(),
    order=st.sampled_from(["plain", "by_length", "streams"]),
    epoch=st.integers(0, 3),
    tags=st.booleans(),
)
def test_an_epoch_has_every_sequence_whole_and_once(
    lengths: list[int], size: int, shuffle: bool, order: str, epoch: int, tags: bool
) -> None:
    found = of_sequences(series_of(lengths, tags=tags), size, shuffle=shuffle, order=order)
    batches = list(found.epoch(epoch))
    assert len(batches) == len(found)
    rows = [row for batch in batches for row in batch.index.tolist()]
    assert sorted(rows) == list(range(len(lengths)))
    for batch in batches:
        own = [lengths[row] for row in batch.index.tolist()]
        x, *others = batch.inputs
        assert x.shape == (len(batch), max(own), 1)
        assert [given.tolist() for given in others] == ([own] if len(set(lengths)) > 1 else [])
        for row, n, steps in zip(batch.index.tolist(), own, x[..., 0], strict=True):
            assert steps.tolist() == [row] * n + [0] * (max(own) - n)
        if tags:
            assert batch.weight.tolist() == [[1.0] * n + [0.0] * (max(own) - n) for n in own]
            assert batch.target.tolist() == [[k % 2 if k < n else 0 for k in range(max(own))] for n in own]
        else:
            assert batch.weight.tolist() == [1.0] * len(batch)
            assert batch.target.tolist() == [row % 2 for row in batch.index.tolist()]


@pytest.mark.parametrize("order", ["plain", "by_length", "streams"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_sequences_go_on_from_any_step_as_if_they_had_not_been_left(order: str, shuffle: bool) -> None:
    found = of_sequences(series_of(LENGTHS), 16, order=order, shuffle=shuffle)
    whole = list(found.epoch(2))
    for step in (0, 1, 5, len(found) - 1, len(found)):
        rest = list(found.epoch(2, first_step=step))
        assert len(rest) == len(whole) - step
        for batch, expected in zip(rest, whole[step:], strict=True):
            assert all(map(torch.equal, batch.inputs, expected.inputs))
            assert torch.equal(batch.index, expected.index)
            assert (batch.continues is None) == (expected.continues is None)
            if batch.continues is not None and expected.continues is not None:
                assert torch.equal(batch.continues, expected.continues)


@pytest.mark.parametrize("order", ["plain", "by_length"])
def test_the_order_of_sequences_depends_on_seed_and_epoch_alone(order: str) -> None:
    def rows(seed: int, epoch: int) -> tuple[int, ...]:
        return tuple(rows_of(of_sequences(series_of(LENGTHS), 16, order=order, seed=seed), epoch))

    torch.manual_seed(1)
    first = rows(5, 2)
    torch.manual_seed(2)
    assert rows(5, 2) == first
    assert len({rows(seed, epoch) for seed in (5, 6) for epoch in (0, 1, 2)}) == 6


def test_batches_by_length_are_of_like_lengths_and_sorted_where_nothing_is_shuffled() -> None:
    for shuffle in (True, False):
        found = of_sequences(series_of(LENGTHS), 16, order="by_length", shuffle=shuffle)
        spreads = [max(own) - min(own) for own in ([LENGTHS[k] for k in batch] for batch in order_of(found, 0)[:-1])]
        assert max(spreads) <= 6
    ordered = [LENGTHS[row] for row in rows_of(found, 0)]
    assert ordered == sorted(LENGTHS)
    mixed = [LENGTHS[row] for row in rows_of(of_sequences(series_of(LENGTHS), 16, order="plain"), 0)]
    assert max(mixed[:16]) - min(mixed[:16]) > 20


def test_samples_of_one_length_have_no_order_by_length() -> None:
    even, plain = (of_sequences(series_of([3] * 30), 8, order=order) for order in ("by_length", "plain"))
    assert order_of(even, 1) == order_of(plain, 1)
    assert order_of(of_sequences(series_of([3] * 30), 8, order="by_length", shuffle=False), 0)[0] == list(range(8))
    numbers = Batches(numbered(9), size=3, shuffle=False, drop_last=False, seed=0, order="by_length")
    assert order_of(numbers, 0) == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_weights_of_samples_are_those_of_all_their_steps() -> None:
    source = replace(series_of([2, 1, 3], tags=True), weight=np.array([0.5, 0.0, 2.0], np.float32))
    (batch,) = of_sequences(source, 3, shuffle=False).epoch(0)
    assert batch.weight.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0]]
    counts = encoded(source, range(3)).class_counts(2)
    assert counts.tolist() == [0.5 + 2 * 2, 0.5 + 2.0]


def test_a_batch_of_sequences_is_cut_into_micro_batches_as_it_is() -> None:
    (batch,) = of_sequences(series_of([2, 1, 3], tags=True), 3, shuffle=False, order="streams").epoch(0)
    part = batch.rows(1, 3)
    assert part.inputs[1].tolist() == [1, 3]
    assert part.target.shape == part.weight.shape == (2, 3)
    plain = next(of_sequences(source_of_texts(["a b"] * 9, is_language=True), 2, order="streams").epoch(0))
    assert plain.continues is not None
    assert plain.rows(1, 2).continues is not None


def test_a_language_tells_the_next_token_by_its_number_in_the_vocabulary() -> None:
    source = source_of_texts(["a b c", "b a a", "c a b", "a a d"], is_language=True)
    samples = encoded(source, range(2))  # "d" and "end" are not in training
    (batch,) = Batches(samples, size=2, shuffle=False, drop_last=False, seed=0).epoch(0)
    (vocabulary,) = [fit_preprocess(source, np.arange(2), scaling="none", target_scaling="none").classes]
    told = [[vocabulary[k] for k in row] for row in batch.target.tolist()]
    assert told == [["b", "c", "b"], ["a", "a", "c"]]
    assert [[vocabulary[k] for k in row] for row in batch.inputs[0].tolist()] == [["a", "b", "c"], ["b", "a", "a"]]
    assert (batch.inputs[0].dtype, batch.target.dtype) == (torch.int32, torch.int64)
    assert batch.weight.tolist() == [[1.0] * 3] * 2
    last = encode(
        source, np.array([3]), fit_preprocess(source, np.arange(2), scaling="none", target_scaling="none"), CPU
    )
    assert last.class_counts(4).tolist() == [2.0, 1.0, 0.0, 0.0]  # of "a", "d", "end": two unknown ones


def test_a_forecast_has_its_horizon_scaled_as_its_channel() -> None:
    source = source_of_windows(24, window=3, horizon=2)
    rows = np.arange(6)
    preprocess = fit_preprocess(source, rows, scaling="standard", target_scaling="none")
    samples = encode(source, rows, preprocess, CPU)
    (batch,) = Batches(samples, size=6, shuffle=False, drop_last=False, seed=0).epoch(0)
    seen = np.arange(10.0)
    scaled = (np.arange(24.0) - seen.mean()) / seen.std()
    np.testing.assert_allclose(batch.inputs[0][..., 0], [scaled[k : k + 3] for k in range(6)], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(batch.target[..., 0], [scaled[k + 3 : k + 5] for k in range(6)], rtol=1e-5, atol=1e-6)
    assert (batch.target.shape, batch.weight.tolist()) == ((6, 2, 1), [1.0] * 6)


def test_streams_go_through_the_text_and_tell_where_they_continue() -> None:
    source = source_of_texts(["a b"] * 14, is_language=True)  # 14 segments
    found = of_sequences(source, 4, shuffle=False, order="streams")
    assert order_of(found, 0) == order_of(found, 1) == [[0, 4, 8, 11], [1, 5, 9, 12], [2, 6, 10, 13], [3, 7]]
    marks = [batch.continues for batch in found.epoch(0)]
    assert [None if mark is None else mark.tolist() for mark in marks] == [
        [False] * 4,
        [True] * 4,
        [True] * 4,
        [True] * 2,
    ]


def test_a_new_text_continues_nothing_and_others_on_their_own_are_not_asked() -> None:
    source = source_of_texts(["a b"] * 12, is_language=True)
    cut = replace(source.inputs[0], part_of=np.repeat([0, 1], [5, 7]))
    found = of_sequences(replace(source, inputs=(cut,)), 3, shuffle=False, order="streams")
    marks = [batch.continues.tolist() for batch in found.epoch(0) if batch.continues is not None]
    # places start at 0, 4 and 8; the second text starts at 5
    assert marks == [[False] * 3, [True, False, True], [True] * 3, [True] * 3]
    assert all(batch.continues is None for batch in of_sequences(source, 3, order="plain").epoch(0))
    apart = of_sequences(series_of([2, 3, 4, 2]), 2, order="streams")
    assert not any(bool(batch.continues.any()) for batch in apart.epoch(0) if batch.continues is not None)
