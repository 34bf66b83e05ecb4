"""What a sweep leaves behind, several processes, pruning, launchers, and spaces in files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnkit.cli import main

QUICK = ["name=mine", "data=iris", "model.hidden=[8]", "trainer.max_epochs=2", "trainer.plots=false"]
FOLDER = Path("outputs/mine/sweep")


def facts() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "sweep.json").read_text()))


def run_of(trial: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads((FOLDER / trial["folder"] / "run.json").read_text()))


def test_the_table_and_the_best_settings_stand_in_files(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["regularization=dropout", "regularization.dropout=0.1", "optimizer.lr=0.1,0.001", "model=linear,mlp"]
    assert main(["train", "-m", *QUICK[:2], *QUICK[3:], *words[2:]]) == 0
    with (FOLDER / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    scores = [float(row["val/accuracy"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert rows[0]["folder"] == facts()["best"]
    best = yaml.safe_load((FOLDER / "best.yaml").read_text())
    assert {"override /data": "iris"} in best["defaults"]
    assert {"override /model": rows[0]["model"]} in best["defaults"]
    assert best["optimizer"] == {"lr": float(rows[0]["optimizer.lr"])}
    assert "name" not in best
    err = capsys.readouterr().err
    assert f"note: the same again: nnkit train {FOLDER.absolute()}/best.yaml" in err
    assert main(["train", str(FOLDER / "best.yaml"), "trainer.plots=false"]) == 0
    again = json.loads((Path(capsys.readouterr().out.strip()) / "run.json").read_text())
    assert again["metrics"]["val/loss"] == float(rows[0]["val/loss"])


def test_what_mattered_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    space = ["hydra/sweeper=random", "hydra.sweeper.trials=12", "optimizer.lr=tag(log, interval(1e-5,1e-1))"]
    words = ["optimizer.beta2=0.99,0.999", "hydra.sweeper.objective=val/loss"]
    assert main(["train", "-m", *QUICK[:-1], *space, *words]) == 0
    shares = facts()["importance"]
    assert sum(shares.values()) == pytest.approx(1, abs=0.001)
    assert next(iter(shares)) == "optimizer.lr"
    assert shares["optimizer.lr"] > 0.8
    assert "what made the scores differ: optimizer.lr" in capsys.readouterr().err


def test_pictures_are_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK[:-1], "optimizer.lr=0.1,0.001"]) == 0
    assert sorted(path.name for path in (FOLDER / "plots").iterdir()) == ["best_so_far.png", "slices.png"]


def test_trials_in_several_processes_give_what_one_process_gives(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01,0.001"]) == 0
    alone = [trial["metrics"] for trial in facts()["trials"]]
    assert main(["train", "-m", "name=other", *QUICK[1:], "optimizer.lr=0.1,0.01,0.001", "hydra.sweeper.jobs=2"]) == 0
    other = json.loads(Path("outputs/other/sweep/sweep.json").read_text())
    assert [trial["metrics"] for trial in other["trials"]] == alone


def test_more_trials_at_once_than_cores_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1", "hydra.sweeper.jobs=999"]) == 0
    assert "warning: hydra.sweeper.jobs=999 trials at once share" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_pruned_trial_keeps_its_folder_and_says_so(jobs: int, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["optimizer.lr=0.1,1e-6,2e-6,3e-6", "hydra.sweeper.pruner=asha", "hydra.sweeper.reduction=2"]
    assert (
        main(["train", "-m", *QUICK[:3], *QUICK[4:], "trainer.max_epochs=9", *words, f"hydra.sweeper.jobs={jobs}"]) == 0
    )
    by_lr = {trial["changed"]["optimizer.lr"]: trial for trial in facts()["trials"]}
    assert by_lr["0.1"]["status"] == "completed"
    cut = [trial for trial in facts()["trials"] if trial["status"] == "pruned"]
    assert cut
    assert all(run_of(trial)["reason"] == "pruned" and trial["epochs"] in (1, 2, 4, 8) for trial in cut)
    assert "pruned" in capsys.readouterr().err
    assert main(["resume", str(FOLDER / cut[0]["folder"])]) == 0
    assert "the run was pruned by its sweep" in capsys.readouterr().err
    assert main(["predict", str(FOLDER / cut[0]["folder"]), "nothing.csv"]) == 3


def test_a_sweep_with_a_pruner_goes_on_with_what_it_has_learned(capsys: pytest.CaptureFixture[str]) -> None:
    space = ["hydra/sweeper=random", "optimizer.lr=tag(log, interval(1e-6,1e-1))", "hydra.sweeper.pruner=asha"]
    words = ["train", "-m", *QUICK[:3], *QUICK[4:], "trainer.max_epochs=6", *space]
    assert main([*words, "hydra.sweeper.trials=8"]) == 0
    whole = [(trial["status"], trial["epochs"]) for trial in facts()["trials"]]
    words[2] = "name=parts"
    assert main([*words, "hydra.sweeper.trials=4"]) == 0
    assert main([*words, "hydra.sweeper.trials=8"]) == 0
    parts = json.loads(Path("outputs/parts/sweep/sweep.json").read_text())["trials"]
    assert [(trial["status"], trial["epochs"]) for trial in parts] == whole


@pytest.mark.parametrize("launcher", [["joblib", "hydra.launcher.n_jobs=2"], ["submitit_local"]])
def test_hydras_launchers_train_the_trials(launcher: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "optimizer.lr=0.1,0.01", f"hydra/launcher={launcher[0]}", *launcher[1:]]
    assert main(["train", "-m", *words]) == 0
    assert [trial["status"] for trial in facts()["trials"]] == ["completed"] * 2
    assert {path.name for path in Path().iterdir()} == {"outputs"}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["hydra.sweeper.pruner=asha"], "needs to hear of each validation, which a launcher does not tell"),
        (["hydra.sweeper.timeout_s=9"], "has no use where a launcher gets all trials at once"),
        (["hydra.sweeper.fail_fast=true"], "hydra.sweeper.jobs=N gives it so many at a time"),
    ],
)
def test_what_a_launcher_cannot_do_is_told(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01", "hydra/launcher=joblib", *words]) == 2
    assert text in capsys.readouterr().err


SPACE = """# @package _global_
defaults:
  - override /hydra/sweeper: random
  - override /data: iris
hydra:
  sweeper:
    trials: 3
    params: {optimizer.lr: "tag(log, interval(1e-4,1e-1))", model.hidden: "choice([4],[8])", trainer.max_epochs: 1}
"""


def test_a_space_may_stand_in_a_file_and_words_win_over_it(capsys: pytest.CaptureFixture[str]) -> None:
    Path("space.yaml").write_text(SPACE)
    assert main(["train", "-m", "space.yaml", "name=mine", "optimizer.lr=0.5", "hydra.sweeper.trials=2"]) == 0
    assert [set(trial["changed"]) for trial in facts()["trials"]] == [{"model.hidden"}] * 2
    assert run_of(facts()["trials"][0])["epochs"] == 1


def test_a_wrong_key_in_the_space_of_a_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("space.yaml").write_text(SPACE.replace("optimizer.lr", "optimizer.lrr"))
    assert main(["train", "-m", "space.yaml"]) == 2
    assert "optimizer.lrr is not a setting of optimizer=adam" in capsys.readouterr().err


def test_globs_name_the_options_of_a_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "init=glob(he_*)"]) == 0
    assert [trial["changed"]["init"] for trial in facts()["trials"]] == ["he_normal", "he_uniform"]
    for word, text in {"init=glob(nope*)": "no option fits the glob", "seed=glob(*)": "seed is a setting"}.items():
        assert main(["train", "-m", *QUICK, word]) == 2
        assert text in capsys.readouterr().err
