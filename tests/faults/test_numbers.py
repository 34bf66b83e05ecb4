"""What is not finite is caught, and got over as asked for; and a watch that looks away is seen."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from nnkit.track.jsonl import JsonLines
from nnkit.train import loop
from nnkit.train.skip import Before
from nnkit.train.state import TrainState
from tests.faults.numbers import NUMBERS, outcome
from tests.faults.survival import check

pytestmark = pytest.mark.usefixtures("on_one_thread")


def test_numbers_that_are_not_finite(record_property: Callable[[str, object], None]) -> None:
    check(NUMBERS, record_property)


def looks_away(*_: object) -> None:
    """Look at nothing."""


@pytest.mark.parametrize(
    ("place", "seed", "seen"),
    [
        ((loop, "note_weights"), 1, "says a weight became"),
        ((loop, "note_bad_score"), 3, "went on to step 15"),
        ((Before, "put_back"), 6, "ended: a weight became"),
        ((Before, "put_back_unless"), 21, "ended: a weight became"),
        ((JsonLines, "go_back"), 11, "metrics.jsonl has the steps"),
        ((TrainState, "become"), 11, "rollbacks"),
    ],
    ids=lambda case: case[1] if isinstance(case, tuple) else str(case),
)
def test_what_is_left_undone_is_seen(
    place: tuple[Any, str], seed: int, seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert outcome(seed) is None
    shutil.rmtree(str(seed))
    monkeypatch.setattr(*place, looks_away)
    assert seen in (outcome(seed) or "")
