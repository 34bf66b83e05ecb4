"""What is in sequences, and what looks wrong with them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnkit.data.guard import examine
from nnkit.data.preprocess import fit_preprocess
from nnkit.data.report import Report, RowCounts
from nnkit.data.sequences import Sequences
from nnkit.data.source import Account, Source
from nnkit.data.split import Splits, split
from tests.data.series_sources import source_of_series, source_of_tags, source_of_texts, source_of_windows


def report_on(source: Source, parts: Splits | None = None) -> Report:
    parts = parts or split(source, val_fraction=0.2, test_fraction=0.2, seed=0)
    report = examine(source, parts, fit_preprocess(source, parts.train, scaling="none", target_scaling="none"))
    json.dumps(report.to_plain(), allow_nan=False)
    return report


def parts_of(train: Any, val: Any, test: Any) -> Splits:
    return Splits(*(np.array(rows, np.int64) for rows in (train, val, test)))


def some_series(num: int, channels: int = 2, *, varying: bool = True) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(rng.integers(3, 9) if varying else 5, channels)) for _ in range(num)]


def codes(report: Report) -> list[str]:
    return [code for code, _ in report.warnings]


def test_each_channel_is_told_over_the_steps_that_are_there() -> None:
    items = [np.array([[1.0, 7], [2, 7]]), np.array([[6.0, 7]]), np.array([[3.0, 7], [4, 7], [8, 7]])] * 10
    first, second = report_on(source_of_series(items)).columns
    assert (first.name, first.kind, first.low, first.high, first.mean) == ("channel 1", "series", 1, 8, 4)
    assert (first.constant, second.constant, second.low) == (False, True, 7)


def test_channels_have_the_names_of_their_columns() -> None:
    source = replace(source_of_series(some_series(30)), account=Account(30, names=("load", "wind")))
    assert [column.name for column in report_on(source).columns] == ["load", "wind"]


def test_lengths_are_told() -> None:
    items = [np.zeros((n, 1)) + k for k, n in enumerate([2, 3, 3, 9, 5] * 6)]
    assert report_on(source_of_series(items)).notes[0] == "lengths from 2 to 9 steps, half of them up to 3"
    even = [np.zeros((4, 1)) + k for k in range(30)]
    assert report_on(source_of_series(even)).notes[0] == "4 steps each"


def test_words_are_counted_and_the_vocabulary_told() -> None:
    report = report_on(source_of_texts(["a b a", "b a", "a\tc"] * 10))
    (column,) = report.columns
    assert (column.name, column.kind, column.distinct, column.distinct_of) == ("tokens", "text", 3, 70)
    assert column.top == (("a", 40), ("b", 20), ("c", 10))
    assert "a vocabulary of 3 tokens, and one number for all others" in report.notes


@pytest.mark.parametrize(("share", "expected"), [(0.3, ["unseen"]), (0.1, [])])
def test_words_that_training_has_not_are_told_where_they_are_many(share: float, expected: list[str]) -> None:
    known = ["a b c d e f g h i j"] * 40
    new = " ".join(f"x{k}" if k < 10 * share else "a" for k in range(10))
    report = report_on(
        source_of_texts([*known, *[new] * 40, *known]), parts_of(range(40), range(40, 80), range(80, 120))
    )
    assert [code for code in codes(report) if code == "unseen"] == expected
    if expected:
        assert ("unseen", "30% of the validation tokens are not in the vocabulary of training") in report.warnings


def test_classes_are_counted_by_rows_and_those_of_steps_by_steps() -> None:
    series = some_series(20)
    rows = report_on(source_of_series(series), parts_of(range(10), range(10, 14), range(14, 20))).target
    assert rows is not None
    assert rows.counts == {"no": {"train": 5, "val": 2, "test": 3}, "yes": {"train": 5, "val": 2, "test": 3}}
    tags = [np.arange(len(item)) % 2 for item in series]
    steps = report_on(source_of_tags(series, tags), parts_of(range(10), range(10, 14), range(14, 20))).target
    assert steps is not None
    assert steps.counts["yes"]["train"] == sum(each.sum() for each in tags[:10])
    assert steps.counts["no"]["test"] == sum((1 - each).sum() for each in tags[14:])
    assert steps.imbalance == steps.counts["no"]["train"] / steps.counts["yes"]["train"]


def test_tags_of_series_of_one_length_are_looked_at_too() -> None:
    items = some_series(30, 1, varying=False)
    whole = replace(source_of_tags(items, [[0, 1, 0, 1, 1]] * 30), inputs=(np.stack(items).astype(np.float32),))
    report = report_on(whole, parts_of(range(20), range(20, 25), range(25, 30)))
    assert report.notes == ("5 steps each",)
    assert report.target is not None
    assert report.target.counts["yes"] == {"train": 60, "val": 15, "test": 15}
    assert report.columns[0].low == pytest.approx(min(item.min() for item in items))


def test_labels_are_counted() -> None:
    labels = (np.arange(40)[:, None] % [2, 4] == 0).astype(np.float64)
    source = replace(source_of_series(some_series(40), labels, ()), target_names=("u", "v"), is_multilabel=True)
    target = report_on(source, parts_of(range(20), range(20, 30), range(30, 40))).target
    assert target is not None
    assert target.counts == {"u": {"train": 10, "val": 5, "test": 5}, "v": {"train": 5, "val": 3, "test": 2}}
    assert (target.imbalance, target.quantiles) == (None, {})


def test_values_are_told_by_their_quantiles() -> None:
    source = source_of_series(some_series(30), np.arange(30.0)[:, None], ())
    target = report_on(source, parts_of(range(10), range(10, 20), range(20, 30))).target
    assert target is not None
    assert [target.quantiles["y"][name] for name in ("min", "25%", "50%", "max")] == [0, 2.25, 4.5, 9]


def test_a_forecast_is_told_over_the_steps_that_training_tells() -> None:
    report = report_on(source_of_windows(40, window=3, horizon=2))
    assert (report.task, report.repeats) == ("forecast", None)
    assert report.target is not None
    assert [report.target.quantiles["a"][name] for name in ("min", "50%", "max")] == [3, 11, 19]
    assert "the validation rows are those that the data comes with" not in report.notes


def test_a_language_has_no_classes_to_count() -> None:
    report = report_on(source_of_texts(["a b c d"] * 20, is_language=True))
    assert report.target is not None
    assert (report.task, report.target.counts, report.target.quantiles, report.repeats) == ("language", {}, {}, None)


def test_sequences_that_equal_a_training_one_are_counted() -> None:
    items = some_series(60)
    items[20] = items[3]
    items[21] = items[4][:2]  # only the beginning
    items[45] = items[0]
    items[46] = items[1]
    items[7] = items[8]
    report = report_on(source_of_series(items), parts_of(range(20), range(20, 40), range(40, 60)))
    repeats = report.repeats
    assert repeats is not None
    assert (repeats.train, repeats.val, repeats.test, repeats.contradicting) == (1, 1, 2, 2)
    texts = [text for code, text in report.warnings if code in ("duplicates", "contradictions")]
    assert [text.split(" (")[0] for text in texts] == ["1 validation row", "2 test rows", "2 training rows"]


def test_equal_sequences_with_an_equal_target_contradict_nothing() -> None:
    items = some_series(60)
    items[8] = items[6]
    repeats = report_on(source_of_series(items), parts_of(range(20), range(20, 40), range(40, 60))).repeats
    assert repeats is not None
    assert (repeats.train, repeats.contradicting) == (1, 0)


def test_short_words_of_few_letters_must_repeat() -> None:
    texts = [" ".join(np.random.default_rng(k).choice(list("ab"), 2)) for k in range(90)]
    report = report_on(source_of_texts(texts))
    assert report.repeats is not None
    assert report.repeats.expected
    assert "duplicates" not in codes(report)


def test_no_row_is_lost() -> None:
    source = replace(source_of_series(some_series(30)), account=Account(34, {"empty": 4}, ("a note",)))
    report = report_on(source, parts_of(range(20), range(20, 25), range(25, 30)))
    assert report.rows == RowCounts(34, 30, 20, 5, 5, {"empty": 4})
    assert "a note" in report.notes


def test_parts_that_the_data_comes_with_are_told_of_sequences_on_their_own_alone() -> None:
    source = replace(source_of_series(some_series(30)), test_rows=np.arange(20, 30))
    assert "the test rows are those that the data comes with" in report_on(source).notes
    language = source_of_texts(["a b c d"] * 20, is_language=True)
    cut = replace(language, test_rows=np.arange(15, 20), val_rows=np.arange(10, 15))
    assert not any("the data comes with" in note for note in report_on(cut).notes)


def test_the_report_leaves_the_sequences_as_they_are() -> None:
    source = source_of_series(some_series(30))
    before = source.fingerprint()
    report_on(source)
    assert source.fingerprint() == before
    assert isinstance(source.inputs[0], Sequences)
