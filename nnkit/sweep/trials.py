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
from nnkit.config.origin import Composed
from nnkit.config.schema import Config
from nnkit.config.space import Combination
from nnkit.runs import FINISHED


@final
@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep, before it starts.

    Attributes:
        number: from 0, in the order in which they start.
        changed: what differs between the trials, as written.
        config: checked.
        values: of all that the space varies, as written; those that this trial does not read included.
        identity: of the config.
        composed: what the config was checked from; None where nobody asks.
    """

    number: int
    changed: Mapping[str, str]
    config: Config
    values: Mapping[str, str]
    identity: str
    composed: Composed | None = None

    @classmethod
    def of(cls, number: int, point: Combination, config: Config) -> Trial:
        """Return the trial of a point of a space, whose config has been checked."""
        return cls(number, point.changed, config, point.values, identity(config), point.composed)

    @property
    def folder_name(self) -> str:
        """The number, the changed settings in letters that any file system takes, and a piece of the identity."""
        words = "_".join(f"{key.rpartition('.')[2]}={value}" for key, value in self.changed.items())
        return f"{self.number:03d}-{re.sub(r'[^A-Za-z0-9.=+-]+', '_', words)[:60]}-{self.identity[:8]}"


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
        hint: what to type instead, where it failed and that is known.
        exit_code: of the failure, as a run's own; 0 for none.
        has_begun: whether it came as far as its first validation, or where it failed at what another trial may not.
    """

    trial: Trial
    folder: Path
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    error: str = ""
    hint: str = ""
    exit_code: int = 0
    has_begun: bool = True

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do: it has trained to its end, or was pruned."""
        return self.status in FINISHED


@final
@dataclass(frozen=True, slots=True)
class Group:
    """Trials that are equal but for their seed.

    Attributes:
        outcomes: the finished ones, at least one.
        changed: what they have in common of what differs in the sweep.
        metric: the objective of their task.
        score: mean of the objective.
        deviation: its standard deviation over the trials, or over the folds of one; None for one trial without folds.
        tie: mean validation loss.
    """

    outcomes: Sequence[Outcome]
    changed: Mapping[str, str]
    metric: str
    score: float
    deviation: float | None
    tie: float

    @property
    def is_pruned(self) -> bool:
        """Whether one of them did not train to its end."""
        return any(outcome.status == "pruned" for outcome in self.outcomes)


def objective_among(names: Iterable[str], given: Objective | None = None) -> Objective:
    """Return what ranks trials with these metrics: what was given, or the metric of their task."""
    if given is not None:
        return given
    return task_objective(set(names))


def objective(outcomes: Iterable[Outcome], given: Objective | None = None) -> Objective:
    """Return what ranks the trials: what was given, or the metric of their task."""
    return objective_among((name for outcome in outcomes for name in outcome.metrics), given)


def ranked(outcomes: Sequence[Outcome], given: Objective | None = None) -> list[Group]:
    """Return the finished trials, those equal but for `seed` together, the best first.

    Of several seeds all must have finished: a mean over fewer stands behind. A pruned trial ranks by what its best
    weights are worth, as any other. Trials of another task have another objective, which cannot be compared; they stand
    behind, ranked for themselves.
    """
    left, groups = [outcome for outcome in outcomes if outcome.is_finished and outcome.metrics], []
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
    sign, most = -1 if mode == "max" else 1, max((len(group.outcomes) for group in groups), default=0)
    return sorted(groups, key=lambda group: (len(group.outcomes) < most, sign * group.score, group.tie))


def _group(changed: Mapping[str, str], members: Sequence[Outcome], name: str) -> Group:
    if len(members) == 1:
        changed = members[0].trial.changed
    scores = [member.metrics[name] for member in members]
    deviation = statistics.stdev(scores) if len(scores) > 1 else members[0].metrics.get(f"{name}_sd")
    tie = statistics.fmean(member.metrics["val/loss"] for member in members)
    return Group(members, changed, name, statistics.fmean(scores), deviation, tie)


def best_of(group: Group, mode: str) -> Outcome:
    """Return the best trial of a group."""
    sign = -1 if mode == "max" else 1
    return min(group.outcomes, key=lambda o: (sign * o.metrics[group.metric], o.metrics["val/loss"]))


def plain_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return a trial and its end as plain data, for sweep.json."""
    return {
        "number": outcome.trial.number,
        "folder": outcome.folder.name,
        "changed": dict(outcome.trial.changed),
        "identity": outcome.trial.identity,
        "status": outcome.status,
        "epochs": outcome.epochs,
        "seconds": round(outcome.seconds, 3),
        "metrics": dict(outcome.metrics),
        "error": outcome.error,
    }
