"""What is not finite is caught, is never saved, is never the best, and is got over as was asked for."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from nnkit.assemble import assemble, prepare
from nnkit.errors import DivergenceError
from nnkit.track.jsonl import METRICS, JsonLines
from nnkit.train import checkpoints
from nnkit.train.loop import fit
from nnkit.train.run import Metrics, Run
from nnkit.train.sink import RunInfo
from nnkit.train.state import TrainState
from nnkit.train.stopping import stop_when
from tests.faults.survival import Promise
from tests.trained import config_of, state_of

STEPS_AN_EPOCH, STEPS = 5, 15
KINDS = {
    "loss": "training loss became nan",
    "gradient": "gradient norm became nan",
    "weight": "a weight became nan or infinite",
    "value": "val/loss became nan",
    "metric": "val/own became nan",
}
LATE = {
    "gradient": "a gradient or a weight became nan or infinite",
    "weight": "a gradient or a weight became nan or infinite",
}
IN_VALIDATION = ("value", "metric")
PLAIN = ("optimizer=sgd", "optimizer.lr=1000", "trainer.patience=null")  # and gradients a ten-thousandth
VARIANTS = (
    (),
    ("trainer.ema_decay=0.9",),
    ("model.norm=batch",),
    ("optimizer.momentum=0.9",),
    ("batching.batch_size=10", "batching.accumulate=2"),
    ("regularization.dropout=0.3", "trainer.gradient_norms=true"),
)


@dataclass
class Fault:
    """Makes a network fail once, in a step or in the validation of an epoch, and notes what each step starts from.

    Attributes:
        kind: what is not finite; of "metric", one of the user's own, which decides on nothing.
        step: from 0; of "value" and "metric", the epoch.
        times: how often it fails there.
        starts: weights, optimizer and buffers at the beginning of each step.
    """

    run: Run
    state: TrainState
    kind: str
    step: int
    times: int = 1
    starts: dict[int, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run.model.register_forward_pre_hook(self._begin)
        self.run.model.register_forward_hook(self._end)
        if self.kind == "metric":
            self.run.metrics = Undefined(self.run.metrics, self)

    def _begin(self, model: nn.Module, _: Any) -> None:
        if model.training:
            held = [self.run.parameters.values, *self.run.optimizer.state.values(), *model.buffers()]
            held += [] if self.run.average is None else [self.run.average]
            self.starts.setdefault(self.state.step, [x.detach().clone() for x in held])

    def _end(self, model: nn.Module, _: Any, outputs: Tensor) -> Tensor:
        at = self.state.step if model.training else self.state.epoch
        is_here = self.times > 0 and at == self.step and model.training == (self.kind not in IN_VALIDATION)
        self.times -= is_here and self.kind != "metric"
        if is_here and self.kind in ("loss", "value"):
            return outputs * torch.nan
        if model.training:
            scale = {"gradient": torch.nan, "weight": 1e36}[self.kind] if is_here else 1e-4
            outputs.register_hook(lambda grad: grad.sign() * scale if is_here else grad * scale)
        return outputs


@final
@dataclass
class Undefined:
    """Metrics with one more, which the fault makes nan in its validation."""

    task: Metrics
    fault: Fault

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        return self.task.zero(device)

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        self.task.add(sums, outputs, target, weight)

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        fault = self.fault
        is_here = not fault.run.model.training and fault.state.epoch == fault.step
        return {**self.task.compute(sums), "own": math.nan if is_here else 1.0}


@dataclass
class Trial:
    """One training with a fault in it."""

    folder: Path
    words: tuple[str, ...]
    fault: Fault
    run: Run
    state: TrainState
    sinks: tuple[JsonLines, ...]
    error: DivergenceError | None = None

    def train(self) -> None:
        try:
            fit(self.run, self.state, self.sinks, stop_when(self.run.trainer))
        except DivergenceError as error:
            self.error = error
        for sink in self.sinks:
            sink.close("completed")


def trial(folder: Path, words: tuple[str, ...], kind: str, step: int, times: int = 1) -> Trial:
    """Make ready a training that fails in a step."""
    run = assemble(prepare(config_of(*PLAIN, *words)), folder / "checkpoints")
    state, sink = state_of(run), JsonLines()
    folder.mkdir(parents=True, exist_ok=True)
    sink.start(RunInfo(folder, "", 3, STEPS_AN_EPOCH, run.monitor))
    return Trial(folder, words, Fault(run, state, kind, step, times), run, state, (sink,))


def saved_badly(folder: Path) -> str | None:
    """Return what in the checkpoints of a run is not finite; None where all is well, and `best` names one of them."""
    for step in checkpoints.steps(folder):
        place = checkpoints.step_folder(folder, step)
        weights = checkpoints.read_weights(place)
        plain = checkpoints.read_state(place) if (place / "state.pt").exists() else {}
        held = [*weights.values(), *_tensors(plain)]
        if not all(bool(x.isfinite().all()) for x in held):
            return f"step {step} was saved with a number that is not finite"
    best = folder / "best"
    return None if not best.exists() or checkpoints.pointed(folder, "best").is_dir() else "the best weights are gone"


def _tensors(plain: Any) -> Iterator[Tensor]:
    if isinstance(plain, Tensor):
        yield plain
    elif isinstance(plain, dict):
        for value in plain.values():
            yield from _tensors(value)
    elif isinstance(plain, list | tuple):
        for value in plain:
            yield from _tensors(value)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def stopped(tried: Trial) -> str | None:
    """Return what is wrong with a training that had to stop."""
    fault = tried.fault
    number = (fault.step + 1) * STEPS_AN_EPOCH if fault.kind in IN_VALIDATION else fault.step + 1
    epoch = (number - 1) // STEPS_AN_EPOCH + 1
    wanted = LATE.get(fault.kind, KINDS[fault.kind]) if tried.run.watches_late else KINDS[fault.kind]
    if tried.error is None:
        return f"went on to step {tried.state.step}"
    if f"{wanted} in epoch {epoch}, step {number} (lr 1e+03)" not in str(tried.error):
        return f"says {tried.error}"
    if tried.run.checkpoints.saved_step is not None and tried.run.checkpoints.saved_step >= number:
        return f"saved step {tried.run.checkpoints.saved_step}"
    return None


def skipped(tried: Trial) -> str | None:
    """Return what is wrong with a training that had to leave the step out."""
    fault, state = tried.fault, tried.state
    if tried.error is not None:
        return f"ended: {tried.error}"
    wanted = (fault.step + 1) * STEPS_AN_EPOCH
    if fault.kind == "metric":
        found = [(line["step"], key) for line in lines(tried.folder) for key, value in line.items() if value is None]
        return None if found == [(wanted, "val/own")] and state.step == STEPS else f"has no value at {found}"
    if fault.kind == "value":
        found = [line["step"] for line in lines(tried.folder) if line["val/loss"] is None]
        return None if found == [wanted] and state.best and state.best.step != wanted else f"has no value at {found}"
    if (state.step, state.skipped, state.skipped_in_row) != (STEPS, 1, int(fault.step == STEPS - 1)):
        return f"took {state.step} steps, left out {state.skipped}"
    after = fault.starts.get(fault.step + 1)
    if after and not all(map(torch.equal, fault.starts[fault.step], after)):
        return "the step that was left out has changed something"
    if any(value is None for line in lines(tried.folder) for value in line.values()):
        return "metrics.jsonl has a value that is not finite"
    return None


def rolled_back(tried: Trial) -> str | None:
    """Return what is wrong with a training that had to go back: it ends as one that was resumed at half the rate.

    A metric that decides on nothing is no reason to go back, but one to stop.
    """
    state, folder = tried.state, tried.folder
    if tried.fault.kind == "metric":
        return stopped(tried) if not state.rollbacks else f"went back {state.rollbacks} time(s)"
    if tried.error is not None:
        return f"ended: {tried.error}"
    if (state.step, state.rollbacks, state.lowered) != (STEPS, 1, 0.5):
        return f"{state.rollbacks} rollbacks to {state.lowered} by step {state.step}"
    found = [line["step"] for line in lines(folder)]
    if found != [5, 10, 15]:
        return f"metrics.jsonl has the steps {found}"
    other = assemble(prepare(config_of(*PLAIN, *tried.words)), None)
    begun = state_of(other)
    fault = Fault(other, begun, "loss", -1)
    last = _last_save(tried)
    while begun.step < last:  # the first part at the full rate, as it was trained before the fault
        fit(other, begun, (), lambda at: "there" if at.step == last else None)
    begun.lowered = 0.5
    fit(other, begun, (), stop_when(other.trainer))
    assert fault.times == 1
    same = torch.equal(other.parameters.values, tried.run.parameters.values)
    return None if same else "the weights are not those of a training that was resumed with half the rate"


def _last_save(tried: Trial) -> int:
    """Return the last save before the fault, as the words ask for it."""
    every = next(int(word.partition("=")[2]) for word in tried.words if word.startswith("trainer.checkpoint_every="))
    fault = tried.fault
    before = (fault.step + 1) * STEPS_AN_EPOCH - 1 if fault.kind == "value" else fault.step
    return before // every * every


def overflowed(folder: Path, *, step: int, every: int, is_late: bool) -> str | None:
    """Return what is wrong with a training in fp16 whose gradients overflow from a step on, until it goes back."""
    words = ("trainer.precision=fp16", "trainer.on_nonfinite=rollback", "trainer.max_epochs=8")
    tried = trial(folder, (*words, f"trainer.checkpoint_every={every}"), "loss", -1)
    tried.run.watches_late = is_late
    state = tried.state

    def overflow(model: nn.Module, _: Any, outputs: Tensor) -> Tensor:
        if model.training and state.step >= step and not state.rollbacks:
            outputs.register_hook(lambda grad: grad * math.inf)
        return outputs

    tried.run.model.register_forward_hook(overflow)
    tried.train()
    if tried.error is not None:
        return f"fp16 ended: {tried.error}"
    if (state.step, state.rollbacks) != (8 * STEPS_AN_EPOCH, 1):
        return f"fp16: {state.rollbacks} rollbacks by step {state.step}"
    return saved_badly(folder / "checkpoints")


CHECKS = {"stop": stopped, "skip": skipped, "rollback": rolled_back}


def outcome(seed: int) -> str | None:
    """Return what is wrong with one training in which a number is not finite."""
    chance = random.Random(seed)
    policies, kinds = list(CHECKS), list(KINDS)
    policy, kind = list(itertools.product(policies, kinds))[seed % 15]
    variant = VARIANTS[seed // 30 % len(VARIANTS)]
    every = chance.choice((1, 2, 4, 7))
    step = chance.randrange(3) if kind in IN_VALIDATION else chance.randrange(STEPS)
    words = (*variant, f"trainer.on_nonfinite={policy}", f"trainer.checkpoint_every={every}")
    tried = trial(Path(f"{seed}"), words, kind, step)
    tried.run.watches_late = bool(seed // 15 % 2)  # as on a GPU
    tried.train()
    wrong = CHECKS[policy](tried) or saved_badly(tried.folder / "checkpoints")
    return (
        wrong and f"seed {seed}, {policy}, {kind} in {step}, late {tried.run.watches_late}, {' '.join(words)}: {wrong}"
    )


def outcomes(count: int) -> Iterator[str | None]:
    """Yield what came of so many trainings."""
    in_fp16 = count // 16
    yield from map(outcome, range(count - in_fp16))
    for number in range(in_fp16):
        every = (3, 1000)[number % 2]
        yield overflowed(Path(f"fp16-{number}"), step=number % 8, every=every, is_late=bool(number // 2 % 2))


NUMBERS = Promise(
    "numbers",
    "a loss, gradient, weight, validation value or metric that is not finite: caught in its step, never saved, never "
    "the best; the training stops, leaves the step out, or goes back, as asked for",
    outcomes,
    in_ci=96,
    in_soak=1000,
)
