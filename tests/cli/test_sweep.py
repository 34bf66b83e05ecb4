"""`nnkit train -m`."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nnkit.cli import main
from tests.faults.every_step import write_data

QUICK = ["data=iris", "model.hidden=[8]", "trainer.max_epochs=2"]


def swept(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Path, str]:
    code = main(["train", "-m", *words])
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    return code, Path(captured.out.strip()), captured.err


def test_every_combination_is_trained_and_ranked(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, err = swept(
        ["model=mlp,linear", "optimizer.lr=1e-1,1e-3", "data=iris", "trainer.max_epochs=2"], capsys
    )
    assert code == 0
    facts = json.loads((folder / "sweep.json").read_text())
    assert [trial["changed"] for trial in facts["trials"]] == [
        {"model": model, "optimizer.lr": lr} for model in ("mlp", "linear") for lr in ("0.1", "0.001")
    ]
    assert all((folder / trial["folder"] / "run.json").is_file() for trial in facts["trials"])
    scores = {t["folder"]: (-t["metrics"]["val/accuracy"], t["metrics"]["val/loss"]) for t in facts["trials"]}
    assert facts["best"] == min(scores, key=lambda name: scores[name])
    assert "4 trials, ranked by val/accuracy" in err
    assert folder.parent.name == "sweep"


def test_only_the_winner_looks_at_the_test_set(capsys: pytest.CaptureFixture[str]) -> None:
    _, folder, err = swept([*QUICK, "optimizer.lr=1e-1,1e-5"], capsys)
    facts = json.loads((folder / "sweep.json").read_text())
    looked = {
        trial["folder"]: "test/accuracy" in json.loads((folder / trial["folder"] / "run.json").read_text())["metrics"]
        for trial in facts["trials"]
    }
    assert looked == {trial["folder"]: trial["folder"] == facts["best"] for trial in facts["trials"]}
    assert f"{facts['test']['test/accuracy']:.4f}" in err


def test_what_trials_have_of_an_earlier_run_holds_for_the_test_set_and_when_the_sweep_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_data()
    words = ["data=images", "data.path=pictures", "data.cache=null", "model.hidden=[4]", "trainer.max_epochs=2"]
    assert main(["train", *words, "data.size=[6,6]", "data.scaling=none"]) == 0
    first = Path(capsys.readouterr().out.strip())
    words += [f"model.from_run={first}", "name=heirs", "optimizer.lr=1e-2,1e-5"]
    code, folder, err = swept(words, capsys)
    assert code == 0, err
    facts = json.loads((folder / "sweep.json").read_text())
    best = folder / facts["best"]
    assert main(["eval", str(best), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["metrics"]["accuracy"] == pytest.approx(facts["test"]["test/accuracy"])
    (worse,) = (folder / trial["folder"] for trial in facts["trials"] if trial["folder"] != facts["best"])
    shutil.rmtree(worse)
    code, again, err = swept(words, capsys)
    assert (code, again) == (0, folder), err
    assert (worse / "run.json").is_file()


def test_trials_equal_but_for_the_seed_are_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    _, folder, err = swept([*QUICK, "seed=0,1,2"], capsys)
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    scores = [trial["metrics"]["val/accuracy"] for trial in trials]
    assert f"{statistics.mean(scores):.4f} ± {statistics.stdev(scores):.4f}" in err
    assert len({trial["metrics"]["val/loss"] for trial in trials}) == 3


def test_a_broken_trial_is_named_and_the_others_are_complete(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=digits", "optimizer=sgd", "model.hidden=[8]", "trainer.max_epochs=1"]
    code, folder, err = swept([*words, "optimizer.lr=1e-1,1e8,1e-2,1e-3"], capsys)
    assert code == 9
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert [trial["status"] for trial in trials] == ["completed", "failed", "completed", "completed"]
    assert "error: trial 1 (optimizer.lr=100000000.0) failed: training loss became" in err
    assert json.loads((folder / trials[1]["folder"] / "run.json").read_text())["status"] == "failed"


def test_a_trial_that_does_not_fit_its_data_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, err = swept(["data=iris", "trainer.max_epochs=1", "loss=auto,bce"], capsys)
    assert code == 9
    assert "loss=bce needs one output, but data=iris has 3 classes" in err
    failed = json.loads((folder / "sweep.json").read_text())["trials"][1]["folder"]
    assert "loss=bce" in (folder / failed / "run.log").read_text()


def test_all_wrong_trials_are_reported_before_the_first_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "regularization.dropout=0.1,1.5", "optimizer.lr=1e-3,-1"]) == 2
    err = capsys.readouterr().err
    assert "regularization.dropout must be a number in [0, 1), got 1.5 (with regularization.dropout=1.5" in err
    assert "optimizer.lr must be a number > 0, got -1" in err
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("optimizer.lr=interval(1e-4,1e-1)", "optimizer.lr is an interval, which has no grid"),
        ("model=mlp,cnnn", "model=cnnn is not there"),
        ("hydra/sweeper=nope", "nope"),
        ("hydra/launcher=nope", "hydra/launcher=nope is not there"),
        ("hydra.sweeper.jbos=3", "hydra.sweeper.jbos is not a setting of hydra/sweeper=grid"),
        ("hydra.sweeper.trials=3", "hydra/sweeper=bayes and hydra/sweeper=random have it"),
        ("hydra.sweeper.objectve=val/loss", "did you mean hydra.sweeper.objective?"),
        ("hydra.sweeper.objective=val/acuracy", "hint: hydra.sweeper.objective=val/accuracy"),
        ("hydra.sweeper.seeds=0", "hydra.sweeper.seeds must be a whole number >= 1, got 0"),
        ("hydra.sweeper.fail_fast=2", "hydra.sweeper.fail_fast must be true or false, got 2"),
        ("hydra.sweep.dir=x", "output_dir=FOLDER"),
        ("hydra.sweeper.reduction=2", "hydra.sweeper.reduction is set, but nothing reads it here"),
        ("name=a,b", "name decides nothing"),
        ("optimizer.lr=shuffle(0.1,0.2)", "shuffle(…) would be another sweep each time"),
        ("optimizer.lr=choice()", "is no space to sweep over: empty choice is not legal"),
    ],
)
def test_a_space_that_grid_cannot_take_is_refused(word: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, word]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err
    assert not Path("outputs").exists()


def test_ranges_and_choices_in_hydras_syntax_are_taken(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, _ = swept(
        ["data=iris", "trainer.max_epochs=1", "model.hidden=choice([4],[8,4])", "seed=range(2)"], capsys
    )
    assert code == 0
    changed = [trial["changed"] for trial in json.loads((folder / "sweep.json").read_text())["trials"]]
    assert changed == [{"model.hidden": h, "seed": s} for h in ("[4]", "[8,4]") for s in ("0", "1")]


def test_a_sweep_is_a_run_on_the_command_line_by_its_best_trial(capsys: pytest.CaptureFixture[str]) -> None:
    _, folder, _ = swept([*QUICK, "optimizer.lr=1e-1,1e-5"], capsys)
    best = json.loads((folder / "sweep.json").read_text())["best"]
    assert main(["export", str(folder), "--format", "safetensors"]) == 0
    assert str(folder / best) in capsys.readouterr().out
    assert main(["resume", str(folder), "trainer.max_epochs=3"]) == 2
    assert "trainer.max_epochs=3 cannot change in a sweep that has begun" in capsys.readouterr().err


def test_a_dry_run_looks_at_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in (["-m", "--dry-run"], ["--dry-run", "--cfg", "job"]):
        assert main(["train", *QUICK, *flags]) == 2
        assert "--dry-run looks at one run" in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_trials_of_two_tasks_are_all_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, err = swept(["data=diabetes,iris", "trainer.max_epochs=1"], capsys)
    assert code == 0
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    assert f"val/rmse {trials[0]['metrics']['val/rmse']:.4f}" in err
    assert f"{trials[1]['metrics']['val/accuracy']:.4f}" in err


def test_a_trusted_config_may_run_code_in_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.yaml").write_text("hydra:\n  callbacks:\n    x:\n      _target_: hydra.experimental.callback.Callback\n")
    assert main(["train", "-m", "mine.yaml", *QUICK, "seed=0,1"]) == 2
    assert "pass --trust" in capsys.readouterr().err
    code, folder, _ = swept(["mine.yaml", *QUICK, "seed=0,1", "--trust"], capsys)
    assert code == 0
    assert json.loads((folder / "sweep.json").read_text())["planned"] == 2


def test_a_winner_that_cannot_be_tested_leaves_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnkit.errors import CheckpointError
    from nnkit.sweep import run

    def damaged(*_: object) -> dict[str, float]:
        raise CheckpointError("checkpoint x is damaged")

    monkeypatch.setattr(run, "look_at_test", damaged)
    code, folder, err = swept([*QUICK, "seed=0,1"], capsys)
    assert code == 9
    assert "2 trials, ranked by val/accuracy" in err
    assert "the winner could not be tested: checkpoint x is damaged" in err
    assert len(json.loads((folder / "sweep.json").read_text())["trials"]) == 2


RANDOM = ["hydra/sweeper=random", "hydra.sweeper.trials=4"]


def trials_of(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "sweep.json").read_text())["trials"])


def test_random_draws_the_same_points_for_the_same_seed(capsys: pytest.CaptureFixture[str]) -> None:
    space = ["optimizer.lr=tag(log, interval(1e-4,1e-1))", "model.hidden=choice([4],[8])"]
    found = []
    for seed in (0, 0, 1):
        code, folder, _ = swept(
            [*QUICK[:1], "trainer.max_epochs=1", *RANDOM, f"hydra.sweeper.seed={seed}", *space], capsys
        )
        assert code == 0
        found.append([trial["changed"] for trial in trials_of(folder)])
    assert found[0] == found[1] != found[2]
    assert all(1e-4 <= float(point["optimizer.lr"]) <= 1e-1 for point in found[0])
    more = [*QUICK[:1], "trainer.max_epochs=1", *RANDOM[:1], "hydra.sweeper.trials=6", *space]
    assert [trial["changed"] for trial in trials_of(swept(more, capsys)[1])][:4] == found[0]


def test_the_config_of_a_trial_has_the_number_that_was_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    _, folder, _ = swept([*QUICK, *RANDOM, "optimizer.lr=interval(0.001,0.1)"], capsys)
    for trial in trials_of(folder):
        config = yaml.safe_load((folder / trial["folder"] / "config.yaml").read_text())
        assert config["optimizer"]["lr"] == float(trial["changed"]["optimizer.lr"])


def test_each_point_is_trained_with_several_seeds(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "seed=5", "data.split_seed=${seed}", "optimizer.lr=0.1,0.01", "hydra.sweeper.seeds=2"]
    _, folder, err = swept(words, capsys)
    trials = trials_of(folder)
    assert [(t["changed"]["optimizer.lr"], t["changed"]["seed"]) for t in trials] == [
        (lr, seed) for lr in ("0.1", "0.01") for seed in ("5", "6")
    ]
    configs = [yaml.safe_load((folder / t["folder"] / "config.yaml").read_text()) for t in trials]
    assert [c["data"]["split_seed"] for c in configs] == [5, 6, 5, 6]
    assert err.count("±") == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["seed=0,1", "hydra.sweeper.seeds=2"], "trains each point with several seeds, but seed is swept over, too"),
        ([*RANDOM], "hydra/sweeper=random has nothing to draw"),
        ([*RANDOM, "seed=0,1,2"], "hydra.sweeper.trials=4 asks for more points than the space has"),
        ([*RANDOM, "optimizer.lr=interval(0.1,0.01)"], "optimizer.lr=interval(0.01,0.1)"),
        ([*RANDOM, "optimizer.lr=tag(log, interval(0,0.01))"], "needs an interval above 0"),
        ([*RANDOM, "optimizer.lr=interval(-1,-0.5)"], "optimizer.lr must be a number > 0"),
    ],
)
def test_a_space_without_sense_is_refused(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, *words]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "Traceback" not in err
    assert not Path("outputs").exists()


def test_the_objective_ranks_and_its_better_end_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    _, folder, err = swept([*QUICK, "optimizer.lr=1e-1,1e-5,1e-2", "hydra.sweeper.objective=val/loss"], capsys)
    facts = json.loads((folder / "sweep.json").read_text())
    losses = {trial["folder"]: trial["metrics"]["val/loss"] for trial in facts["trials"]}
    assert (facts["objective"], facts["mode"], facts["best"]) == (
        "val/loss",
        "min",
        min(losses, key=losses.__getitem__),
    )
    assert "3 trials, ranked by val/loss" in err


BROKEN = ["data=digits", "optimizer=sgd", "model.hidden=[8]", "trainer.max_epochs=1", "optimizer.lr=1e8,1e-1,1e9,1e-2"]


@pytest.mark.parametrize(("word", "done"), [("hydra.sweeper.fail_fast=true", 1), ("hydra.sweeper.max_failures=1", 3)])
def test_a_sweep_ends_after_too_many_failures(word: str, done: int, capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, err = swept([*BROKEN, word], capsys)
    assert code == 9
    assert len(trials_of(folder)) == done
    assert f"ended after {done} of 4 trials: {(done + 1) // 2} failed" in err


def test_no_trial_starts_after_the_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, err = swept(
        [*QUICK[:2], "trainer.max_epochs=40", "seed=0,1,2", "hydra.sweeper.timeout_s=0.02"], capsys
    )
    assert code == 0
    assert len(trials_of(folder)) == 1
    assert "ended after 1 of 3 trials: hydra.sweeper.timeout_s=0.02 was over" in err


def test_settings_of_one_model_are_swept_beside_another_model(capsys: pytest.CaptureFixture[str]) -> None:
    code, folder, _ = swept(["data=iris", "trainer.max_epochs=1", "model=linear,mlp", "model.hidden=[4],[8]"], capsys)
    assert code == 0
    assert [trial["changed"] for trial in trials_of(folder)] == [
        {"model": "linear"},
        {"model": "mlp", "model.hidden": "[4]"},
        {"model": "mlp", "model.hidden": "[8]"},
    ]


def test_a_sweep_whose_trials_fit_their_data_not_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "loss=bce", "seed=0,1"]) == 2
    assert "loss=bce needs one output" in capsys.readouterr().err
    assert main(["train", "-m", *QUICK, "hydra.sweeper.objective=val/rmse"]) == 2
    assert "hydra.sweeper.objective=val/rmse is no metric of this task (classification)" in capsys.readouterr().err
    assert main(["train", "-m", *QUICK, "cv.folds=99"]) == 2
    assert "cv.folds=99 is more than the smallest class" in capsys.readouterr().err
    assert not list(Path("outputs").glob("**/sweep*"))


@pytest.mark.parametrize("words", [["hydra.sweeper.trials=3"], ["hydra/sweeper=random"], ["space.yaml"]])
def test_what_is_for_a_sweep_is_not_taken_by_a_single_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path("space.yaml").write_text("# @package _global_\nhydra: {sweeper: {params: {seed: '1,2'}}}\n")
    assert main(["train", *QUICK, *words]) == 2
    err = capsys.readouterr().err
    assert "is for a sweep" in err
    assert "nnkit train -m" in err


def test_a_sweep_that_lacks_a_package_leaves_no_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    words = ["hydra/sweeper=bayes", "hydra.sweeper.sampler=cmaes", "optimizer.lr=interval(0.1,0.2)"]
    assert main(["train", "-m", *QUICK, *words]) == 2
    err = capsys.readouterr().err
    assert "hydra/sweeper=bayes with sampler=cmaes needs cmaes" in err
    assert "hint: pip install 'nnkit[sweep]'" in err
    assert not Path("outputs").exists()
