"""Checkpoints: whole or not there, and refused when a bit is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from nnkit.errors import CheckpointError, StorageError
from nnkit.train import checkpoints
from nnkit.train.checkpoints import MANIFEST, STATE, WEIGHTS
from tests.trained import is_equal

WEIGHTS_SAVED = {"a.weight": torch.arange(12.0).view(3, 4), "steps": torch.tensor(3)}
STATE_SAVED = {"step": 3, "best": None, "loss": 0.5, "nested": {"x": [torch.ones(2), (1, "two")]}}


def written(
    folder: Path, step: int = 3, *, state: dict[str, Any] | None = STATE_SAVED, best: int | None = None
) -> Path:
    place = checkpoints.step_folder(folder / "checkpoints", step)
    checkpoints.write(place, WEIGHTS_SAVED, state, best=best)
    return place


def flip(path: Path, where: int) -> None:
    data = bytearray(path.read_bytes())
    data[where] ^= 0x10
    path.write_bytes(bytes(data))


def with_true_sum(place: Path, name: str, data: bytes) -> None:
    """Put other content in place of a file, and its sum into the manifest."""
    (place / name).write_bytes(data)
    manifest = json.loads((place / MANIFEST).read_text())
    manifest["sha256"][name] = hashlib.sha256(data).hexdigest()
    del manifest["check"]
    (place / MANIFEST).write_bytes(checkpoints.sealed(manifest))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let every write behind `size` bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    place = written(tmp_path)
    assert is_equal(checkpoints.read_weights(place), WEIGHTS_SAVED)
    assert is_equal(checkpoints.read_state(place), STATE_SAVED)
    assert place.name == "step-00000003"


def test_any_program_can_read_the_weights(tmp_path: Path) -> None:
    assert is_equal(safetensors.torch.load_file(written(tmp_path) / WEIGHTS), WEIGHTS_SAVED)


def test_manifest_has_the_sums_that_anyone_can_compute(tmp_path: Path) -> None:
    place = written(tmp_path, best=2)
    manifest = json.loads((place / MANIFEST).read_text())
    sums = {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in (WEIGHTS, STATE)}
    check = manifest.pop("check")
    assert manifest == {"format": 2, "torch": str(torch.__version__), "best": 2, "sha256": sums}
    assert check == hashlib.sha256((json.dumps(manifest, indent=2) + "\n").encode()).hexdigest()


def test_same_step_is_written_again(tmp_path: Path) -> None:
    written(tmp_path, state=None)
    assert is_equal(checkpoints.read_state(written(tmp_path)), STATE_SAVED)


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_flipped_bit_is_refused(tmp_path: Path, name: str, share: float) -> None:
    place = written(tmp_path)
    flip(place / name, int(share * (place / name).stat().st_size))
    read = checkpoints.read_weights if name == WEIGHTS else checkpoints.read_state
    with pytest.raises(CheckpointError, match=f"{name} is not what was written"):
        read(place)


def test_checkpoint_of_format_1_is_read_though_its_manifest_has_no_sum(tmp_path: Path) -> None:
    place = written(tmp_path)
    manifest = json.loads((place / MANIFEST).read_text())
    del manifest["check"]
    (place / MANIFEST).write_text(json.dumps({**manifest, "format": 1}))
    (place.parent / "best").write_text('{"step": 3}')
    assert checkpoints.pointed(place.parent, "best") == place
    assert is_equal(checkpoints.newest(place.parent)[2], STATE_SAVED)
    (place / MANIFEST).write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(CheckpointError, match=r"step-00000003 is damaged: manifest.json: 'check'"):
        checkpoints.read_weights(place)


@pytest.mark.parametrize("change", [{"format": 1, "best": "x"}, {"format": 1, "sha256": None}, {"format": "2"}])
def test_manifest_of_no_sense_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    place = written(tmp_path)
    (place / MANIFEST).write_text(json.dumps({**json.loads((place / MANIFEST).read_text()), **change}))
    with pytest.raises(CheckpointError, match=r"step-00000003 is damaged: manifest.json: "):
        checkpoints.newest(place.parent)


def test_newer_format_is_told(tmp_path: Path) -> None:
    place = written(tmp_path)
    (place / MANIFEST).write_bytes(checkpoints.sealed({"format": 3}))
    with pytest.raises(CheckpointError, match=r"step-00000003 has format 3, newer than this nnkit's 2") as caught:
        checkpoints.read_weights(place)
    assert caught.value.problems[0].hint == "update nnkit"


@pytest.mark.parametrize("newer", [3, 10])
def test_newer_format_is_not_passed_over_for_an_older_checkpoint(tmp_path: Path, newer: int) -> None:
    """Nor is one whose best weights are of a newer format: what went on from the older one would remove both."""
    for step in (2, 3):
        written(tmp_path, step)
    place = written(tmp_path, 10, best=3)
    (place.parent / f"step-{newer:08d}" / MANIFEST).write_bytes(checkpoints.sealed({"format": 3}))
    with pytest.raises(checkpoints.NewerCheckpointError, match="format 3, newer than this nnkit's 2") as caught:
        checkpoints.newest(place.parent)
    assert caught.value.problems[0].hint == "update nnkit"


def test_a_flipped_bit_that_makes_another_format_of_it_is_damage(tmp_path: Path) -> None:
    written(tmp_path, 3)
    place = written(tmp_path, 10)
    manifest = (place / MANIFEST).read_bytes()
    (place / MANIFEST).write_bytes(manifest.replace(b'"format": 2', b'"format": 3'))
    folder, _, _, skipped = checkpoints.newest(place.parent)
    assert (folder.name, len(skipped)) == ("step-00000003", 1)


def test_checkpoint_whose_best_weights_are_damaged_is_passed_over(tmp_path: Path) -> None:
    written(tmp_path, 3, best=3)
    written(tmp_path, 10, best=8)
    place = written(tmp_path, 8, state=None)
    assert checkpoints.newest(place.parent)[0].name == "step-00000010"
    flip(place / WEIGHTS, -1)
    folder, _, _, skipped = checkpoints.newest(place.parent)
    assert folder.name == "step-00000003"
    assert "step-00000008 is damaged: model.safetensors" in skipped[0]


@pytest.mark.parametrize("name", [WEIGHTS, STATE, MANIFEST])
def test_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    place = written(tmp_path)
    (place / name).write_bytes((place / name).read_bytes()[:-5])
    with pytest.raises(CheckpointError, match=r"step-00000003 is damaged"):
        checkpoints.newest(place.parent)


@pytest.mark.parametrize("name", [WEIGHTS, STATE, MANIFEST])
def test_missing_file_is_refused(tmp_path: Path, name: str) -> None:
    place = written(tmp_path)
    (place / name).unlink()
    with pytest.raises(CheckpointError, match=rf"is damaged: .*cannot read .*{name}"):
        checkpoints.newest(place.parent)


def test_pickled_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(tmp_path / "owned"),))

    place = written(tmp_path)
    torch.save({"step": Hostile()}, tmp_path / "hostile.pt")
    with_true_sum(place, STATE, (tmp_path / "hostile.pt").read_bytes())
    with pytest.raises(CheckpointError, match=r"state.pt is damaged: Weights only load failed"):
        checkpoints.read_state(place)
    assert not (tmp_path / "owned").exists()


def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    place = written(tmp_path)
    with_true_sum(place, WEIGHTS, b"not tensors")
    with pytest.raises(CheckpointError, match=r"model.safetensors is damaged"):
        checkpoints.read_weights(place)


def test_pointer_names_a_step(tmp_path: Path) -> None:
    place = written(tmp_path, 12)
    checkpoints.point(place.parent, {"best": 12})
    pointer = json.loads((place.parent / "best").read_text())
    sum_of_manifest = hashlib.sha256((place / MANIFEST).read_bytes()).hexdigest()
    assert (pointer["step"], pointer["manifest"]) == (12, sum_of_manifest)
    assert checkpoints.pointed(place.parent, "best") == place


def test_pointer_at_another_checkpoint_of_the_same_step_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path, 12).parent
    checkpoints.point(folder, {"best": 12})
    written(tmp_path, 12, best=3)
    with pytest.raises(CheckpointError, match=r"step-00000012 is not the one that it was written for"):
        checkpoints.pointed(folder, "best")
    (folder / "best").write_text('{"step": 12}')  # as format 1 had it
    with pytest.raises(CheckpointError, match=r"step-00000012 is not the one that it was written for"):
        checkpoints.pointed(folder, "best")


@pytest.mark.parametrize("text", [None, "", "[]", '{"step": "x"}', '{"other": 1}', '{"step": null}', "7"])
def test_pointer_that_names_nothing_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "best").write_text(text)
    with pytest.raises(CheckpointError, match=r"best does not name a checkpoint"):
        checkpoints.pointed(tmp_path, "best")


def test_newest_is_taken_and_weights_alone_are_passed_over(tmp_path: Path) -> None:
    written(tmp_path, 3)
    written(tmp_path, 10)
    written(tmp_path, 11, state=None)
    folder, weights, state, skipped = checkpoints.newest(tmp_path / "checkpoints")
    assert (folder.name, skipped) == ("step-00000010", [])
    assert is_equal((weights, state), (WEIGHTS_SAVED, STATE_SAVED))
    assert checkpoints.steps(tmp_path / "checkpoints") == [3, 10, 11]


@pytest.mark.parametrize("name", [WEIGHTS, STATE, MANIFEST])
def test_older_checkpoint_is_taken_for_a_damaged_one(tmp_path: Path, name: str) -> None:
    written(tmp_path, 3)
    place = written(tmp_path, 10)
    (place / name).write_bytes(b"x")
    folder, _, _, skipped = checkpoints.newest(place.parent)
    assert folder.name == "step-00000003"
    assert len(skipped) == 1
    assert "step-00000010 is damaged" in skipped[0]


def test_nothing_but_a_damaged_manifest_is_told(tmp_path: Path) -> None:
    place = written(tmp_path)
    (place / STATE).unlink()
    (place / MANIFEST).write_text("{")
    with pytest.raises(CheckpointError, match=r"no checkpoint to go on from: checkpoint .*step-00000003 is damaged"):
        checkpoints.newest(place.parent)


def test_no_checkpoint_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"{tmp_path} has no checkpoint to go on from"):
        checkpoints.newest(tmp_path)


def test_prune_keeps_the_last_ones_and_the_best_of_each(tmp_path: Path) -> None:
    for step, best in ((1, None), (2, 1), (4, 1), (6, 5), (8, 5)):
        written(tmp_path, step, best=best)
    written(tmp_path, 5, state=None)
    folder = tmp_path / "checkpoints"
    (folder / ".tmp-step-00000009-1").mkdir()
    (folder / ".tmp-last-1").write_text("half")
    checkpoints.prune(folder, newest=8, keep_last=3)
    assert checkpoints.steps(folder) == [1, 4, 5, 6, 8]
    checkpoints.prune(folder, newest=8, keep_last=1)
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000005", "step-00000008"]


def test_prune_removes_what_lies_behind_the_newest(tmp_path: Path) -> None:
    for step in (3, 5, 9):
        written(tmp_path, step)
    checkpoints.prune(tmp_path / "checkpoints", newest=5, keep_last=1)
    assert checkpoints.steps(tmp_path / "checkpoints") == [5]


def test_prune_bears_a_damaged_manifest(tmp_path: Path) -> None:
    (written(tmp_path, 3) / MANIFEST).write_text("{")
    checkpoints.prune(tmp_path / "checkpoints", newest=3, keep_last=1)
    assert checkpoints.steps(tmp_path / "checkpoints") == [3]


def test_file_in_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot make folder .*checkpoints: File exists \(errno 17\)"):
        written(tmp_path)


def test_full_disk_leaves_nothing_of_the_attempt(tmp_path: Path) -> None:
    place = written(tmp_path)
    with files_of_at_most(200), pytest.raises(StorageError, match=r"cannot write .*step-00000004.*\(errno 27\)"):
        written(tmp_path, 4)
    assert [path.name for path in place.parent.iterdir()] == ["step-00000003"]
    assert is_equal(checkpoints.read_state(place), STATE_SAVED)


def test_what_is_no_step_is_none(tmp_path: Path) -> None:
    for name in ("step-00000007", "step-evil", "step-7", "step-00000007-x"):
        (tmp_path / name).mkdir()
    assert checkpoints.steps(tmp_path) == [7]


@pytest.mark.parametrize("step", ["1e999", "[]", "null", "9" * 5000, '"../../x"'])
def test_a_pointer_to_nothing_is_told(step: str, tmp_path: Path) -> None:
    (tmp_path / "best").write_text(f'{{"step": {step}}}')
    with pytest.raises(CheckpointError, match="best does not name a checkpoint"):
        checkpoints.pointed(tmp_path, "best")
