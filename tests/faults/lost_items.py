"""Each item of a checkpoint matters: a resume without one, from its value before the first step, is not exact."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nnkit.assemble import assemble, prepare
from nnkit.config.schema import Config
from nnkit.optim.schedules import PlateauState
from nnkit.run import resume
from nnkit.runs import CHECKPOINTS
from nnkit.train import checkpoints
from nnkit.train.state import TrainState
from tests.faults.every_step import (
    LANGUAGE,
    OPTIMIZERS,
    SHORT,
    End,
    as_it_was,
    whole,
    with_trainer,
    without_waiting,
    write_data,
)
from tests.faults.survival import Promise
from tests.trained import config_of, is_equal

Place = tuple[str, ...]
NESTED = {"plateau", "sums"}  # fields of the training's state that are taken apart
# Settings of torch's scaler, which it writes beside its state; ours never change.
CONSTANT = {("scaler", name) for name in ("growth_factor", "backoff_factor", "growth_interval")}
STEPPED = ("trainer.validate_every=null", "trainer.validate_every_steps=1")


@dataclass(frozen=True)
class Scenario:
    """A run in which some items matter.

    Attributes:
        words: of the run.
        steps: after which it is stopped.
        only: how the places of the items begin that are looked at; empty for all.
        later: settings of the trainer with which it goes on.
        seconds: that it is taken to have trained; None for those that it has.
    """

    words: tuple[str, ...]
    steps: tuple[int, ...] = (3,)
    only: Place = ()
    later: Mapping[str, Any] | None = None
    seconds: float | None = None


SMALL = (*SHORT, "model.hidden=[4]", "trainer.max_steps=5")  # it ends in mid-epoch, where most of the state lives
TOO_FAST = ("optimizer=sgd", "optimizer.lr=3", "trainer.max_steps=9", "trainer.max_epochs=9")
FAR_TOO_FAST = (
    "optimizer=sgd",
    "optimizer.lr=3e38",
    "trainer.rollback_factor=1e-38",
    "data.scaling=none",
)  # the first step is infinite
CLIPPED = (
    "optimizer=sgd",
    "optimizer.lr=3e38",
    "trainer.rollback_factor=2e-18",
    "trainer.clip_norm=1e-3",
    "data.scaling=none",
)
SCENARIOS = {
    "all": Scenario((*SMALL, "model.norm=batch", "regularization=dropout", "trainer.ema_decay=0.9")),
    "plateau": Scenario(
        (*SMALL, *STEPPED, *TOO_FAST, "scheduler=plateau", "scheduler.patience=1", "scheduler.cooldown=1"),
        steps=(2, 3, 4, 5, 6, 7),
        only=("train", "plateau"),
    ),
    "patience": Scenario((*SMALL, *STEPPED, *TOO_FAST, "trainer.patience=3"), (2, 3, 4), ("train",)),
    "mid-epoch": Scenario((*SMALL, "batching.batch_size=20", "trainer.max_steps=4"), (2,), ("train",)),
    "overflow": Scenario((*SMALL, "trainer.precision=fp16", "data.scaling=none", "optimizer.lr=0.1"), only=("scaler",)),
    "fp16": Scenario((*SMALL, "trainer.precision=fp16"), only=("scaler",)),
    "lstm": Scenario(
        (*LANGUAGE, "model=lstm", "model.hidden_size=6", "trainer.max_steps=3"), (2,), ("train", "hidden")
    ),
    "norms": Scenario((*SMALL, "trainer.gradient_norms=true"), only=("train", "gradient_norms")),
    "longer": Scenario(
        (*SHORT, "model.hidden=[4]", "scheduler=cosine"), only=("train", "total_steps"), later={"max_epochs": 5}
    ),
    "skip": Scenario(  # every step is, and only while training
        (*SMALL, "trainer.on_nonfinite=skip", "regularization.input_noise=3e38"), only=("train",)
    ),
    "rollback": Scenario((*SMALL, *FAR_TOO_FAST, "trainer.on_nonfinite=rollback"), only=("train",)),
    "rollback, again": Scenario(  # once the steps are no longer clipped, the next one fails
        (*SMALL, *CLIPPED, "trainer.on_nonfinite=rollback"), only=("train", "went_back"), later={"clip_norm": None}
    ),
    "time": Scenario(SMALL, only=("train", "seconds"), later={"max_time_s": 500.0}, seconds=1000.0),
}
SCENARIOS |= {
    f"optimizer {name}": Scenario((*SMALL, *words), only=("optimizer",)) for name, words in OPTIMIZERS.items()
}


def items(plain: Mapping[str, Any]) -> Iterator[Place]:
    """Yield where each item of a checkpoint stands: tensors and values, those of a list or tuple together."""
    for name, part in plain.items():
        if name == "train":
            for key, value in part.items():
                yield from (("train", key, inner) for inner in value) if key in NESTED else [("train", key)]
        else:
            yield from ((name, *rest) for rest in _leaves(part))


def _leaves(part: Any) -> Iterator[Place]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield from ((key, *rest) for rest in _leaves(value))
    else:
        yield ()


def at(plain: Any, path: Place) -> Any:
    """Return the item in a place; None where there is none."""
    for key in path:
        plain = plain.get(key) if isinstance(plain, dict) else None
    return plain


def put(plain: dict[str, Any], path: Place, value: Any) -> None:
    """Set the item in a place."""
    *above, last = path
    for key in above:
        plain = plain[key]
    plain[last] = value


def first_values(config: Config) -> dict[str, Any]:
    """Return what a checkpoint before the first step would hold."""
    run = assemble(prepare(config), None)
    total = run.trainer.max_epochs * len(run.train)
    state = TrainState(min(total, run.trainer.max_steps or total), sums=run.metrics.zero(run.device))
    return {"weights": run.validated_weights(), **run.to_plain(state)}


def cases(_: int) -> Iterator[str | None]:
    """Lose each item in turn, in every run; each has to make a difference in one of them, or to be refused."""
    write_data()
    seen: dict[Place, bool] = {}
    with without_waiting():
        for name, scenario in SCENARIOS.items():
            for path, differs in _lost_in_turn(scenario):
                key = (name, *path) if path[0] == "optimizer" else path
                seen[key] = seen.get(key, False) or differs
    for path, differs in seen.items():
        yield None if differs else f"{'.'.join(path)} was lost, and nothing was different"
    yield from (f"there is no run in which {'.'.join(path)} matters" for path in known() if path not in seen)


def known() -> Iterator[Place]:
    """Yield all that a training's state has, by its dataclasses, and the scaler's state: each has to be tried."""
    for field in fields(TrainState):
        if field.name not in NESTED:
            yield ("train", field.name)
    for field in fields(PlateauState):
        yield ("train", "plateau", field.name)
    yield from (("scaler", name) for name in ("scale", "_growth_tracker"))


def _lost_in_turn(scenario: Scenario) -> Iterator[tuple[Place, bool]]:
    """Yield each item that is not what it was before the first step, and whether its loss makes a difference."""
    config = config_of(*scenario.words)
    later = with_trainer(config, **(scenario.later or {}))
    first = first_values(later)
    folder = whole(config)
    for step in scenario.steps:
        source = checkpoints.step_folder(folder / CHECKPOINTS, step)
        saved = {"weights": checkpoints.read_weights(source), **checkpoints.read_state(source)}
        if scenario.seconds is not None:
            saved["train"]["seconds"] = scenario.seconds
        wanted = _end(folder, step, later, saved)
        assert isinstance(wanted, End), wanted
        for path in items(saved):
            if path[: len(scenario.only)] != scenario.only or path in CONSTANT:
                continue
            if is_equal(at(saved, path), at(first, path)):
                continue
            without = copy.deepcopy(saved)
            put(without, path, copy.deepcopy(at(first, path)))
            found = _end(folder, step, later, without)
            yield path, isinstance(found, Exception) or found.difference(wanted) is not None
    shutil.rmtree(folder)


def _end(folder: Path, step: int, config: Config, saved: dict[str, Any]) -> End | Exception:
    """Go on from what was saved, and return the end, or how it is refused."""
    place = as_it_was(folder, step, Path(f"{folder}-{step}"))
    target = checkpoints.step_folder(place / CHECKPOINTS, step)
    state = {key: value for key, value in saved.items() if key != "weights"}
    best = None if state["train"]["best"] is None else state["train"]["best"]["step"]
    checkpoints.write(target, saved["weights"], state, best=best)
    try:
        resume(config, place)
        return End.of(place)
    except Exception as error:  # noqa: BLE001 - however it is refused
        return error
    finally:
        shutil.rmtree(place)


LOST_ITEMS = Promise("lost-items", "each item of a checkpoint matters: no loss goes unseen", cases, 1, 1, 60)
