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
from nnkit.assemble import Prepared, count_parameters
from nnkit.config.cross_sequences import RECURRENT
from nnkit.config.schema import Config
from nnkit.train import gradients
from nnkit.train.run import Run

_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")


def facts_of(run: Run, prepared: Prepared) -> dict[str, Any]:
    """Return what is known of a run before its first step."""
    return {**facts_of_data(prepared), "parameters": count_parameters(run.model)}


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
        "data_fingerprint": prepared.source.fingerprint(),
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
    return f"{config.model.kind} on {config.data.kind}"


def now() -> str:
    """Return the time in ISO 8601, with its zone."""
    return datetime.now().astimezone().isoformat(timespec="microseconds")


def told_before(run: Run, prepared: Prepared, step: int) -> Iterator[str]:
    """Yield what the user should know before the training, which begins after so many steps."""
    given, model = prepared.spec.inputs[0], prepared.config.model
    if given.kind == "image" and isinstance(model, RECURRENT):
        channels, height, width = given.shape
        yield f"model={model.kind} reads the {height} rows of an image as steps, of {channels * width} numbers each"
    if run.augmentation is not None:
        yield f"while training, samples are augmented: {run.augmentation}"
    if prepared.fits:
        yield f"{prepared.fits}: a larger batch takes fewer steps, not better ones; optimizer.lr may have to grow"
    if step == 0 and (told := gradients.warning(run)) is not None:
        yield f"before training, {told}"
