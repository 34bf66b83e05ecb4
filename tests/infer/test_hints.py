"""Hints for who uses a run do not name settings of the training."""

from __future__ import annotations

import pytest

from nnkit.data.tabular import MissingCellError
from nnkit.errors import ConfigError, DataError, NnkitError, Problem
from nnkit.infer.hints import hinting


def hint_of(hint: str, error: type[NnkitError] = DataError, *, instead: str = "", **others: str) -> str:
    with pytest.raises(error, match=r"^text; more$") as caught, hinting(instead, **others):
        raise error(Problem("text", hint), Problem("more"))
    return caught.value.problems[0].hint


def test_hints_at_settings_of_the_data_are_replaced() -> None:
    assert hint_of("data.path=FILE", instead="other") == "other"
    assert hint_of("data.path=FILE", ConfigError) == ""
    assert hint_of("mend it, or data.on_bad=skip", instead="other", on_bad="skip it") == "skip it"
    assert hint_of("mend it, or data.on_bad=skip", instead="other") == "other"
    assert hint_of("did you mean town?", instead="other") == "did you mean town?"


def test_what_is_too_short_and_what_is_not_there_have_hints_of_their_own() -> None:
    ours = {"instead": "mend it", "path": "look for it", "longer": "more of it"}
    for hint in (
        "make them smaller",
        "make it smaller, or the part larger",
        "data.gaps=interpolate, or make them smaller",
    ):
        assert hint_of(hint, **ours) == "more of it"
    for hint in ("data.segment=3", "larger fractions, or a longer text", "data.season=1"):
        assert hint_of(hint, ConfigError, **ours) == "more of it"
    assert hint_of("data.path=FILE", **ours) == "look for it"
    assert hint_of("data.gaps=split, or data.gaps=interpolate", **ours) == "mend it"
    assert hint_of("make them smaller", instead="mend it") == "mend it"
    assert hint_of("use larger fractions of gold", **ours) == "use larger fractions of gold"


def test_errors_of_any_kind_keep_their_exit_code() -> None:
    with pytest.raises(DataError) as caught, hinting():
        raise MissingCellError("town", 3)
    assert caught.value.exit_code == 3
