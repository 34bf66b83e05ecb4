"""Checks of how samples become steps: of the words alone."""

from __future__ import annotations

from collections.abc import Iterator

from nnkit.config.schema import Config
from nnkit.errors import Problem


def batching_problems(config: Config) -> Iterator[Problem]:
    """Yield the settings of batches that fight each other, or the model."""
    batching = config.batching
    if batching.batch_size == "full" and (batching.drop_last or batching.accumulate > 1):
        yield Problem(
            "batching.batch_size=full is one batch an epoch, so drop_last and accumulate have nothing to do",
            "batching.drop_last=false batching.accumulate=1",
        )
    if getattr(config.model, "norm", "none") == "batch" and batching.batch_size == 1:
        yield Problem(
            "model.norm=batch needs at least 2 samples a batch, but batching.batch_size is 1", "model.norm=layer"
        )
    if batching.auto_batch_size:
        yield from _auto_problems(config)
    if batching.sampler == "balanced" and getattr(config.loss, "class_weights", "none") == "balanced":
        yield Problem(
            "batching.sampler=balanced and loss.class_weights=balanced both make up for rare classes, twice together",
            "loss.class_weights=none, or batching.sampler=each_once",
        )
    if batching.sampler == "balanced" and not batching.shuffle:
        yield Problem("batching.sampler=balanced draws at random, but batching.shuffle=false", "batching.shuffle=true")


def _auto_problems(config: Config) -> Iterator[Problem]:
    batching = config.batching
    if batching.batch_size == "full":
        text = "batching.auto_batch_size=true doubles a number, but batching.batch_size=full is all samples already"
        yield Problem(text, "batching.batch_size=64 batching.auto_batch_size=true, or batching.batch_size=full alone")
    if batching.accumulate > 1:
        text = (
            f"batching.auto_batch_size=true takes what fits as one step, but batching.accumulate={batching.accumulate}"
        )
        yield Problem(text, "batching.accumulate=1")
    if batching.stateful:
        text = "batching.auto_batch_size=true changes which segments follow each other, but batching.stateful=true"
        yield Problem(text, "batching.auto_batch_size=false")


def step_problems(config: Config, train: int) -> Iterator[Problem]:
    """Yield what is wrong with the size of a step, or the number of steps, for so many training samples."""
    trainer, batching = config.trainer, config.batching
    step = train if batching.batch_size == "full" else batching.batch_size * batching.accumulate
    planned = trainer.max_epochs * -(-train // step)
    if config.scheduler.warmup_steps >= min(planned, trainer.max_steps or planned):
        yield Problem(
            f"scheduler.warmup_steps={config.scheduler.warmup_steps} is the whole training of {planned} steps",
            f"scheduler.warmup_steps={planned // 10}",
        )
    most = 1 if batching.batch_size == "full" else -(-train // batching.batch_size)
    if batching.accumulate > most:
        yield Problem(
            f"batching.accumulate={batching.accumulate} is more than an epoch has: {train} training samples are "
            f"{most} batches of batching.batch_size={batching.batch_size}",
            f"batching.accumulate={most}",
        )
    elif batching.drop_last and step > train:
        yield Problem(
            f"batching.drop_last=true leaves no batch: {train} training samples are fewer than {step} a step",
            "batching.drop_last=false",
        )
