"""The words that a run's settings can be typed with, and what two runs differ in."""

from __future__ import annotations

import pytest

from nnkit.catalog.compare import differences, typed_words
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.schema import to_plain


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["seed=3", "tags=[a,b]", "model=cnn", "model.channels=[4]"],
        ["data=table", "data.path=x.csv", "data.target=y", "optimizer=sgd", "optimizer.momentum=0.5"],
        ["regularization.dropout=0.2", "trainer.max_epochs=3", "trainer.patience=null"],
        ["loss=code", "loss.code=mine:Focal", "loss.kwargs.gamma=3"],
    ],
)
def test_the_words_that_were_typed_come_back(words: list[str]) -> None:
    found = typed_words(to_plain(check(compose(words))))
    assert to_plain(check(compose(found))) == to_plain(check(compose(words)))
    assert sorted(found) == sorted(words)


def test_picks_are_not_taken_for_words() -> None:
    values = to_plain(check(compose([])))
    values["trainer"] |= {"device": "cpu", "threads": 1, "monitor": "val/loss"}
    values["loss"] = to_plain(check(compose(["loss=cross_entropy"])))["loss"]
    assert typed_words(values) == []


def test_leaves_that_differ_are_named_with_both_values() -> None:
    assert differences({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": 5, "c": 2}, "e": 0}) == {
        "a.b": (1, 5),
        "d": (3, None),
        "e": (None, 0),
    }
    assert differences({"a": 1}, {"a": 1}) == {}
