"""Series are scaled by their training steps, words become their places in a vocabulary."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nnkit.data.preprocess import Preprocess, WordRules, fit_preprocess
from nnkit.data.scaling import Scale
from nnkit.data.sequence_encoder import SequenceEncoder, fit_steps
from nnkit.data.sequences import Sequences
from nnkit.data.source import Source
from nnkit.spec import InputSpec
from tests.data.series_sources import source_of_series, source_of_texts, source_of_windows

ITEMS = [np.array([[1, 10], [3, 30]]), np.array([[5, 50]]), np.array([[7, 70], [9, 90], [99, 99]])]


def encoder_of(source: Source, rows: Any, **settings: Any) -> SequenceEncoder:
    fitted = fit_preprocess(source, np.array(rows), **{"scaling": "none", "target_scaling": "none", **settings})
    assert fitted.sequences is not None
    return fitted.sequences


def test_series_that_vary_come_with_their_lengths_and_the_longest_of_training() -> None:
    encoder = encoder_of(source_of_series(ITEMS), [0, 1])
    assert encoder.specs == (InputSpec("x", "series", (2, 2)), InputSpec("lengths", "lengths", ()))
    (stored,) = encoder.store(source_of_series(ITEMS).inputs[0])
    x, lengths = encoder.prepare((stored,))
    assert x.tolist() == [[[1, 10], [3, 30], [0, 0]], [[5, 50], [0, 0], [0, 0]], [[7, 70], [9, 90], [99, 99]]]
    assert (x.dtype, lengths.dtype, lengths.tolist()) == (torch.float32, torch.int64, [2, 1, 3])


def test_series_of_one_length_come_alone() -> None:
    source = source_of_series([item[:1] for item in ITEMS])
    encoder = encoder_of(source, [0, 1, 2])
    assert encoder.specs == (InputSpec("x", "series", (1, 2)),)
    assert [x.tolist() for x in encoder.prepare(encoder.store(source.inputs[0]))] == [[[[1, 10]], [[5, 50]], [[7, 70]]]]


@pytest.mark.parametrize(
    ("scaling", "shift", "size"),
    [
        ("standard", [3.0, 30.0], [np.std([1, 3, 5]), np.std([10, 30, 50])]),
        ("minmax", [1.0, 10.0], [4.0, 40.0]),
        ("robust", [3.0, 30.0], [2.0, 20.0]),
    ],
)
def test_a_scale_is_that_of_the_training_steps_and_what_is_behind_the_end_stays_zero(
    scaling: str, shift: list[float], size: list[float]
) -> None:
    source = source_of_series(ITEMS)
    encoder = encoder_of(source, [0, 1], scaling=scaling)
    assert encoder.scale == Scale("series", tuple(shift), tuple(size))
    (stored,) = encoder.store(source.inputs[0][np.array([1, 2])])
    x, _ = encoder.prepare((stored,))
    for row, item in enumerate(ITEMS[1:]):
        np.testing.assert_allclose(x[row, : len(item)], (item - shift) / size, rtol=1e-6)
        assert (x[row, len(item) :] == 0).all()


def test_a_step_in_two_windows_counts_once_and_what_is_forecast_counts_too() -> None:
    source = source_of_windows(12, window=3, horizon=2)
    target = source.target
    assert isinstance(target, Sequences)
    covered = np.arange(6.0)  # by the windows 0-2 and 1-3 and their targets 3-4 and 4-5
    scale = fit_steps(source.inputs[0], np.arange(2), "standard", target)
    assert scale is not None
    np.testing.assert_allclose((scale.shift, scale.size), ([covered.mean()], [covered.std()]))
    alone = fit_steps(source.inputs[0], np.arange(2), "standard")
    assert alone is not None
    np.testing.assert_allclose(alone.shift, [covered[:4].mean()])
    assert fit_steps(source.inputs[0], np.arange(2), "none") is None


def test_a_forecasts_target_has_the_scale_of_its_channel() -> None:
    source = source_of_windows(12, window=3, horizon=2)
    fitted = fit_preprocess(source, np.arange(2), scaling="standard", target_scaling="none")
    assert fitted.target == fitted.inputs[0].scale  # type: ignore[union-attr]
    assert (fitted.horizon, fitted.channels, fitted.spec.target.horizon) == (2, (0,), 2)
    assert fitted.spec.num_targets == 2


def test_words_are_numbered_by_training_and_all_others_are_number_zero() -> None:
    source = source_of_texts(["a b a", "b a", "c a"])
    encoder = encoder_of(source, [0, 1])
    assert encoder.vocabulary == ("<unk>", "a", "b")
    assert encoder.specs == (InputSpec("tokens", "tokens", (3,), (3,)), InputSpec("lengths", "lengths", ()))
    x, lengths = encoder.prepare(encoder.store(source.inputs[0]))
    assert (x.tolist(), x.dtype) == ([[1, 2, 1], [2, 1, 0], [0, 1, 0]], torch.int32)
    assert lengths.tolist() == [3, 2, 2]


def test_texts_are_taken_to_vary_even_if_those_at_hand_do_not() -> None:
    assert encoder_of(source_of_texts(["a b", "b a", "c a"]), [0, 1]).has_lengths
    assert not encoder_of(source_of_texts(["a b", "b a", "c a"], is_language=True), [0, 1]).has_lengths


def test_the_rules_of_words_are_kept() -> None:
    source = source_of_texts(["a b a c", "b a d", "c a"])
    rules = WordRules(min_frequency=2)
    assert encoder_of(source, [0, 1], rules=rules).vocabulary == ("<unk>", "a", "b")
    assert encoder_of(source, [0, 1], rules=WordRules(max_vocabulary=2)).vocabulary == ("<unk>", "a")


def test_unknown_words_are_counted() -> None:
    source = source_of_texts(["a b a", "b a", "c a d d", "d e"])
    encoder = encoder_of(source, [0, 1])
    assert encoder.unknown(source.inputs[0]) == {"c": 1, "d": 3, "e": 1}
    assert encoder.unknown(source.inputs[0][np.array([2])]) == {"c": 1, "d": 2}
    assert encoder_of(source_of_series(ITEMS), [0, 1]).unknown(source_of_series(ITEMS).inputs[0]) == {}


@pytest.mark.parametrize(
    "source",
    [
        source_of_series(ITEMS),
        source_of_texts(["a b", "b ü", "c a"]),
        source_of_texts(["a b", "b a", "c a"], is_language=True),
        source_of_windows(12, window=3, horizon=2),
    ],
    ids=["series", "texts", "language", "windows"],
)
def test_what_was_fitted_comes_back_from_its_file(source: Source) -> None:
    fitted = fit_preprocess(source, np.arange(2), scaling="standard", target_scaling="none")
    assert Preprocess.from_plain(json.loads(json.dumps(fitted.to_plain()))) == fitted


def test_encoding_leaves_the_source_as_it_was() -> None:
    for source in (source_of_series(ITEMS), source_of_texts(["a b", "b a", "c a"])):
        before = source.fingerprint()
        encoder = encoder_of(source, [0, 1], scaling="standard")
        encoder.prepare(encoder.store(source.inputs[0]))
        assert source.fingerprint() == before


def test_steps_that_no_sequence_covers_are_not_stored() -> None:
    source = source_of_series(ITEMS)
    (stored,) = encoder_of(source, [0, 1]).store(source.inputs[0][np.array([1])])
    assert stored.values.tolist() == [[5, 50]]


def test_a_sequence_longer_than_those_of_training_is_taken_whole() -> None:
    source = source_of_series(ITEMS)
    encoder = encoder_of(source, [0, 1])
    assert encoder.prepare(encoder.store(source.inputs[0]))[0].shape == (3, 3, 2)


def test_large_numbers_keep_their_differences() -> None:
    items = [1e8 + np.array([[0.0], [0.5]]), 1e8 + np.array([[1.0]]), 1e8 + np.array([[1.5]])]
    source = source_of_series(items)
    wide = replace(source, inputs=(replace(source.inputs[0], values=np.concatenate(items)),))
    (stored,) = encoder_of(wide, [0, 1, 2], scaling="minmax").store(wide.inputs[0])
    np.testing.assert_allclose(stored.values[:, 0], [0, 1 / 3, 2 / 3, 1], rtol=1e-6)
