"""The commands, and the network."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults.listening import LISTENING
from tests.faults.survival import check


def test_no_command_listens_on_the_network_or_calls_there(record_property: Callable[[str, object], None]) -> None:
    check(LISTENING, record_property)
