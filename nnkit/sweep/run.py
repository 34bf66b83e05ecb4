"""A sweep from its trials to its table: each trial's end is told at once, the winner alone sees the test set."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nnkit.config.cross import Objective
from nnkit.errors import NnkitError
from nnkit.run import look_at_test
from nnkit.runs import SWEEP
from nnkit.storage import write_json
from nnkit.sweep.executor import Executor
from nnkit.sweep.trials import Group, Outcome, Trial, objective, plain_outcome, ranked
from nnkit.train.stopping import Signals

FORMAT = 1


@final
@dataclass(frozen=True, slots=True)
class Rules:
    """What a sweep goes by.

    Attributes:
        objective: what ranks the trials; None for the metric of their task.
        most_failures: after how many failed trials no other starts; None for never.
        timeout_s: seconds after which no other trial starts; None for never.
    """

    objective: Objective | None = None
    most_failures: int | None = None
    timeout_s: float | None = None


@final
@dataclass(frozen=True, slots=True)
class SweepResult:
    """How a sweep ended.

    Attributes:
        folder: the sweep's folder.
        objective: the metric that ranks.
        outcomes: of the trials that were run.
        groups: the finished ones by rank.
        test: the winner's test metrics, mean over its seeds; empty when there is no winner or a signal came.
        problem: why the winner could not be tested; empty when it could.
        ended: why not all trials were started; empty where they were, or a signal came.
    """

    folder: Path
    objective: str
    outcomes: Sequence[Outcome]
    groups: Sequence[Group]
    test: dict[str, float]
    problem: str = ""
    ended: str = ""


def run_sweep(
    trials: Sequence[Trial],
    folder: Path,
    executor: Executor,
    signals: Signals,
    tell: Callable[[Outcome], None],
    rules: Rules,
) -> SweepResult:
    """Train all trials.

    Args:
        trials: checked, at least one.
        folder: the sweep's, which is there.
        executor: who trains them.
        signals: a signal ends the sweep after saving the trial that runs.
        tell: called as soon as a trial has ended.
        rules: what ranks the trials, and when no other starts.

    Raises:
        StorageError: sweep.json cannot be written.
    """
    outcomes: list[Outcome] = []
    started, ended = time.monotonic(), ""
    for outcome in executor.run(trials, folder, signals):
        outcomes.append(outcome)
        tell(outcome)
        _write(folder, trials, outcomes, {}, rules)
        if len(outcomes) < len(trials) and (ended := _ends(outcomes, rules, time.monotonic() - started)):
            break
    groups = ranked([outcome for outcome in outcomes if outcome.status != "interrupted"], rules.objective)
    test: dict[str, float] = {}
    problem = ""
    try:
        test = _test_of(groups[0]) if groups and not signals.number else {}
        _write(folder, trials, outcomes, test, rules)
    except (NnkitError, ValueError) as error:
        problem = str(error)
    return SweepResult(folder, objective(outcomes, rules.objective)[0], outcomes, groups, test, problem, ended)


def _ends(outcomes: Sequence[Outcome], rules: Rules, seconds: float) -> str:
    """Return why no other trial starts; empty while others do."""
    failures = sum(outcome.status == "failed" for outcome in outcomes)
    if rules.most_failures is not None and failures > rules.most_failures:
        return f"{failures} failed"
    if rules.timeout_s is not None and seconds >= rules.timeout_s:
        return f"hydra.sweeper.timeout_s={rules.timeout_s:g} was over"
    return ""


def _test_of(winner: Group) -> dict[str, float]:
    looked = [look_at_test(outcome.trial.config, outcome.folder) for outcome in winner.outcomes]
    return {name: statistics.fmean(metrics[name] for metrics in looked) for name in looked[0]}


def _write(
    folder: Path, trials: Sequence[Trial], outcomes: Sequence[Outcome], test: dict[str, float], rules: Rules
) -> None:
    groups, (name, mode) = ranked(outcomes, rules.objective), objective(outcomes, rules.objective)
    best = None
    if groups:
        sign = -1 if mode == "max" else 1
        best = min(groups[0].outcomes, key=lambda o: (sign * o.metrics[name], o.metrics["val/loss"])).folder.name
    facts = {
        "format": FORMAT,
        "objective": name,
        "mode": mode,
        "planned": len(trials),
        "best": best,
        "test": test,
        "trials": [plain_outcome(outcome) for outcome in outcomes],
    }
    write_json(folder / SWEEP, facts)
