"""Every promise of the table "What survives", in its order. scripts/soak tries them all."""

from __future__ import annotations

from tests.faults.damaged import DAMAGED
from tests.faults.killed import KILLED
from tests.faults.power import POWER
from tests.faults.refused import REFUSED
from tests.faults.survival import Promise

PROMISES: tuple[Promise, ...] = (KILLED, POWER, REFUSED, DAMAGED)
