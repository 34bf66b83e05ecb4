"""Memory that runs out is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.memory import MEMORY
from tests.faults.survival import check


@pytest.mark.usefixtures("on_one_thread")
def test_memory_that_runs_out(record_property: Callable[[str, object], None]) -> None:
    check(MEMORY, record_property)
