"""What a swept setting may be: values one by one, or an interval; in Hydra's own syntax."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

from hydra.core.override_parser.types import IntervalSweep, Override

from nnkit.errors import ConfigError, Problem

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


def domain_of(override: Override) -> Domain | None:
    """Return what an override sweeps over, or None if it is one value. Raises: ConfigError, for one that is empty."""
    if not override.is_sweep_override():
        return None
    key, value = override.key_or_group, override.value()
    if isinstance(value, IntervalSweep):
        return _interval_of(key, value)
    if unknown := getattr(value, "tags", ()):
        raise ConfigError(
            Problem(f"{key}: the tag {', '.join(sorted(unknown))} is for an interval", "tag(log, interval(1e-4,1e-1))")
        )
    values = tuple(override.sweep_string_iterator())
    if not values:
        raise ConfigError(Problem(f"{key} sweeps over no value", f"{key}=1,2 or {key}=range(1,9,2)"))
    return Choices(values)


def _interval_of(key: str, value: IntervalSweep) -> Interval:
    assert value.start is not None
    assert value.end is not None
    low, high = value.start, value.end
    tags = value.tags
    if unknown := sorted(tags - {"log"}):
        raise ConfigError(Problem(f"{key}: the tag {', '.join(unknown)} is unknown", "tag(log, interval(1e-4,1e-1))"))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ConfigError(Problem(f"{key}: an interval needs two finite numbers, got {low} and {high}"))
    if low >= high:
        hint = f"{key}=interval({high},{low})" if low > high else f"{key}={low}"
        raise ConfigError(Problem(f"{key}: interval({low},{high}) holds no number between its ends", hint))
    if "log" in tags and low <= 0:
        raise ConfigError(
            Problem(f"{key}: tag(log, …) needs an interval above 0, got {low}", "begin above 0, or no log")
        )
    return Interval(low, high, "log" in tags, isinstance(low, int) and isinstance(high, int))
