"""What survives: a promise is tried some times by a test, and many times by scripts/soak, which prints the table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

import pytest

# Tries about so many cases, and yields for each one None where it survived, or else what broke.
Cases = Callable[[int], Iterator[str | None]]


@dataclass(frozen=True)
class Promise:
    """One line of the table "What survives".

    Attributes:
        name: the word for scripts/soak.
        text: what survives, in the words of the table.
        cases: tries it.
        in_ci, in_soak: how many cases the test tries, and how many the soak.
        at_least: fewer cases than that prove nothing; 0 where the count says it.
    """

    name: str
    text: str
    cases: Cases
    in_ci: int
    in_soak: int
    at_least: int = 0


@dataclass(frozen=True)
class Figures:
    """What came of trying a promise."""

    tried: int
    broken: tuple[str, ...]
    seconds: float

    @property
    def survived(self) -> int:
        return self.tried - len(self.broken)

    def row(self, promise: Promise) -> str:
        """Return the line of the table."""
        return f"| {promise.text} | {self.survived:,}/{self.tried:,} | {self.seconds:.0f} s |"


def tried(promise: Promise, count: int) -> Figures:
    """Try a promise on so many cases."""
    started = time.perf_counter()
    outcomes = list(promise.cases(count))
    broken = tuple(outcome for outcome in outcomes if outcome is not None)
    return Figures(len(outcomes), broken, time.perf_counter() - started)


def not_tried(text: str, why: str, record_property: Callable[[str, object], None]) -> NoReturn:
    """Skip a test that the machine does not allow, and say so in the table."""
    record_property("survives", f"| {text} | not tried here: {why} | |")
    pytest.skip(f"{why} here")


def check(promise: Promise, record_property: Callable[[str, object], None]) -> None:
    """Try a promise as often as a test can afford; the figures are printed at the end of all tests.

    Args:
        promise: to be tried.
        record_property: pytest's fixture of that name.

    Raises:
        AssertionError: it is broken.
    """
    figures = tried(promise, promise.in_ci)
    record_property("survives", figures.row(promise))
    assert figures.tried >= max(promise.at_least, 1)
    assert not figures.broken, f"{len(figures.broken)} of {figures.tried} broke, such as: {figures.broken[0]}"
