"""Mistakes of all kinds in words, files and configs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from nnkit.errors import ConfigError, DataError
from tests.faults.fuzz import FUZZ, Case, cases, judged, known, typo
from tests.faults.survival import check


def test_mistakes_are_told_and_typos_set_right(record_property: Callable[[str, object], None]) -> None:
    check(FUZZ, record_property)


def raising(error: BaseException) -> Callable[[], object]:
    def take() -> object:
        raise error

    return take


@pytest.mark.parametrize(
    ("case", "broken", "right"),
    [
        (Case("x", raising(KeyError("x"))), "KeyError", 0),
        (Case("x", raising(DataError("x"))), "exit code 3", 0),
        (Case("x", raising(ConfigError(" "))), "nothing is said", 0),
        (Case("x", lambda: sum(range(10**8))), " s", 0),
        (Case("x", lambda: None, ["model.hidden"]), "a typo was taken", 0),
        (Case("x", raising(ConfigError("hiden", hint="did you mean model.hidden?")), ["model.hidden"]), None, 1),
        (Case("x", raising(ConfigError("hiden")), ["model.hidden"]), None, 0),
        (Case("x", raising(ConfigError("model.hidden")), ["model.hidden"]), None, 0),
        (Case("x", raising(ConfigError("x", hint="model is one of mlp, cnn")), ["cnn"]), None, 0),
        (Case("x", raising(ConfigError("x", hint="did you mean model.hidden_size?")), ["model.hidden"]), None, 0),
        (Case("x", raising(ConfigError("x", hint="did you mean model=cnn? (model is …)")), ["cnn"]), None, 1),
    ],
)
def test_what_is_no_message_is_caught(case: Case, broken: str | None, right: int) -> None:
    problem, found = judged(case)
    assert (problem is None) == (broken is None)
    assert broken is None or broken in str(problem)
    assert found == right


def test_a_typo_is_one_letter_away_and_all_settings_have_some() -> None:
    chance = random.Random(0)
    words = [typo("hidden", chance) for _ in range(200)]
    assert {len(word) for word in words} == {5, 6, 7}
    assert len(known()[1]) > 60
    assert len(known()[2]) > 60


def wrong_hint(*_: Any) -> str:
    return "nnkit list"


def bug(*_: Any, **__: Any) -> None:
    raise KeyError("model")


@pytest.mark.parametrize(
    ("place", "careless", "message"),
    [
        ("nnkit.config.check.key_hint", wrong_hint, "typos were set right"),
        ("nnkit.config.check._value_hint", bug, "KeyError: 'model'"),
    ],
)
def test_careless_answers_are_found(place: str, careless: Any, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known()
    monkeypatch.setattr(place, careless)
    assert any(message in broken for broken in cases(40) if broken is not None)
