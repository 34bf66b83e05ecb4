"""What real processes survive: kills, signals, and others that want the same folder."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.kills import KILLS
from tests.faults.last_words import LAST_WORDS
from tests.faults.one_folder import ONE_OF_FIFTY, SECOND
from tests.faults.stops import ONE, SWEEPS, TWICE
from tests.faults.survival import Promise, check
from tests.faults.workers import WORKERS


@pytest.mark.parametrize(
    "promise", [KILLS, ONE, TWICE, SWEEPS, SECOND, ONE_OF_FIFTY, LAST_WORDS, WORKERS], ids=lambda promise: promise.name
)
def test_the_promise_holds(promise: Promise, record_property: Callable[[str, object], None]) -> None:
    check(promise, record_property)
