"""Where a training stands: plain values and tensors, all that a resume needs beside weights and optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, final

from torch import Tensor

from nnkit.optim.schedules import PlateauState

Pending = list[tuple[Tensor, Tensor, Tensor]]
Hidden = tuple[Tensor, ...]


@final
@dataclass(frozen=True, slots=True)
class Score:
    """The monitored value of one validation.

    Attributes:
        epoch: in which it was taken, from 1.
        step: after how many steps.
        value: as the metric has it, higher or lower being better.
    """

    epoch: int
    step: int
    value: float


@final
@dataclass(frozen=True, slots=True)
class Record:
    """What a sink sees at an event.

    Attributes:
        step: steps done.
        epoch: the epoch that they were in, from 1.
        values: such as {"train/loss": 0.3, "val/accuracy": 0.9, "lr": 0.001, "time/seconds": 4.2}.
    """

    step: int
    epoch: int
    values: Mapping[str, float]


@final
@dataclass(slots=True)
class TrainState:
    """Where a training stands.

    Attributes:
        total_steps: planned at the first start; the schedules run over it.
        step: optimizer steps done.
        epoch: epochs finished.
        position: steps done in the current epoch.
        loss_total, loss_weight: sums of the current epoch's training loss.
        first_loss: of the very first step; None before it.
        sums: of the current epoch's training metrics.
        pending: outputs, targets and weights that the sums still lack; adding them late saves time.
        num_pending: how many numbers these outputs have.
        best: the best validation so far.
        waited: validations since the best one.
        plateau: what the plateau schedule remembers.
        records: how many events have been written.
        seconds: of training, validation not counted.
        samples: seen in those seconds.
        hidden: the states (B, H) of a stateful network's layers, at the end of the last batch; None at the beginning.
        gradient_norms: (number of parameters + 1,) sums of their gradients' norms over the epoch, then the steps; None
            where they are not asked for.
        skipped: steps that were left out because they were not finite.
        skipped_in_row: of them, and of those that fp16 leaves out, the last ones without another step between.
        rollbacks: how often the training went back to a checkpoint.
        lowered: the factor on the learning rate that comes of it.
        went_back: to which step it went back the last time; None where it never did.
    """

    total_steps: int
    step: int = 0
    epoch: int = 0
    position: int = 0
    loss_total: float = 0.0
    loss_weight: float = 0.0
    first_loss: float | None = None
    sums: dict[str, Tensor] = field(default_factory=dict)
    pending: Pending = field(default_factory=list)
    num_pending: int = 0
    best: Score | None = None
    waited: int = 0
    plateau: PlateauState = field(default_factory=PlateauState)
    records: int = 0
    seconds: float = 0.0
    samples: int = 0
    hidden: Hidden | None = None
    gradient_norms: Tensor | None = None
    skipped: int = 0
    skipped_in_row: int = 0
    rollbacks: int = 0
    lowered: float = 1.0
    went_back: int | None = None

    def become(self, other: TrainState) -> None:
        """Stand where another state stands; whoever holds this one sees it."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    def to_plain(self) -> dict[str, Any]:
        """Return plain values and tensors; tensors are shared, not copied."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        plain["best"] = None if self.best is None else asdict(self.best)
        plain["plateau"] = asdict(self.plateau)
        plain["pending"] = list(self.pending)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TrainState:
        """Return the state that `to_plain` described."""
        best = None if plain["best"] is None else Score(**plain["best"])
        return cls(**{**plain, "best": best, "plateau": PlateauState(**plain["plateau"])})


def is_better(value: float, best: Score | None, *, mode: str, min_delta: float) -> bool:
    """Tell whether a score improves on the best by more than `min_delta`; one that is not finite never does."""
    if not math.isfinite(value) or best is None:
        return math.isfinite(value)
    return value > best.value + min_delta if mode == "max" else value < best.value - min_delta
