"""A sweep that is killed goes on, and comes to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweep.kills import check_same, killed, sweep

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time


def test_a_sweep_that_is_killed_five_times_ends_as_one_that_was_not(tmp_path: Path) -> None:
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    whole = sweep(tmp_path / "whole")
    assert whole.wait() == 0
    assert killed(tmp_path / "killed", times=5, seed=0) == 5
    check_same(tmp_path / "killed", tmp_path / "whole")  # it asserts what has to be the same
