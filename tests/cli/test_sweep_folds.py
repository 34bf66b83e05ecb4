"""A sweep whose trials are cross-validated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnkit.cli import main

QUICK = ["name=mine", "data=wine", "cv.folds=3", "model.hidden=[4],[16]", "trainer.max_epochs=8", "trainer.plots=false"]
FOLDER = Path("outputs/mine/sweep")


def test_trials_rank_by_their_folds_and_the_winner_alone_is_trained_beyond_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", "-m", *QUICK]) == 0
    facts = json.loads((FOLDER / "sweep.json").read_text())
    for trial in facts["trials"]:
        means = json.loads((FOLDER / trial["folder"] / "cv.json").read_text())["metrics"]
        assert trial["metrics"]["val/accuracy"] == means["accuracy"]["mean"]
        assert trial["metrics"]["val/accuracy_sd"] == means["accuracy"]["sd"]
    best = max(facts["trials"], key=lambda trial: trial["metrics"]["val/accuracy"])
    assert facts["best"] == best["folder"]
    trained = [trial["folder"] for trial in facts["trials"] if (FOLDER / trial["folder"] / "checkpoints").exists()]
    assert trained == [best["folder"]]
    err = capsys.readouterr().err
    assert "2 trials, ranked by val/accuracy over 3 folds" in err
    assert f"{best['metrics']['val/accuracy']:.4f} ± {best['metrics']['val/accuracy_sd']:.4f}" in err
    assert f"the winner on the test set: accuracy {facts['test']['test/accuracy']:.4f}" in err
    assert main(["train", "-m", *QUICK]) == 0
    again = json.loads((FOLDER / "sweep.json").read_text())
    assert (again["best"], again["test"]) == (facts["best"], facts["test"])
    assert [trial["metrics"] for trial in again["trials"]] == [trial["metrics"] for trial in facts["trials"]]
    assert main(["eval", str(FOLDER), "--no-plots"]) == 0


def test_without_a_test_part_the_winner_is_trained_and_not_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "data.test_fraction=null"]) == 0
    assert json.loads((FOLDER / "sweep.json").read_text())["test"] == {}
    assert "on the test set" not in capsys.readouterr().err


def test_folds_and_a_pruner_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "hydra.sweeper.pruner=median"]) == 2
    assert "compares single trainings, but cv.folds=3" in capsys.readouterr().err
    assert main(["tune", "data=wine", "cv.folds=3"]) == 2
    assert "cv.folds has none" in capsys.readouterr().err


def test_batches_as_large_as_memory_bears_and_trials_side_by_side_do_not_go_together(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "-m", "data=wine", "seed=0,1", "hydra.sweeper.jobs=2", "batching.auto_batch_size=true"]
    assert main(words) == 2
    err = capsys.readouterr().err
    assert "batching.auto_batch_size takes what memory there is, but 2 trials run at once" in err
    assert "hint: hydra.sweeper.jobs=1, or batching.batch_size=N" in err


def test_folds_are_no_runs_of_their_own_in_a_list_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=wine", "cv.folds=3", "model.hidden=[4]", "trainer.max_epochs=2"]) == 0
    capsys.readouterr()
    assert main(["runs", "ls", "--by-seed"]) == 0
    assert "cv.fold=" not in capsys.readouterr().out
    assert main(["runs", "ls", "--by-seed", "--all"]) == 0
    assert "cv.fold=" in capsys.readouterr().out
