"""Failed trials by their cause: what broke many of them is told once, and what will break all of them ends a tuning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnkit.sweep.trials import Outcome

FEWEST = 3  # failures of one cause, before the first validation of any trial, after which no other is tried


def cause(outcome: Outcome) -> str:
    """Return why a trial failed, without what is its own: the place of its folder."""
    return outcome.error.replace(str(outcome.folder), "its folder")


def by_cause(outcomes: Iterable[Outcome]) -> list[list[Outcome]]:
    """Return the failed trials, those of one cause together, in the order of their first ones."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.status == "failed":
            found.setdefault(cause(outcome), []).append(outcome)
    return list(found.values())


def common_cause(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Return the first of several trials that all failed before a validation, for one cause; None for others."""
    same = by_cause(outcomes)
    is_one = len(same) == 1 and len(same[0]) == len(outcomes) >= FEWEST
    return same[0][0] if is_one and not any(outcome.has_begun for outcome in outcomes) else None
