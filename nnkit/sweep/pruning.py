"""Which trials are not worth their time: rules on the validation scores so far. Pure but for the scores they keep."""

from __future__ import annotations

import math
import random
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal, final

from nnkit.seeding import derive

Kind = Literal["none", "median", "asha", "hyperband"]
STARTUP_TRIALS = 5  # that end before the median tells anything


@final
@dataclass(slots=True)
class Pruner:
    """Looks at each validation of each trial, and says which trial shall stop.

    Attributes:
        kind: the rule.
        min_epochs: no trial is pruned before.
        reduction: of asha and hyperband: one in so many goes on at a rung, and the next rung is so many times as late.
        max_epochs: the longest training; hyperband's brackets depend on it.
        seed: of the choice of brackets.
        best: of each trial (by objective), the best score after each epoch with a validation; lower is better.
        ended: trials that trained to their end.
        brackets: of the trials, once they have been drawn.
    """

    kind: Kind
    min_epochs: int
    reduction: int
    max_epochs: int
    seed: int = 0
    best: dict[str, dict[int, dict[int, float]]] = field(default_factory=lambda: defaultdict(dict))
    ended: set[int] = field(default_factory=set)
    brackets: dict[int, int] = field(default_factory=dict)

    def scored(self, trial: int, epoch: int, name: str, loss: float) -> bool:
        """Note a validation, and tell whether the trial shall stop.

        Args:
            trial: its number.
            epoch: from 1.
            name: of the objective; trials with another one are not compared with.
            loss: the objective, lower being better; what is not finite is the worst there is.
        """
        if self.kind == "none":
            return False
        mine = self.best[name].setdefault(trial, {})
        if epoch in mine:  # a trial that goes on from its checkpoint does some epochs again
            return False
        finite = loss if math.isfinite(loss) else math.inf
        mine[epoch] = min([finite, *(before for at, before in mine.items() if at < epoch)])
        if epoch < self.min_epochs:
            return False
        if self.kind == "median":
            return self._is_behind_median(trial, epoch, name)
        return any(self._is_cut(trial, rung, name) for rung in self._rungs(trial) if self._reached(mine, rung) == epoch)

    def _is_behind_median(self, trial: int, epoch: int, name: str) -> bool:
        """Golovin et al. 2017 (Vizier): worse than the median of those that have ended, at the same epoch."""
        others = [
            scores[epoch]
            for number, scores in self.best[name].items()
            if number in self.ended and number != trial and epoch in scores
        ]
        return len(others) >= STARTUP_TRIALS and self.best[name][trial][epoch] > statistics.median(others)

    def _is_cut(self, trial: int, rung: int, name: str) -> bool:
        """Li et al. 2020 (ASHA, stopping): not among the best 1/reduction of those that have reached the rung."""
        there = {
            number: scores[at]
            for number, scores in self.best[name].items()
            if self._bracket(number) == self._bracket(trial) and (at := self._reached(scores, rung)) is not None
        }
        kept = max(1, len(there) // self.reduction)
        return there[trial] > sorted(there.values())[kept - 1]

    @staticmethod
    def _reached(scores: dict[int, float], rung: int) -> int | None:
        """Return the first epoch with a validation at which a trial has reached a rung; None before."""
        return min((epoch for epoch in scores if epoch >= rung), default=None)

    def _rungs(self, trial: int) -> list[int]:
        """Return the epochs at which a trial is compared: the brackets of hyperband begin later and later."""
        rung, found = self.min_epochs * self.reduction ** self._bracket(trial), []
        while rung < self.max_epochs:
            found.append(rung)
            rung *= self.reduction
        return found

    def _bracket(self, trial: int) -> int:
        """Li et al. 2018 (Hyperband): how many rungs a trial skips, by chance, each with the weight of its budget."""
        if self.kind != "hyperband":
            return 0
        if trial not in self.brackets:
            self.brackets[trial] = self._drawn_bracket(trial)
        return self.brackets[trial]

    def _drawn_bracket(self, trial: int) -> int:
        last = 0
        while self.min_epochs * self.reduction ** (last + 1) < self.max_epochs:
            last += 1
        weights = [
            (last + 1) / (last - skipped + 1) * self.reduction ** (last - skipped) for skipped in range(last + 1)
        ]
        return random.Random(derive(self.seed, "bracket", trial)).choices(range(last + 1), weights)[0]
