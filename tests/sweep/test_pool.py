"""Trials in processes of their own: what they leave behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.data.mask_pairs import write_pairs


def test_processes_that_are_ended_leave_no_semaphores(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, 20)
    words = ["data=masks", f"data.images={root / 'images'}", f"data.masks={root / 'masks'}", "model=unet"]
    words += ["model.channels=[4]", "trainer.max_epochs=1", "trainer.plots=false", "seed=1,2", "hydra.sweeper.jobs=2"]
    ran = subprocess.run([sys.executable, "-m", "nnkit", "train", "-m", *words], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "leaked" not in ran.stderr
