"""When to save, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nnkit.errors import CheckpointError, StorageError
from nnkit.train import checkpoints, saver
from nnkit.train.saver import Saver
from nnkit.train.state import Score, TrainState


def at(step: int, best: int | None = None) -> TrainState:
    return TrainState(100, step=step, best=None if best is None else Score(1, best, 0.5))


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.tensor([value])}


def test_a_number_saves_at_exactly_its_steps(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=1)
    assert [step for step in range(1, 13) if keeper.is_due(at(step))] == [4, 8, 12]
    keeper.save(at(4), weights(4), {})
    assert not keeper.is_due(at(4))


def test_auto_saves_once_the_last_saves_cost_is_earned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(saver, "prune", lambda *_, **__: now.__setitem__(0, now[0] + 2.0))  # a save takes two seconds
    keeper = Saver(tmp_path, every="auto", keep_last=1)
    assert not keeper.is_due(at(1))  # before the first save, one is taken to cost a fiftieth of a second
    now[0] = 101.0
    assert keeper.is_due(at(1))
    keeper.save(at(1), weights(1), {})
    now[0] = 103.0 + 50 * 2 - 0.1
    assert not keeper.is_due(at(2))
    now[0] = 103.0 + 50 * 2
    assert keeper.is_due(at(2))


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    keeper = Saver(None, every=1, keep_last=1)
    assert not keeper.is_due(at(1))
    keeper.note_best(1, weights(1))
    keeper.save(at(1, best=1), weights(1), {})
    keeper.point_best()
    keeper.resumed(1, 1)
    assert keeper.saved_step == 1
    assert keeper.best_weights == weights(1)
    assert list(tmp_path.iterdir()) == []


def test_best_weights_go_into_the_next_save(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=1)
    keeper.note_best(2, weights(2))
    assert keeper.best_weights == weights(2)
    keeper.save(at(4, best=2), weights(4), {"step": 4})
    assert keeper.best_weights is None
    assert checkpoints.read_weights(checkpoints.pointed(tmp_path, "best")) == weights(2)
    assert checkpoints.read_weights(checkpoints.pointed(tmp_path, "last")) == weights(4)
    keeper.save(at(8, best=2), weights(8), {"step": 8})
    assert checkpoints.steps(tmp_path) == [2, 8]


def test_best_of_the_saved_step_is_written_once(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=2)
    keeper.note_best(4, weights(4))
    keeper.save(at(4, best=4), weights(4), {"step": 4})
    assert checkpoints.pointed(tmp_path, "best") == checkpoints.pointed(tmp_path, "last")
    assert checkpoints.read_state(checkpoints.pointed(tmp_path, "best")) == {"step": 4}


def test_weights_are_best_when_they_are_scored_after_the_save(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every="auto", keep_last=1)
    keeper.save(at(3), weights(3), {})
    with pytest.raises(CheckpointError, match="best does not name a checkpoint"):
        checkpoints.pointed(tmp_path, "best")
    keeper.note_best(3, weights(3))
    keeper.point_best()
    assert checkpoints.read_weights(checkpoints.pointed(tmp_path, "best")) == weights(3)


def test_save_that_was_cut_short_is_put_right_on_resume(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=1)
    keeper.note_best(4, weights(4))
    keeper.save(at(4, best=4), weights(4), {})
    checkpoints.write(tmp_path / "step-00000008", weights(8), {}, best=8)  # killed before the pointers
    (tmp_path / ".tmp-last-1").write_text("half")
    again = Saver(tmp_path, every=4, keep_last=1)
    again.resumed(8, 8)
    assert {checkpoints.pointed(tmp_path, name).name for name in ("best", "last")} == {"step-00000008"}
    assert not (tmp_path / ".tmp-last-1").exists()


def test_save_after_going_back_outlives_the_damaged_newer_one(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=2)
    for step in (4, 8):
        keeper.save(at(step), weights(step), {"step": step})
    again = Saver(tmp_path, every=4, keep_last=1)
    again.resumed(4, None)
    again.save(at(6), weights(6), {"step": 6})
    assert checkpoints.steps(tmp_path) == [6]
    assert checkpoints.newest(tmp_path)[2] == {"step": 6}


def test_a_refused_save_keeps_the_best_weights_and_what_was_saved(tmp_path: Path) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=1)
    keeper.save(at(4), weights(4), {})
    keeper.note_best(6, weights(6))
    (tmp_path / "last").unlink()
    (tmp_path / "last").mkdir()  # no file can take its place
    with pytest.raises(StorageError, match=r"cannot write .*last: Is a directory"):
        keeper.save(at(8, best=6), weights(8), {})
    assert (keeper.saved_step, keeper.best_weights) == (4, weights(6))
    assert checkpoints.steps(tmp_path) == [4, 6, 8]
    (tmp_path / "last").rmdir()
    assert keeper.save(at(8, best=6), weights(8), {}) is None
    assert (keeper.saved_step, keeper.best_weights) == (8, None)
    assert checkpoints.steps(tmp_path) == [6, 8]
    assert checkpoints.read_weights(checkpoints.pointed(tmp_path, "best")) == weights(6)


def test_after_a_refused_save_auto_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    keeper = Saver(tmp_path, every="auto", keep_last=1)
    now[0] = 101.5
    assert keeper.is_due(at(1))
    keeper.note_failure()
    now[0] = 111.4
    assert not keeper.is_due(at(2))
    now[0] = 111.5
    assert keeper.is_due(at(2))
    keeper.save(at(2), weights(2), {})
    assert keeper.failed == 0


def test_what_cannot_be_removed_is_told_and_the_save_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Saver(tmp_path, every=4, keep_last=1)
    keeper.save(at(4), weights(4), {})

    def refused(*_: object, **__: object) -> None:
        raise StorageError("cannot remove step-00000004")

    with monkeypatch.context() as patch:
        patch.setattr(saver, "prune", refused)
        left = keeper.save(at(8), weights(8), {})
    assert str(left) == "cannot remove step-00000004"
    assert keeper.saved_step == 8
    assert keeper.save(at(12), weights(12), {}) is None
    assert checkpoints.steps(tmp_path) == [12]
