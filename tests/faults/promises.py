"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.sent_configs import CONFIGS
from tests.faults.sent_folders import FOLDERS
from tests.faults.survival import Promise

PROMISES: tuple[Promise, ...] = (FOLDERS, CONFIGS)
