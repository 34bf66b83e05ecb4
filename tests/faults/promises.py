"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.changed_settings import SETTINGS
from tests.faults.every_step import EVERY_STEP
from tests.faults.kills import KILLS
from tests.faults.last_words import LAST_WORDS
from tests.faults.lost_items import LOST_ITEMS
from tests.faults.one_folder import ONE_OF_FIFTY, SECOND
from tests.faults.stops import ONE, SWEEPS, TWICE
from tests.faults.survival import Promise

PROMISES: tuple[Promise, ...] = (
    EVERY_STEP,
    LOST_ITEMS,
    KILLS,
    ONE,
    TWICE,
    SWEEPS,
    SECOND,
    ONE_OF_FIFTY,
    SETTINGS,
    LAST_WORDS,
)
