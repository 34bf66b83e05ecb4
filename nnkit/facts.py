"""What run.json says of a run before its first step."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

import nnkit
from nnkit.assemble import Prepared
from nnkit.config.cross_sequences import RECURRENT
from nnkit.config.schema import Config, to_plain
from nnkit.config.sections.model import NO_WEIGHTS, PretrainedConfig, TrainableConfig, network_of
from nnkit.config.whole import SETTINGS, names_of
from nnkit.train import gradients
from nnkit.train.device import multiplies_back_slowly
from nnkit.train.run import Run

_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")


def facts_of(run: Run, prepared: Prepared) -> dict[str, Any]:
    """Return what is known of a run before its first step."""
    count, learning = counts_of(run, 0)
    return {**facts_of_data(prepared), "parameters": count, **({} if learning == count else {"trainable": learning})}


def counts_of(run: Run, epoch: int) -> tuple[int, int]:
    """Return how many values a network has, and how many of them learn in an epoch, from 0."""
    count = sum(p.numel() for p in run.model.parameters())
    never = count - run.parameters.values.numel()
    return count, count - (never if run.frozen is None else run.frozen.count(epoch))


def size_of(run: Run, epoch: int) -> str:
    """Return how large a network is and how much of it learns in an epoch, in words."""
    count, learning = counts_of(run, epoch)
    return f"{count:,} parameters" + ("" if learning == count else f" ({learning:,} of them trainable)")


def facts_of_data(prepared: Prepared) -> dict[str, Any]:
    """Return what is known of a run before its network is built."""
    config, splits = prepared.config, prepared.splits
    return {
        "title": title_of(config),
        "seed": config.seed,
        "tags": config.tags,
        "versions": {"nnkit": nnkit.__version__, "torch": str(torch.__version__), "python": platform.python_version()},
        "git_commit": git_commit(Path.cwd()),
        "device": config.trainer.device,
        "threads": config.trainer.threads,
        "precision": config.trainer.precision,
        "data_fingerprint": prepared.source.fingerprint(),
        SETTINGS: names_of(to_plain(config)),
        "rows": {"train": len(splits.train), "val": len(splits.val), "test": len(splits.test)},
    }


def git_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in `folder` or above it, read from git's files; None outside."""
    for place in (folder, *folder.parents):
        head = place / ".git" / "HEAD"
        if head.is_file():
            text = head.read_text().strip()
            ref = place / ".git" / text.removeprefix("ref: ")
            if text.startswith("ref: "):
                text = ref.read_text().strip() if ref.is_file() else ""
            return text if _COMMIT.match(text) else None  # a folder from elsewhere may name any file
    return None


def title_of(config: Config) -> str:
    """Return what is trained on what, in words."""
    return f"{network_of(config.model)} on {config.data.kind}"


def now() -> str:
    """Return the time in ISO 8601, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def told_before(run: Run, prepared: Prepared, step: int) -> Iterator[str]:
    """Yield what the user should know before the training, which begins after so many steps."""
    given, model = prepared.spec.inputs[0], prepared.config.model
    if isinstance(model, TrainableConfig) and model.freeze != "none":
        yield from _of_freezing(model, run, prepared.config.trainer.max_epochs)
    if isinstance(model, PretrainedConfig) and isinstance(model.input_size, int):
        side, size = model.input_size, given.shape[1:]
        if size != (side, side):
            yield f"model.arch={model.arch} takes pictures of {side}x{side}: those of {size[0]}x{size[1]} are resized"
    if given.kind == "image" and isinstance(model, RECURRENT):
        channels, height, width = given.shape
        yield f"model={model.kind} reads the {height} rows of an image as steps, of {channels * width} numbers each"
    if run.augmentation is not None:
        yield f"while training, samples are augmented: {run.augmentation}"
    if multiplies_back_slowly(run.arithmetic, run.model):
        yield (
            "trainer.precision=fp16: this processor has no fp16 for the gradients of convolutions, which take many "
            "times as long as in fp32; trainer.precision=auto takes what is quick"
        )
    if prepared.fits:
        yield f"{prepared.fits}: a larger batch takes fewer steps, not better ones; optimizer.lr may have to grow"
    if step == 0 and (told := gradients.warning(run)) is not None:
        yield f"before training, {told}"


def _of_freezing(model: TrainableConfig, run: Run, epochs: int) -> Iterator[str]:
    if model.weights == NO_WEIGHTS and model.from_run is None:
        yield f"model.freeze={model.freeze} keeps first values that nobody has learned: model.weights is none"
    if model.unfreeze_after is None or run.frozen is None:
        return
    late = [name for name, first in run.frozen.opens.items() if first is not None and first >= epochs]
    if model.unfreeze_after >= epochs:
        yield f"model.unfreeze_after={model.unfreeze_after} does not come within trainer.max_epochs={epochs}"
    elif late:
        told = f"model.unfreeze_layers={model.unfreeze_layers} does not end within trainer.max_epochs={epochs}"
        yield f"{told}: {len(late)} of {len(run.frozen.opens)} frozen tensors never learn"
