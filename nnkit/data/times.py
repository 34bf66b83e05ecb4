"""Times of a series: from text to numbers, the usual step between them, and the times that come next."""

# N times

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Times = npt.NDArray[Any]  # (N,) datetime64[ns], or int64 where times are whole numbers
Places = npt.NDArray[np.int64]
DAY = 86_400 * 10**9
HOUR = 3600 * 10**9
FEWEST_TIMES = 3  # that say which step is usual
_SIZES = {  # of fixed steps, in nanoseconds
    "day": DAY,
    "hour": HOUR,
    "minute": 60 * 10**9,
    "second": 10**9,
    "millisecond": 10**6,
    "microsecond": 10**3,
    "nanosecond": 1,
}
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.(0*))?")
_LARGEST = np.iinfo(np.int64).max
_ZONE = r"Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?"
_DATE = r"(?P<month>\d{4}-\d{2})(?P<day>-\d{2})?"
_CLOCK = r"(?P<clock>\d{2}:\d{2})(?:(?P<seconds>:\d{2})(?P<fraction>\.\d{1,9})?)?"
_TIME = rf"^{_DATE}(?:(?P<sep>[ T]){_CLOCK} ?(?P<zone>{_ZONE})?)?$"
_HINT = "times are dates like 2026-01-31, 2026-01-31 13:00 or 2026-01-31T13:00:00+01:00, or whole numbers"


@final
@dataclass(frozen=True, slots=True)
class Layout:
    """How times are written.

    Attributes:
        unit: to which they are written: a whole number (""), month ("M"), day ("D"), minute ("m"), second ("s") or a
            part of it ("ns").
        separator: what stands between date and time.
        digits: of a second's fraction, or zeros behind the point of a whole number.
        zone: "Z" where times are UTC; empty for times without a zone.
    """

    unit: Literal["", "M", "D", "m", "s", "ns"] = "s"
    separator: str = " "
    digits: int = 0
    zone: str = ""

    def written(self, times: Times) -> list[str]:
        """Return (N,) times as text."""
        if not self.unit:
            return [f"{number}.{'0' * self.digits}" if self.digits else str(number) for number in times.tolist()]
        texts = np.datetime_as_string(times, unit=self.unit).tolist()
        end = self.digits - 9 if self.unit == "ns" else 0
        return [text[: end or None].replace("T", self.separator) + self.zone for text in texts]


@final
@dataclass(frozen=True, slots=True)
class Parsed:
    """Times, as they were read.

    Attributes:
        values: (N,) datetime64[ns], in UTC where they had a zone; int64 for whole numbers.
        layout: how they were written.
        note: what the user should know; empty where nothing.
    """

    values: Times
    layout: Layout
    note: str = ""


def parse_times(texts: Sequence[str], place: Callable[[int], str]) -> Parsed:
    """Return times from their texts: dates and times in the form of ISO 8601, or whole numbers, such as 12 or 12.0.

    Args:
        texts: N of them, at least one.
        place: says where a text stands, by its number.

    Raises:
        DataError: naming the place of what is no such time, or unlike the first one.
    """
    return _parse_numbers(texts, place) if _WHOLE.fullmatch(texts[0]) else _parse_dates(texts, place)


def _parse_numbers(texts: Sequence[str], place: Callable[[int], str]) -> Parsed:
    numbers, digits = [], 0
    for i, text in enumerate(texts):
        found = _WHOLE.fullmatch(text)
        if found is None:
            told = f"{place(i)}: '{text[:60]}' is not a whole number, unlike '{texts[0]}'"
            raise DataError(told, hint=_HINT)
        number = int(found[1]) if len(found[1]) < 30 else _LARGEST + 1
        if abs(number) > _LARGEST:
            raise DataError(f"{place(i)}: '{text[:60]}' does not fit into 64 bits", hint="smaller numbers, or dates")
        numbers.append(number)
        digits = max(digits, len(found[2] or ""))
    return Parsed(np.array(numbers, np.int64), Layout(unit="", digits=digits))


def _parse_dates(texts: Sequence[str], place: Callable[[int], str]) -> Parsed:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.extract_regex(pa.array(texts, pa.string()), _TIME)
    if found.null_count:
        wrong = int(np.argmax(np.asarray(found.is_null())))
        raise DataError(f"{place(wrong)}: '{texts[wrong][:60]}' is not a time", hint=_HINT)
    groups = {found.type.field(i).name: found.field(i) for i in range(found.type.num_fields)}
    zones = groups["zone"].to_pylist()
    odd = next((i for i, zone in enumerate(zones) if bool(zone) != bool(zones[0])), None)
    if odd is not None:
        with_zone = f"'{texts[odd]}' has a zone" if zones[odd] else f"'{texts[odd]}' has no zone"
        told = f"{place(odd)}: {with_zone}, unlike '{texts[0]}'"
        raise DataError(told, hint="write all times with a zone, or none")
    values = _values(groups, texts, place)
    offsets = {zone: _offset(zone) for zone in dict.fromkeys(zones)}
    values = values - np.array([offsets[zone] for zone in zones], "timedelta64[ns]")
    other = [zone for zone, offset in offsets.items() if offset]
    return Parsed(values, _layout(groups), f"times are converted to UTC, from {', '.join(other)}" if other else "")


def _values(groups: dict[str, Any], texts: Sequence[str], place: Callable[[int], str]) -> Times:
    """Return the times as they are written, without their zone. Raises: DataError for those that do not exist."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def given(name: str, default: str) -> Any:
        return pc.if_else(pc.equal(groups[name], ""), default, groups[name])

    clock = (given("clock", "00:00"), given("seconds", ":00"), groups["fraction"])
    full = pc.binary_join_element_wise(groups["month"], given("day", "-01"), " ", *clock, "")
    try:
        stamps = pc.cast(full, pa.timestamp("ns"))
    except pa.ArrowInvalid:
        wrong = next(i for i in range(len(full)) if not _exists(full.slice(i, 1)))
        told = f"{place(wrong)}: '{texts[wrong]}' is no time that there is between 1678 and 2261"
        raise DataError(told, hint="mend the file") from None
    return np.asarray(stamps, "datetime64[ns]")


def _exists(text: pa.Array) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.cast(text, pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return False
    return True


def _offset(zone: str) -> int:
    """Return how far a zone is ahead of UTC, in nanoseconds."""
    if zone in ("", "Z"):
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    size = int(digits[:2]) * HOUR + int(digits[2:]) * _SIZES["minute"]
    return -size if zone[0] == "-" else size


def _layout(groups: dict[str, Any]) -> Layout:
    """Return how times are written, as fully as any of them is."""
    import pyarrow.compute as pc

    there = {name: pc.any(pc.not_equal(group, "")).as_py() for name, group in groups.items()}
    zone = "Z" if there["zone"] else ""
    if not there["clock"]:
        return Layout("D" if there["day"] else "M", "", 0, zone)
    separator = next(sep for sep in groups["sep"].to_pylist() if sep)
    digits = max(0, pc.max(pc.utf8_length(groups["fraction"])).as_py() - 1)
    return Layout("ns" if digits else "s" if there["seconds"] else "m", separator, digits, zone)


@final
@dataclass(frozen=True, slots=True)
class Step:
    """The usual distance of one time to the next.

    Attributes:
        unit: what a step is counted in: whole numbers, nanoseconds, days from Monday to Friday, or months, with all
            times at one day of the month, or all at its last day.
        size: how many of these a step has.
    """

    unit: Literal["number", "nanosecond", "weekday", "month", "month_end"]
    size: int

    def places(self, times: Times) -> Places:
        """Return where times (N,) stand, in the unit: a step's size apart where they are regular."""
        if self.unit == "weekday":
            return np.asarray(np.busday_count("1970-01-01", times.astype("datetime64[D]")), np.int64)
        counted = times.astype("datetime64[M]") if self.unit in ("month", "month_end") else times
        return counted.astype(np.int64)

    def after(self, time: Any, count: int) -> Times:
        """Return the next times (count,) after one that is on the steps, in its dtype."""
        ahead = self.size * np.arange(1, count + 1)
        if self.unit == "number":
            return np.asarray(time + ahead, np.int64)
        if self.unit == "nanosecond":
            return np.asarray(time + ahead.astype("timedelta64[ns]"))
        day = time.astype("datetime64[D]")
        month = time.astype("datetime64[M]")
        if self.unit == "weekday":
            days = np.busday_offset(day, ahead)
        elif self.unit == "month":
            days = (month + ahead).astype("datetime64[D]") + (day - month.astype("datetime64[D]"))
        else:
            days = _last_days(month + ahead)
        return np.asarray(days.astype("datetime64[ns]") + (time - day))

    def is_of(self, times: Times) -> bool:
        """Tell whether times (N,) that grow stand on such steps, and are mostly one apart, if there are enough."""
        if (times.dtype.kind == "M") == (self.unit == "number"):
            return False
        if self.unit not in ("number", "nanosecond"):
            days, months = times.astype("datetime64[D]"), times.astype("datetime64[M]")
            of_month = days - months.astype("datetime64[D]")
            stands = {
                "weekday": np.is_busday(days),
                "month": of_month == of_month[0],
                "month_end": _last_days(months) == days,
            }[self.unit]
            if not stands.all() or (times - days != times[0] - days[0]).any():
                return False
        return len(times) < FEWEST_TIMES or _most_frequent(np.diff(self.places(times))) == self.size

    @property
    def is_below_a_day(self) -> bool:
        """Whether the time of day changes from step to step."""
        return self.unit == "nanosecond" and self.size % DAY != 0

    def __str__(self) -> str:
        """Return the step in words."""
        if self.unit == "number":
            return str(self.size)
        if self.unit == "nanosecond":
            name, size = next((name, size) for name, size in _SIZES.items() if self.size % size == 0)
            return _counted(self.size // size, name)
        if self.unit == "weekday":
            return f"{_counted(self.size, 'day')} from Monday to Friday"
        return _counted(self.size // 12, "year") if self.size % 12 == 0 else _counted(self.size, "month")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" + ("s" if count > 1 else "")


def usual_step(times: Times) -> Step:
    """Return the usual step of times (N,), two or more that grow: the most frequent one, the smallest of equals."""
    if times.dtype.kind != "M":
        return Step("number", _most_frequent(np.diff(times)))
    days, months = times.astype("datetime64[D]"), times.astype("datetime64[M]")
    fixed = Step("nanosecond", _most_frequent(np.diff(times).astype(np.int64)))
    if (times - days != times[0] - days[0]).any():
        return fixed
    of_month = days - months.astype("datetime64[D]")
    at_end = bool((_last_days(months) == days).all())
    if at_end or (of_month == of_month[0]).all():
        size = _most_frequent(np.diff(months).astype(np.int64))
        if at_end or size % 12 == 0 or int(of_month[0].astype(np.int64)) < 28:  # a day that each of the months has
            return Step("month_end" if at_end else "month", size)
    has_weekend = np.busday_count(days[0], days[-1]) < (days[-1] - days[0]).astype(np.int64)
    if fixed.size == DAY and has_weekend and np.is_busday(days).all():
        return Step("weekday", 1)
    return fixed


def _last_days(months: Times) -> Times:
    return np.asarray((months + 1).astype("datetime64[D]") - 1)


def _most_frequent(differences: Places) -> int:
    values, counts = np.unique(differences, return_counts=True)
    return int(values[np.argmax(counts)])
