"""The parts of one training, wired: what the loop works with."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from nnkit.augment import Recipe
from nnkit.config.sections.optimizer import OptimizerConfig
from nnkit.config.sections.scheduler import SchedulerConfig
from nnkit.config.sections.trainer import TrainerConfig
from nnkit.data.batches import Batches
from nnkit.errors import DivergenceError
from nnkit.objective import Objective
from nnkit.optim.flat import FlatParameters
from nnkit.optim.optimizers import Optimizer
from nnkit.optim.schedules import schedule_factor
from nnkit.train.device import Arithmetic
from nnkit.train.layers import Frozen
from nnkit.train.norms import note_norms
from nnkit.train.saver import Saver
from nnkit.train.state import TrainState


class Metrics(Protocol):
    """Sums that grow batch by batch, and values computed from them."""

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place."""

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return the metrics by name."""


def is_finite(numbers: Tensor) -> bool:
    """Tell whether all numbers are finite. Their sum says yes at little cost; where it does not, each is looked at."""
    return math.isfinite(numbers.sum().item()) or bool(numbers.isfinite().all())


@final
@dataclass(slots=True, kw_only=True)
class Run:
    """One training: model, data, and the rules.

    Attributes:
        monitor: the value that decides on the best weights and on stopping, such as "val/loss".
        mode: whether it is better at its "min" or its "max".
        micro_batch: samples a forward pass; a step may have several.
        input_noise: deviation of the noise on the inputs, while training.
        token_dropout: probability that a token of the first input is replaced by the unknown one, while training.
        augmentation: what is done to the samples while training; None for nothing.
        is_stateful: whether states are carried from batch to batch.
        average: the moving average of the parameters, (P,); None where trainer.ema_decay is off.
        watches_late: whether looking at a number on the device stalls it.
        unread: of the steps that have not been looked at, where looking is dear: loss and weight, and whether gradient
            and weights are finite.
        finite_buffers: those that were finite at first; a mask may be made of infinities.
        untold: what the sinks are to be told at the next event.
        frozen: what does not learn in some epochs; None where all learns.
        unmeasured: metrics that were not finite, and have been told.
        beginning: weights and state before the first step, where a training may have to go back there.
        is_given_weights: whether it starts from weights that are at hand at its start alone.
    """

    seed: int
    trainer: TrainerConfig
    optimizer_config: OptimizerConfig
    scheduler: SchedulerConfig
    monitor: str
    mode: str
    model: nn.Module
    parameters: FlatParameters
    optimizer: Optimizer
    objective: Objective
    metrics: Metrics
    arithmetic: Arithmetic
    train: Batches
    val: Batches
    test: Batches
    micro_batch: int
    checkpoints: Saver
    input_noise: float = 0.0
    token_dropout: float = 0.0
    augmentation: Recipe | None = None
    is_stateful: bool = False
    average: Tensor | None = None
    finite_buffers: frozenset[str] = frozenset()
    watches_late: bool = False
    unread: list[tuple[int, list[Tensor]]] = field(default_factory=list)
    untold: list[str] = field(default_factory=list)
    frozen: Frozen | None = None
    unmeasured: set[str] = field(default_factory=set)
    beginning: tuple[dict[str, Tensor], dict[str, Any]] | None = None
    is_given_weights: bool = False

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.arithmetic.device

    def factor(self, state: TrainState) -> float:
        """Return the factor on the learning rate at the current step."""
        steps = len(self.train)
        scheduled = schedule_factor(self.scheduler, state.step, total=state.total_steps, steps_per_epoch=steps)
        return scheduled * state.plateau.factor * state.lowered

    def unscale(self) -> None:
        """Give the gradients their own size: fp16 has scaled them up."""
        if self.arithmetic.scaler is not None:
            self.arithmetic.scaler.unscale_(self.optimizer)  # type: ignore[arg-type]

    @torch.no_grad()
    def update(self, state: TrainState, factor: float) -> None:
        """Note and clip the gradients, take the optimizer's step, limit the weights, and follow with the average."""
        scaler, grad = self.arithmetic.scaler, self.parameters.grad
        if self.trainer.gradient_norms:
            note_norms(self.parameters, state)
        if self.trainer.clip_value is not None:
            grad.clamp_(-self.trainer.clip_value, self.trainer.clip_value)
        if self.trainer.clip_norm is not None:
            grad.mul_((self.trainer.clip_norm / (grad.norm() + 1e-6)).clamp_max(1.0))
        if scaler is None:
            self.optimizer.step(factor, state.epoch)
        else:
            scaler.step(self.optimizer, factor, state.epoch)  # type: ignore[arg-type]
            scaler.update()
        self.objective.limit()
        if self.average is not None and self.trainer.ema_decay is not None:
            decay = min(self.trainer.ema_decay, (1 + state.step) / (10 + state.step))
            self.average.lerp_(self.parameters.values, 1 - decay)

    @contextmanager
    def averaged_weights(self) -> Iterator[None]:
        """Let the model have the averaged weights for a while, where there are such."""
        if self.average is None:
            yield
            return
        values = self.parameters.values
        trained = values.clone()
        with torch.no_grad():
            values.copy_(self.average)
            try:
                yield
            finally:
                values.copy_(trained)

    def validated_weights(self) -> dict[str, Tensor]:
        """Return a copy of what a validation sees: weights (averaged, where there is an average) and buffers."""
        with self.averaged_weights():
            state = self.model.state_dict()
            return {k: v.detach().clone(memory_format=torch.contiguous_format) for k, v in state.items()}

    def load_validated(self, weights: Mapping[str, Tensor]) -> None:
        """Set weights and buffers from what `validated_weights` returned."""
        with torch.no_grad():
            self.model.load_state_dict(weights)
            if self.average is not None:
                self.average.copy_(self.parameters.values)

    def saved_numbers(self) -> dict[str, Tensor]:
        """Return all floats that a save would hold beside the sums, by what each is, in words."""
        average = {} if self.average is None else {"an averaged weight": self.average}
        of_optimizer = {f"the optimizer's {name}": value for name, value in self.optimizer.state.items()}
        buffers = {f"buffer {name}": x for name, x in self.model.named_buffers() if name in self.finite_buffers}
        return {"a weight": self.parameters.values, **average, **of_optimizer, **buffers}

    def check_weights(self, state: TrainState) -> None:
        """Refuse weights, and what a save holds beside them, that are not finite. Raises: DivergenceError."""
        bad = next((name for name, numbers in self.saved_numbers().items() if not is_finite(numbers)), None)
        if bad is not None:
            raise DivergenceError(
                f"{bad} became nan or infinite in epoch {state.epoch + 1}, by step {state.step}",
                hint=f"try optimizer.lr={self.optimizer_config.lr / 10:.1g} or trainer.clip_norm=1",
            )

    def to_plain(self, state: TrainState) -> dict[str, Any]:
        """Return all that a resume needs beside the validated weights."""
        scaler = self.arithmetic.scaler
        return {
            "train": state.to_plain(),
            "optimizer": self.optimizer.state_by_name(),
            "trained": None if self.average is None else self.parameters.by_name(self.parameters.values),
            "scaler": None if scaler is None else scaler.state_dict(),
        }

    def keep_beginning(self, total_steps: int) -> None:
        """Keep what a training goes back to that finds no way on: initial weights are a function of the seed.

        Args:
            total_steps: planned at the first start.
        """
        if self.trainer.on_nonfinite == "rollback" and self.beginning is None:
            state = TrainState(total_steps, sums=self.metrics.zero(self.device))
            self.beginning = self.validated_weights(), copy.deepcopy(self.to_plain(state))

    def load_plain(self, weights: Mapping[str, Tensor], plain: Mapping[str, Any]) -> TrainState:
        """Set everything from a checkpoint, and return where the training stands."""
        if not self.is_given_weights:
            self.keep_beginning(plain["train"]["total_steps"])
        self.load_validated(weights)
        if plain["trained"] is not None:
            self.parameters.fill(self.parameters.values.data, plain["trained"])
        self.optimizer.load(plain["optimizer"])
        self.arithmetic = self.arithmetic.anew()
        if self.arithmetic.scaler is not None and plain["scaler"] is not None:
            self.arithmetic.scaler.load_state_dict(plain["scaler"])
        state = TrainState.from_plain(plain["train"])
        state.sums = {k: v.to(self.device) for k, v in state.sums.items()}
        if state.hidden is not None:
            state.hidden = tuple(h.to(self.device) for h in state.hidden)
        if state.gradient_norms is not None:
            state.gradient_norms = state.gradient_norms.to(self.device)
        state.pending = [tuple(t.to(self.device) for t in part) for part in state.pending]  # type: ignore[misc]
        return state
