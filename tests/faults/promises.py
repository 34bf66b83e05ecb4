"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.changed_settings import SETTINGS
from tests.faults.damaged import DAMAGED
from tests.faults.every_step import EVERY_STEP
from tests.faults.fuzz import FUZZ
from tests.faults.killed import KILLED
from tests.faults.kills import KILLS
from tests.faults.last_words import LAST_WORDS
from tests.faults.listening import LISTENING
from tests.faults.long import LONG
from tests.faults.lost_items import LOST_ITEMS
from tests.faults.memory import MEMORY
from tests.faults.numbers import NUMBERS
from tests.faults.one_folder import ONE_OF_FIFTY, SECOND
from tests.faults.power import POWER
from tests.faults.refused import REFUSED
from tests.faults.secrets_kept import SECRETS
from tests.faults.sent_configs import CONFIGS
from tests.faults.sent_data import DATA
from tests.faults.sent_folders import FOLDERS
from tests.faults.sent_pictures import PICTURE_FILES
from tests.faults.stops import ONE, SWEEPS, TWICE
from tests.faults.survival import Promise
from tests.faults.workers import WORKERS

PROMISES: tuple[Promise, ...] = (
    KILLED,
    KILLS,
    POWER,
    REFUSED,
    DAMAGED,
    ONE,
    TWICE,
    SWEEPS,
    WORKERS,
    SECOND,
    ONE_OF_FIFTY,
    EVERY_STEP,
    LOST_ITEMS,
    SETTINGS,
    NUMBERS,
    MEMORY,
    FOLDERS,
    CONFIGS,
    DATA,
    PICTURE_FILES,
    SECRETS,
    LISTENING,
    FUZZ,
    LONG,
    LAST_WORDS,
)
