"""Checkpoints on disk: committed by one rename, verified by SHA-256 before anything is parsed."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from nnkit.errors import CheckpointError, StorageError
from nnkit.storage import (
    json_bytes,
    make_folder,
    read_bytes,
    read_json,
    remove_folder,
    remove_temporaries,
    write_files,
    write_folder,
)
from nnkit.train.packed import unpacked

WEIGHTS, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"
FORMAT = 1
UNREADABLE = (StorageError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_STEP = re.compile(r"^step-\d{8,18}$")


def step_folder(checkpoints: Path, step: int) -> Path:
    """Return the folder of the checkpoint after `step` steps."""
    return checkpoints / f"step-{step:08d}"


def write(
    folder: Path, weights: Mapping[str, Tensor], state: Mapping[str, Any] | None, *, best: int | None = None
) -> None:
    """Write one checkpoint; it is there as a whole when this returns, or not at all.

    Args:
        folder: must not exist yet, or hold the very same step.
        weights: the weights that were, or would be, validated, by name, with buffers.
        state: all else that a resume needs, as plain containers and tensors; None for a checkpoint of weights alone.
        best: the step of the best weights so far; they are kept as long as this checkpoint.

    Raises:
        StorageError: the file system refused; nothing is left of the attempt.
    """
    files = {WEIGHTS: safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in weights.items()})}
    if state is not None:
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        files[STATE] = buffer.getvalue()
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    manifest = {"format": FORMAT, "torch": str(torch.__version__), "best": best, "sha256": sums}
    make_folder(folder.parent)
    if folder.exists():
        remove_folder(folder)
    write_folder(folder, {**files, MANIFEST: (json.dumps(manifest, indent=2) + "\n").encode()})


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint. Raises: CheckpointError where they are missing or damaged."""
    data = _verified(folder, WEIGHTS)
    try:
        return safetensors.torch.load(data)
    except Exception as error:  # beside a SafetensorError, what follows from types and shapes that it has not looked at
        raise CheckpointError(f"{folder / WEIGHTS} is damaged: {error}") from error


def read_state(folder: Path) -> dict[str, Any]:
    """Return the state of a checkpoint; plain containers and tensors only, no code is run.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    data = _verified(folder, STATE)
    try:
        return unpacked(data)
    except ValueError as error:
        raise CheckpointError(f"{folder / STATE} is damaged: {error}") from error


def _verified(folder: Path, name: str) -> bytes:
    try:
        wanted = read_json(folder / MANIFEST)["sha256"][name]
        data = read_bytes(folder / name)
    except UNREADABLE as error:
        raise CheckpointError(f"checkpoint {folder} is damaged: {error}") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise CheckpointError(f"checkpoint {folder} is damaged: {name} is not what was written (SHA-256 differs)")
    return data


def point(checkpoints: Path, names: Mapping[str, int]) -> None:
    """Let `best`, `last` or both name a step each. Raises: StorageError."""
    write_files(checkpoints, {name: json_bytes({"step": step}) for name, step in names.items()})


def pointed(checkpoints: Path, name: str) -> Path:
    """Return the folder that `best` or `last` names. Raises: CheckpointError where it does not."""
    path = checkpoints / name
    try:
        return step_folder(checkpoints, int(read_json(path)["step"]))
    except UNREADABLE as error:
        raise CheckpointError(
            f"{path} does not name a checkpoint: {error}", hint="was the run stopped before its first save?"
        ) from error


def steps(checkpoints: Path) -> list[int]:
    """Return the steps of all checkpoints, in order."""
    return sorted(int(path.name[5:]) for path in checkpoints.glob("step-*") if _STEP.match(path.name))


def newest(checkpoints: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any], list[str]]:
    """Return the newest checkpoint that can be resumed: folder, weights, state, and which newer ones were skipped.

    Raises:
        CheckpointError: there is none.
    """
    skipped: list[str] = []
    for step in reversed(steps(checkpoints)):
        folder = step_folder(checkpoints, step)
        if not (folder / STATE).exists() and (folder / MANIFEST).exists() and not _lists_state(folder):
            continue  # the best weights alone
        try:
            return folder, read_weights(folder), read_state(folder), skipped
        except CheckpointError as error:
            skipped += [problem.text for problem in error.problems]
    detail = f": {'; '.join(skipped)}" if skipped else ""
    raise CheckpointError(f"{checkpoints} has no checkpoint to go on from{detail}", hint="start a new run")


def _lists_state(folder: Path) -> bool:
    try:
        return STATE in read_json(folder / MANIFEST)["sha256"]
    except UNREADABLE:
        return True


def prune(checkpoints: Path, *, newest: int, keep_last: int) -> None:
    """Remove all but the last `keep_last` checkpoints that can be resumed and the best weights that each of them names.

    What lies behind step `newest` goes, too: a run that went on from an older checkpoint has left it behind.

    Raises:
        StorageError: the file system refused.
    """
    remove_temporaries(checkpoints)
    found = steps(checkpoints)
    resumable = [step for step in found if step <= newest and (step_folder(checkpoints, step) / STATE).exists()]
    kept = {name for step in resumable[-keep_last:] for name in (step, _best_of(step_folder(checkpoints, step)))}
    for step in found:
        if step not in kept:
            remove_folder(step_folder(checkpoints, step))


def _best_of(folder: Path) -> int | None:
    try:
        best: int | None = read_json(folder / MANIFEST)["best"]
    except UNREADABLE:
        return None
    return best
