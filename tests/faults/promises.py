"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.long import LONG
from tests.faults.memory import MEMORY
from tests.faults.numbers import NUMBERS
from tests.faults.survival import Promise

PROMISES: tuple[Promise, ...] = (NUMBERS, MEMORY, LONG)
