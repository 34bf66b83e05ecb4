"""A resume goes on exactly, from wherever a run has stopped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.changed_settings import SETTINGS
from tests.faults.every_step import EVERY_STEP
from tests.faults.lost_items import LOST_ITEMS
from tests.faults.survival import check

pytestmark = pytest.mark.usefixtures("on_one_thread")


def test_a_run_goes_on_exactly_from_every_step(record_property: Callable[[str, object], None]) -> None:
    check(EVERY_STEP, record_property)


def test_each_item_of_a_checkpoint_matters(record_property: Callable[[str, object], None]) -> None:
    check(LOST_ITEMS, record_property)


def test_each_setting_may_change_at_a_resume_as_it_is_marked(record_property: Callable[[str, object], None]) -> None:
    check(SETTINGS, record_property)
