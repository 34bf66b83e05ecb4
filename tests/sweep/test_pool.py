"""Trials in processes of their own: what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from nnkit.sweep.pool import Pool
from nnkit.sweep.work import Terms
from nnkit.train.stopping import Signals
from tests.data.mask_pairs import write_pairs


def test_processes_that_are_ended_leave_no_semaphores(tmp_path: Path) -> None:
    root = write_pairs(tmp_path, 20)
    words = ["data=masks", f"data.images={root / 'images'}", f"data.masks={root / 'masks'}", "model=unet"]
    words += ["model.channels=[4]", "trainer.max_epochs=1", "trainer.plots=false", "seed=1,2", "hydra.sweeper.jobs=2"]
    ran = subprocess.run([sys.executable, "-m", "nnkit", "train", "-m", *words], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert "leaked" not in ran.stderr


def test_a_pool_that_is_interrupted_at_any_place_lets_python_end() -> None:
    code = "from tests.sweep.test_pool import interrupted; interrupted('ending'); interrupted('starting')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    numbers = ran.stdout.split()
    assert len(numbers) == 4
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(int(number), 0)


KEPT: list[Pool] = []  # by whoever looks at a traceback: the processes are not told that nobody listens any more


def interrupted(where: str) -> None:
    """Interrupt a pool of idle processes as it ends the first, or as it has started the second; write their numbers."""
    pool = Pool(2, [], Signals(), Terms(None, None), lambda _: False)
    KEPT.append(pool)
    try:
        with pytest.MonkeyPatch.context() as patch:
            pool._hired()
            if where == "starting":
                patch.setattr(Connection, "close", _interrupt)
            pool._hired()
            patch.setattr(pool._workers[1].process, "kill", _interrupt)
            pool.close()
    except KeyboardInterrupt:
        sys.stdout.write(" ".join(str(worker.process.pid) for worker in pool._workers) + " ")


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
