"""What one sees of a sweep on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.cli.sweep_view import View
from nnkit.sweep.trials import Outcome, Trial, identity
from nnkit.sweep.work import Score
from tests.trained import config_of


def trial(number: int) -> Trial:
    config = config_of(f"seed={number}")
    return Trial(number, {"seed": str(number), "optimizer.lr": "0.1"}, config, {}, identity(config))


def test_the_live_table_has_what_has_ended_and_what_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    done = Outcome(trial(0), Path("x"), "completed", {"val/accuracy": 0.9, "val/loss": 0.2}, 7, 1.0)
    failed = Outcome(trial(2), Path("x"), "failed", error="its process was killed by SIGKILL")
    with View(4, None) as view:
        view.began([], 4)
        for number in range(3):
            view.started(trial(number))
        view.scored(Score(1, 5, "val/accuracy", "max", 0.75))
        view.ended(done, [done])
        view.ended(failed, [done, failed])
        table = view._table()
    from rich.console import Console

    Console(stderr=True).print(table)
    err = capsys.readouterr().err
    assert "2 of 4 trials have ended" in err
    assert "0.9000" in err
    assert "0.7500" in err
    assert "runs" in err
    assert "trial 2: seed=2 optimizer.lr=0.1: failed, 0 epochs, 0.0 s  its process was killed by SIGKILL" in err


def test_a_sweep_on_a_terminal_prints_no_line_a_trial(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    words = ["data=iris", "model.hidden=[4]", "trainer.max_epochs=1", "trainer.plots=false", "seed=0,1"]
    assert main(["train", "-m", *words]) == 0
    captured = capsys.readouterr()
    assert "trial 0: seed=0" not in captured.err
    assert "2 trials, ranked by val/accuracy" in captured.err
    assert captured.out.count("\n") == 1
