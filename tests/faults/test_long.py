"""A long training holds no more at its end than before."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from nnkit.train import saver
from nnkit.train.run import Run
from nnkit.train.state import TrainState
from tests.faults.long import LONG, outcomes
from tests.faults.survival import check

pytestmark = pytest.mark.usefixtures("on_one_thread")


def test_a_long_training(record_property: Callable[[str, object], None]) -> None:
    check(LONG, record_property)


def test_what_is_left_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    check_weights = Run.check_weights

    def keep(run: Run, state: TrainState) -> None:
        kept.append(bytearray(1 << 20))
        kept.append(os.open("/proc/self/stat", os.O_RDONLY))
        check_weights(run, state)

    monkeypatch.setattr(Run, "check_weights", keep)
    assert "open files: " in str(list(outcomes(24))[-1])
    monkeypatch.undo()
    monkeypatch.setattr(saver, "prune", lambda *_, **__: None)
    assert "the checkpoints are" in str(list(outcomes(8))[-1])
