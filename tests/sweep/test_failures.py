"""Failed trials by their cause."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nnkit.sweep.failures import by_cause, common_cause
from nnkit.sweep.trials import Outcome, Trial
from tests.trained import config_of


def failed(number: int, error: str = "no weights", *, has_begun: bool = False) -> Outcome:
    trial = Trial(number, {}, config_of(), {}, "")
    return Outcome(trial, Path(f"sweep/{number}"), "failed", error=error, has_begun=has_begun)


def test_causes_are_equal_but_for_the_folders_of_the_trials() -> None:
    outcomes = [failed(n, f"cannot write sweep/{n}/run.log: full") for n in range(3)]
    done = replace(failed(3), status="completed", error="")
    other = failed(4, "another")
    assert by_cause([outcomes[0], done, other, *outcomes[1:]]) == [outcomes, [other]]


def test_three_failures_before_the_first_validation_have_a_cause_in_common() -> None:
    outcomes = [failed(n) for n in range(3)]
    assert common_cause(outcomes) == outcomes[0]
    assert common_cause(outcomes[:2]) is None
    assert common_cause([*outcomes, failed(3, "another")]) is None
    assert common_cause([*outcomes, replace(failed(3), status="completed", error="")]) is None
    assert common_cause([*outcomes, failed(3, has_begun=True)]) is None
