"""Exact resume from every step: a run keeps all of its checkpoints, and goes on from each as if it were the last."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from nnkit.config.schema import Config
from nnkit.lock import FolderLock
from nnkit.run import resume, train
from nnkit.runs import CHECKPOINTS, RUN, new_folder
from nnkit.train import checkpoints
from tests.faults.survival import Promise
from tests.trained import config_of, events, is_equal, last_state, last_weights

OPTIMIZERS = {
    "sgd": ("optimizer=sgd", "optimizer.nesterov=true"),
    "adam": ("optimizer=adam",),
    "adamw": ("optimizer=adamw",),
    "nadam": ("optimizer=nadam",),
    "rmsprop": ("optimizer=rmsprop", "optimizer.momentum=0.9"),
    "adagrad": ("optimizer=adagrad",),
}
SCHEDULERS = {
    "none": ("scheduler=none",),
    "step": ("scheduler=step", "scheduler.every_epochs=1"),
    "exponential": ("scheduler=exponential",),
    "cosine": ("scheduler=cosine",),
    "one_cycle": ("scheduler=one_cycle",),
    "plateau": ("scheduler=plateau", "scheduler.patience=0"),
}
SHORT = ("batching.batch_size=60", "trainer.max_epochs=3", "trainer.patience=null")  # 2 steps an epoch
CHANCE = ("regularization=dropout", "trainer.ema_decay=0.9", "scheduler.warmup_steps=2")
LANGUAGE = ("data=text", "data.path=books", "data.task=language", "data.tokens=char", "data.segment=5")
LANGUAGE += ("batching.batch_size=4", "trainer.max_epochs=2", "batching.stateful=true", "batching.shuffle=false")
PICTURES = ("data=images", "data.path=pictures", "data.in_memory=false", "data.cache=null", "model.hidden=[8]")
PICTURES += ("batching.batch_size=4", "trainer.max_epochs=2", "regularization=dropout")
GRADUAL = ("model.hidden=[6,6,6]", "model.norm=batch", "model.freeze=backbone", "model.unfreeze_after=1")
GRADUAL += ("model.unfreeze_layers=1", "trainer.max_epochs=4")
OTHERS: dict[str, tuple[str, ...]] = {
    "accumulation": ("model.norm=batch", "batching.accumulate=2", "batching.batch_size=20", *CHANCE),
    "augmentation": ("data=digits", "data.limit=100", "augmentation=strong", "augmentation.flip=0.5", *CHANCE),
    "mixing": (
        *("data=digits", "data.limit=100", "augmentation.mixup=0.4", "augmentation.cutmix=1", "batching.accumulate=3"),
        *("batching.batch_size=10", "trainer.validate_every=null", "trainer.validate_every_steps=2", *CHANCE),
    ),
    "augmented series": ("data=adding", "data.samples=90", "model=gru", "model.hidden_size=4", "augmentation=strong"),
    "fp16": ("trainer.precision=fp16", "regularization=dropout"),
    "early stop": ("optimizer=sgd", "optimizer.lr=3", "trainer.max_epochs=60", "trainer.patience=3"),
    "validation in mid-epoch": ("trainer.validate_every=null", "trainer.validate_every_steps=2", *CHANCE),
    "unfreezing": (*GRADUAL, *CHANCE, "optimizer.layer_decay=0.7", "optimizer=nadam"),
    "frozen for good": ("model.freeze=1", "model.hidden=[6,6]", "optimizer.backbone_lr_factor=0.1", "optimizer=sgd"),
    "rnn": (*LANGUAGE, "model=rnn", "model.hidden_size=6", "regularization=dropout"),
    "lstm": (*LANGUAGE, "model=lstm", "model.hidden_size=6", "model.num_layers=2", *CHANCE),
    "gru": (*LANGUAGE, "model=gru", "model.hidden_size=6", "trainer.tbptt_steps=2", "trainer.gradient_norms=true"),
    "pictures": (*PICTURES, "data.workers=0"),
}
WORKERS = {"workers": (2, 2), "more workers": (0, 2), "no workers": (2, 0)}  # before, and after
WORKED_STEPS = (1, 4)  # of a run with workers: each costs the start of their processes


def config_for(name: str) -> Config:
    """Return the config of a name in OTHERS, or of an optimizer and a scheduler."""
    if name in OTHERS:
        return config_of(*SHORT, *OTHERS[name])
    optimizer, scheduler = name.split(" x ")
    epochs = 3 if scheduler == "plateau" else 2  # a plateau needs one more to be seen
    return replace(
        config_of(*SHORT, *CHANCE, f"trainer.max_epochs={epochs}"),
        optimizer=_section("optimizer", *OPTIMIZERS[optimizer]),
        scheduler=_section("scheduler", *SCHEDULERS[scheduler], "scheduler.warmup_steps=2"),
    )


@cache
def _section(name: str, *words: str) -> Any:
    return getattr(config_of(*words), name)


def with_trainer(config: Config, **settings: Any) -> Config:
    """Return the config with other settings of the trainer."""
    return replace(config, trainer=replace(config.trainer, **settings))


def whole(config: Config) -> Path:
    """Train a run that keeps every checkpoint, also that before its first step where it has one; return its folder."""
    folder = new_folder(config)
    with FolderLock(folder):
        train(with_trainer(config, checkpoint_every=1, keep_last=10_000), folder)
    return folder


def as_it_was(folder: Path, step: int, place: Path) -> Path:
    """Copy a run as it was on disk after so many steps; metrics.jsonl may have grown, the run was killed later."""
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns(CHECKPOINTS, "lock"))
    facts = json.loads((place / RUN).read_text())
    (place / RUN).write_text(json.dumps({**facts, "status": "running"}))
    manifest = checkpoints.step_folder(folder / CHECKPOINTS, step) / checkpoints.MANIFEST
    best = json.loads(manifest.read_text())["best"]
    (place / CHECKPOINTS).mkdir()
    for number in {step, step if best is None else best}:
        source = checkpoints.step_folder(folder / CHECKPOINTS, number)
        shutil.copytree(source, checkpoints.step_folder(place / CHECKPOINTS, number))
    names = {"last": step} | ({} if best is None else {"best": best})
    checkpoints.point(place / CHECKPOINTS, names)
    return place


@dataclass(frozen=True)
class End:
    """What is left of a run that has ended: all of it has to be the same, bit by bit."""

    facts: Mapping[str, Any]
    events: Sequence[Mapping[str, Any]]
    weights: Mapping[str, Any]
    state: Mapping[str, Any]
    best: str
    best_weights: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> End:
        facts = json.loads((folder / RUN).read_text())
        best = checkpoints.pointed(folder / CHECKPOINTS, "best")
        kept = {key: facts[key] for key in ("status", "reason", "epochs", "steps", "best", "metrics")}
        return cls(
            kept, events(folder), last_weights(folder), last_state(folder), best.name, checkpoints.read_weights(best)
        )

    def difference(self, wanted: End) -> str | None:
        """Return what is not the same; None where all is."""
        for field in fields(self):
            here, there = getattr(self, field.name), getattr(wanted, field.name)
            if not is_equal(here, there):
                shown = "" if "weights" in field.name or field.name == "state" else f": {here}, wanted {there}"
                return f"{field.name.replace('_', ' ')} differ{shown}"
        return None


def from_step(folder: Path, step: int, config: Config, wanted: End) -> str | None:
    """Go on from a step of a run, and return in what its end differs from the one wanted."""
    place = Path(f"{folder}-{step}")
    try:
        as_it_was(folder, step, place)
        with FolderLock(place):
            resume(config, place)
        return End.of(place).difference(wanted)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def without_waiting() -> Iterator[None]:
    """Leave out the waits for the disk: what is tried here is what stands in the files, not when it is safe there."""
    before = os.fsync
    os.fsync = lambda _: None
    try:
        yield
    finally:
        os.fsync = before


def cases(count: int) -> Iterator[str | None]:
    """Go on from every step of every run; of runs with workers from some in a test."""
    write_data()
    with without_waiting():
        yield from _cases(all_of_workers=count > EVERY_STEP.in_ci)


def _cases(*, all_of_workers: bool) -> Iterator[str | None]:
    names = [*(" x ".join(pair) for pair in product(OPTIMIZERS, SCHEDULERS)), *OTHERS]
    for name in names:
        config = config_for(name)
        folder = whole(config)
        wanted = End.of(folder)
        steps = checkpoints.steps(folder / CHECKPOINTS)
        if len(steps) != steps[-1]:
            yield f"{name}: only the checkpoints {steps} are there"
        for step in steps:
            problem = from_step(folder, step, config, wanted)
            yield None if problem is None else f"{name}, from step {step}: {problem}"
        shutil.rmtree(folder)
    for name, (before, after) in WORKERS.items():
        config = config_of(*SHORT, *PICTURES, f"data.workers={before}")
        folder = whole(config)
        wanted = End.of(folder)
        other = replace(config, data=replace(config.data, workers=after))
        steps = checkpoints.steps(folder / CHECKPOINTS)
        for step in steps if all_of_workers else WORKED_STEPS:
            problem = from_step(folder, step, other, wanted)
            yield None if problem is None else f"{name}, from step {step}: {problem}"


def write_data() -> None:
    """Write two texts, so that there is a boundary in the training part, and pictures of three classes."""
    from PIL import Image

    rng = np.random.default_rng(0)
    Path("books").mkdir()
    for name, length in (("a.txt", 61), ("b.txt", 97)):
        Path("books", name).write_text("".join(rng.choice(list("abcd "), length)))
    for number in range(3):
        Path("pictures", str(number)).mkdir(parents=True)
        for k in range(8):
            pixels = np.clip(rng.normal(60 + 50 * number, 60, (5, 5)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(Path("pictures", str(number), f"{k}.png"))


EVERY_STEP = Promise(
    "every-step", "exact resume from every step, whatever the rule and the schedule", cases, 300, 400, 240
)
