"""What a trial is, how it ended, and how trials compare."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

from nnkit.config.cross import Objective, task_objective
from nnkit.config.identity import identity
from nnkit.config.schema import Config


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep, before it starts.

    Attributes:
        number: from 0, in the order of the combinations.
        changed: what differs between the trials, as written.
        config: checked.
    """

    number: int
    changed: Mapping[str, str]
    config: Config

    @property
    def folder_name(self) -> str:
        """The number, the changed settings in letters that any file system takes, and a piece of the identity."""
        words = "_".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.changed.items())
        return f"{self.number:03d}-{re.sub(r'[^A-Za-z0-9.=+-]+', '_', words)[:60]}-{identity(self.config)[:8]}"


@final
@dataclass(frozen=True, slots=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: which.
        folder: its run folder.
        status: of the run, or "failed".
        metrics: train/… and val/…; the test set is not looked at.
        epochs: finished.
        seconds: of training.
        error: why it failed; empty when it did not.
    """

    trial: Trial
    folder: Path
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    error: str = ""


@final
@dataclass(frozen=True, slots=True)
class Group:
    """Trials that are equal but for their seed.

    Attributes:
        outcomes: the finished ones, at least one.
        changed: what they have in common of what differs in the sweep.
        metric: the objective of their task.
        score: mean of the objective.
        deviation: its standard deviation; None for one trial.
        tie: mean validation loss.
    """

    outcomes: Sequence[Outcome]
    changed: Mapping[str, str]
    metric: str
    score: float
    deviation: float | None
    tie: float


def objective(outcomes: Iterable[Outcome], given: Objective | None = None) -> Objective:
    """Return what ranks the trials: what was given, or the metric of their task."""
    if given is not None:
        return given
    return task_objective({name for outcome in outcomes for name in outcome.metrics})


def ranked(outcomes: Sequence[Outcome], given: Objective | None = None) -> list[Group]:
    """Return the finished trials, those equal but for `seed` together, the best first.

    Trials of another task have another objective, which cannot be compared; they stand behind, ranked for themselves.
    """
    left, groups = [outcome for outcome in outcomes if outcome.metrics], []
    if given is not None:
        return _ranked([outcome for outcome in left if given[0] in outcome.metrics], *given)
    while left:
        name, mode = objective(left)
        groups += _ranked([outcome for outcome in left if name in outcome.metrics], name, mode)
        left = [outcome for outcome in left if name not in outcome.metrics]
    return groups


def _ranked(outcomes: Sequence[Outcome], name: str, mode: str) -> list[Group]:
    together: dict[tuple[tuple[str, str], ...], list[Outcome]] = {}
    for outcome in outcomes:
        key = tuple((k, v) for k, v in outcome.trial.changed.items() if k != "seed")
        together.setdefault(key, []).append(outcome)
    groups = [_group(dict(key), members, name) for key, members in together.items()]
    return sorted(groups, key=lambda group: (-group.score if mode == "max" else group.score, group.tie))


def _group(changed: Mapping[str, str], members: Sequence[Outcome], name: str) -> Group:
    if len(members) == 1:
        changed = members[0].trial.changed
    scores = [member.metrics[name] for member in members]
    deviation = statistics.stdev(scores) if len(scores) > 1 else None
    tie = statistics.fmean(member.metrics["val/loss"] for member in members)
    return Group(members, changed, name, statistics.fmean(scores), deviation, tie)


def plain_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return a trial and its end as plain data, for sweep.json."""
    return {
        "number": outcome.trial.number,
        "folder": outcome.folder.name,
        "changed": dict(outcome.trial.changed),
        "identity": identity(outcome.trial.config),
        "status": outcome.status,
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 3),
        "metrics": dict(outcome.metrics),
        "error": outcome.error,
    }
