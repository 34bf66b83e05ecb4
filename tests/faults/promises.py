"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.fuzzed_words import FUZZED
from tests.faults.listening import LISTENING
from tests.faults.secrets_kept import SECRETS
from tests.faults.sent_configs import CONFIGS
from tests.faults.sent_data import DATA
from tests.faults.sent_folders import FOLDERS
from tests.faults.survival import Promise

PROMISES: tuple[Promise, ...] = (FOLDERS, CONFIGS, DATA, SECRETS, LISTENING, FUZZED)
