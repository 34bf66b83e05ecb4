"""Checkpoints on disk: committed by one rename, verified by SHA-256 before anything is parsed.

The manifest has the sums of the files and one of its own, and a pointer has that of its manifest: no bit is uncovered.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import safetensors.torch
import torch
from torch import Tensor

from nnkit.errors import CheckpointError, StorageError
from nnkit.packed import unpacked
from nnkit.regular import LARGEST_JSON, json_of
from nnkit.storage import (
    discard_folder,
    json_bytes,
    make_folder,
    read_bytes,
    remove_temporaries,
    write_files,
    write_folder,
)

WEIGHTS, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"
FORMAT = 2  # 1: neither the manifest nor a pointer had a sum
CHECK = "check"
UNREADABLE = (StorageError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
_STEP = re.compile(r"^step-\d{8,18}$")


@final
class NewerCheckpointError(CheckpointError):
    """A checkpoint is whole, but of a newer nnkit: it is not passed over, for what follows would remove it."""


def sealed(content: Mapping[str, Any]) -> bytes:
    """Return plain data as JSON with one more member, `check`: the SHA-256 of the JSON without it."""
    return json_bytes({**content, CHECK: hashlib.sha256(json_bytes(dict(content))).hexdigest()})


def _unsealed(data: bytes) -> dict[str, Any]:
    """Return what `sealed` was given. Raises: ValueError, KeyError, TypeError where a single bit of it differs."""
    content = dict(json_of(data))
    del content[CHECK]
    if sealed(content) != data:
        raise ValueError("it is not what was written (its check differs)")
    return content


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
    if folder.exists():  # of a save that was cut short, or damaged
        discard_folder(folder)
    write_folder(folder, {**files, MANIFEST: sealed(manifest)})


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


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint: format, torch, best, sha256.

    Raises:
        CheckpointError: it is missing or damaged.
        NewerCheckpointError: it is of a newer format.
    """
    try:
        data = read_bytes(folder / MANIFEST, LARGEST_JSON)
        form = json_of(data)["format"]
        if form > FORMAT:
            _refuse_newer(folder, data, form)
        manifest: dict[str, Any] = json_of(data) if form == 1 else _unsealed(data)
        dict(manifest["sha256"]), int(manifest["best"] or 0)
    except UNREADABLE as error:
        raise CheckpointError(f"checkpoint {folder} is damaged: {MANIFEST}: {error}") from error
    return manifest


def _refuse_newer(folder: Path, data: bytes, form: int) -> None:
    """Refuse a manifest of a newer format; one that contradicts its own check is a damaged one of this format.

    Raises:
        NewerCheckpointError: it is newer.
        ValueError: it is damaged.
    """
    if CHECK in json_of(data):
        _unsealed(data)
    text = f"checkpoint {folder} has format {form}, newer than this nnkit's {FORMAT}"
    raise NewerCheckpointError(text, hint="update nnkit")


def _verified(folder: Path, name: str) -> bytes:
    manifest = read_manifest(folder)
    try:
        wanted = manifest["sha256"][name]
        data = read_bytes(folder / name)
    except UNREADABLE as error:
        raise CheckpointError(f"checkpoint {folder} is damaged: {error}") from error
    if hashlib.sha256(data).hexdigest() != wanted:
        raise CheckpointError(f"checkpoint {folder} is damaged: {name} is not what was written (SHA-256 differs)")
    return data


def point(checkpoints: Path, names: Mapping[str, int]) -> None:
    """Let `best`, `last` or both name a step each, whose checkpoint is there. Raises: StorageError."""
    write_files(checkpoints, {name: sealed(_named(checkpoints, step)) for name, step in names.items()})


def _named(checkpoints: Path, step: int) -> dict[str, Any]:
    data = read_bytes(step_folder(checkpoints, step) / MANIFEST)
    return {"format": FORMAT, "step": step, "manifest": hashlib.sha256(data).hexdigest()}


def pointed(checkpoints: Path, name: str) -> Path:
    """Return the folder that `best` or `last` names.

    Raises:
        CheckpointError: it names none, is damaged, or its checkpoint is another one, or damaged.
    """
    path = checkpoints / name
    try:
        data = read_bytes(path, LARGEST_JSON)
        is_first = json_of(data).keys() == {"step"}  # of format 1
        named = json_of(data) if is_first else _unsealed(data)
        folder = step_folder(checkpoints, int(named["step"]))
    except UNREADABLE as error:
        hint = "" if path.exists() else "was the run stopped before its first save?"
        raise CheckpointError(f"{path} does not name a checkpoint: {error}", hint=hint) from error
    manifest = read_manifest(folder)
    is_meant = manifest["format"] == 1 if is_first else named == _named(checkpoints, named["step"])
    if not is_meant:
        raise CheckpointError(f"{path} does not name a checkpoint: {folder} is not the one that it was written for")
    return folder


def steps(checkpoints: Path) -> list[int]:
    """Return the steps of all checkpoints, in order."""
    return sorted(int(path.name[5:]) for path in checkpoints.glob("step-*") if _STEP.match(path.name))


def newest(checkpoints: Path, before: int | None = None) -> tuple[Path, dict[str, Tensor], dict[str, Any], list[str]]:
    """Return the newest checkpoint that can be resumed: folder, weights, state, and which newer ones were skipped.

    Args:
        checkpoints: folder of all of them.
        before: only those of fewer steps; None for all.

    Raises:
        CheckpointError: there is none.
        NewerCheckpointError: one that had to be passed over is of a newer nnkit, and not damaged.
    """
    skipped: list[str] = []
    for step in reversed(resumable(checkpoints)):
        if before is not None and step >= before:
            continue
        folder = step_folder(checkpoints, step)
        try:
            _check_best(checkpoints, folder)
            return folder, read_weights(folder), read_state(folder), skipped
        except NewerCheckpointError:
            raise
        except CheckpointError as error:
            skipped += [problem.text for problem in error.problems]
    detail = f": {'; '.join(skipped)}" if skipped else ""
    raise CheckpointError(f"{checkpoints} has no checkpoint to go on from{detail}", hint="start a new run")


def _check_best(checkpoints: Path, folder: Path) -> None:
    """Check the best weights that a checkpoint counts on. Raises: CheckpointError."""
    best = read_manifest(folder)["best"]
    try:
        if best is not None:
            _verified(step_folder(checkpoints, best), WEIGHTS)
    except NewerCheckpointError:
        raise
    except CheckpointError as error:
        raise CheckpointError(f"checkpoint {folder} has lost its best weights: {error}") from error


def resumable(checkpoints: Path) -> list[int]:
    """Return the steps of the checkpoints that are more than the best weights alone, or damaged, in order."""
    return [step for step in steps(checkpoints) if _lists_state(step_folder(checkpoints, step))]


def _lists_state(folder: Path) -> bool:
    try:
        return STATE in read_manifest(folder)["sha256"]
    except CheckpointError:
        return True


def prune(checkpoints: Path, *, newest: int, keep_last: int) -> None:
    """Remove all but the last `keep_last` checkpoints that can be resumed and the best weights that each of them names.

    What lies behind step `newest` goes, too: a run that went on from an older checkpoint has left it behind.

    Raises:
        StorageError: the file system refused.
    """
    remove_temporaries(checkpoints)
    found = steps(checkpoints)
    whole = [step for step in found if step <= newest and (step_folder(checkpoints, step) / STATE).exists()]
    kept = {name for step in whole[-keep_last:] for name in (step, _best_of(step_folder(checkpoints, step)))}
    for step in found:
        if step not in kept:
            discard_folder(step_folder(checkpoints, step))


def _best_of(folder: Path) -> int | None:
    try:
        best: int | None = read_manifest(folder)["best"]
    except CheckpointError:
        return None
    return best
