"""What a swept setting may be: values one by one, or an interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

DIGITS = 5  # of a number from an interval: what is written is what is trained with


@final
@dataclass(frozen=True, slots=True)
class Choices:
    """Values one by one: `a,b`, `choice(a,b)`, `range(1,9,2)`, `glob(*)`.

    Attributes:
        values: as they are written on the command line, at least one.
    """

    values: tuple[str, ...]

    def at(self, place: float) -> str:
        """Return the value at a place in [0, 1)."""
        return self.values[int(place * len(self.values))]

    def plain(self) -> dict[str, Any]:
        """Return the domain as plain data."""
        return {"values": list(self.values)}


@final
@dataclass(frozen=True, slots=True)
class Interval:
    """Numbers between two: `interval(0.1,0.5)`, `int(interval(8,64))`, `tag(log, interval(1e-4,1e-1))`.

    Attributes:
        low: the least.
        high: the greatest, above `low`.
        is_log: whether ratios count, not differences; then `low` is above 0.
        is_int: whether the numbers are whole.
    """

    low: float
    high: float
    is_log: bool = False
    is_int: bool = False

    def at(self, place: float) -> str:
        """Return the number at a place in [0, 1), as it is written."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.is_int else (self.low, self.high)
        if self.is_log:
            number = math.exp(math.log(low) + place * (math.log(high) - math.log(low)))
        else:
            number = low + place * (high - low)
        return self.written(number)

    def written(self, number: float) -> str:
        """Return a number, inside of the interval, in few digits."""
        if self.is_int:
            return str(int(min(max(round(number), self.low), self.high)))
        return str(min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high))

    def plain(self) -> dict[str, Any]:
        """Return the domain as plain data."""
        return {"low": self.low, "high": self.high, "log": self.is_log, "int": self.is_int}


Domain = Choices | Interval
