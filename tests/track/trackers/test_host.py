"""The process of a tracker: what it does with messages, and what it tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.track.trackers.host import serve
from tests.track.trackers.read_back import RECORDS, lines, scalars, start_of


def test_a_training_that_dies_leaves_whole_events_and_an_end(tmp_path: Path) -> None:
    half = b'{"do": "write", "step": 20, "ep'
    serve("tensorboard", [*lines(start_of(tmp_path), *RECORDS), half], pytest.fail)
    assert [step for step, _ in scalars(tmp_path)["val/loss"]] == [5, 10, 15]


def test_a_problem_is_told_once_and_later_events_count(tmp_path: Path) -> None:
    told: list[str] = []
    bad = {**RECORDS[0], "values": {"val/loss": "high"}}
    serve("tensorboard", lines(start_of(tmp_path), bad, bad, RECORDS[1]), told.append)
    assert len(told) == 1
    assert "TypeError" in told[0]
    assert [step for step, _ in scalars(tmp_path)["val/loss"]] == [10]


def test_a_tracker_that_cannot_begin_is_told_and_done(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").touch()
    told: list[str] = []
    serve("tensorboard", lines(start_of(tmp_path), *RECORDS), told.append)
    assert len(told) == 1
    assert "cannot make folder" in told[0]


def test_no_message_at_all_is_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    serve("tensorboard", [], told.append)
    assert list(tmp_path.iterdir()) == []
