"""`nnkit train -m` with a name, and `nnkit resume SWEEP`: a sweep goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nnkit.cli import main
from nnkit.lock import FolderLock

QUICK = ["name=mine", "data=iris", "model.hidden=[8]", "trainer.max_epochs=2"]
FOLDER = Path("outputs/mine/sweep")


def facts() -> dict[str, Any]:
    return dict(json.loads((FOLDER / "sweep.json").read_text()))


def events() -> list[tuple[str, int]]:
    lines = (FOLDER / "journal.jsonl").read_text().splitlines()[1:]
    return [(entry["event"], entry["trial"]) for entry in map(json.loads, lines)]


def test_the_same_words_run_no_finished_trial_again(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == str(FOLDER.absolute())
    before, first = facts(), events()
    assert main(words) == 0
    assert "2 of 2 trials have ended before" in capsys.readouterr().err
    assert (facts(), events()) == (before, first)


def test_a_trial_that_is_gone_is_run_again_and_those_that_stopped_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "trainer.checkpoint_every=2", "trainer.keep_last=9", "optimizer.lr=0.1,0.01,0.001"]
    assert main(words) == 0
    before = facts()
    gone, stopped = (FOLDER / trial["folder"] for trial in before["trials"][:2])
    shutil.rmtree(gone)
    lost = json.loads((stopped / "run.json").read_text())
    for name in ("metrics", "reason", "ended", "epochs", "steps", "seconds", "best"):
        lost.pop(name)
    (stopped / "run.json").write_text(json.dumps({**lost, "status": "running"}))
    *_, before_last, last = sorted((stopped / "checkpoints").glob("step-*"))
    shutil.rmtree(last)
    (stopped / "checkpoints" / "last").write_text(json.dumps({"step": int(before_last.name[5:])}))
    capsys.readouterr()
    assert main(["resume", str(FOLDER)]) == 0
    assert "1 of 3 trials have ended before" in capsys.readouterr().err
    assert [trial["metrics"] for trial in facts()["trials"]] == [trial["metrics"] for trial in before["trials"]]
    assert events()[6:] == [("start", 0), ("end", 0), ("start", 1), ("end", 1)]


def test_last_goes_on_with_a_sweep_that_has_trials_left(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "optimizer=sgd", "optimizer.lr=1e9,0.1,0.01"]
    assert main([*words, "hydra.sweeper.fail_fast=true"]) == 9
    assert len(facts()["trials"]) == 1
    assert main(["resume", "last", "hydra.sweeper.fail_fast=false"]) == 9
    assert [trial["status"] for trial in facts()["trials"]] == ["failed", "completed", "completed"]
    capsys.readouterr()
    assert main(["resume", "last"]) == 0  # nothing is left: last is the best run, and that has ended
    assert capsys.readouterr().out.strip() == str((FOLDER / facts()["best"]).absolute())


def test_failed_trials_are_tried_again_on_request_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["train", "-m", *QUICK, "optimizer=sgd", "optimizer.lr=1e9,0.1"]
    assert main(words) == 9
    assert main(words) == 9
    assert "1 of them failed (hydra.sweeper.retry_failed=true)" in capsys.readouterr().err
    assert events().count(("start", 0)) == 1
    assert main(["resume", str(FOLDER), "--retry-failed"]) == 9
    assert events().count(("start", 0)) == 2
    assert events().count(("start", 1)) == 1


def test_trials_counts_the_total_and_may_grow(capsys: pytest.CaptureFixture[str]) -> None:
    space = ["hydra/sweeper=random", "optimizer.lr=interval(0.001,0.1)"]
    assert main(["train", "-m", *QUICK, *space, "hydra.sweeper.trials=2"]) == 0
    first = [trial["changed"] for trial in facts()["trials"]]
    assert main(["resume", str(FOLDER), "hydra.sweeper.trials=4"]) == 0
    assert [trial["changed"] for trial in facts()["trials"]][:2] == first
    assert len(facts()["trials"]) == facts()["planned"] == 4
    assert [event for event, _ in events()].count("start") == 4


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["model.hidden=[9]"], "model.hidden is [9]; in this sweep it was [8]"),
        (["optimizer.lr=0.1,0.2"], "optimizer.lr is swept over 0.1,0.2; in this sweep it was 0.1,0.01"),
        (["trainer.max_epochs=3"], "trainer.max_epochs is 3; in this sweep it was 2"),
        (["hydra.sweeper.objective=val/loss"], "hydra.sweeper.objective is val/loss; in this sweep it was auto"),
        (["hydra/sweeper=random", "hydra.sweeper.trials=2"], "begun with hydra/sweeper=grid, not random"),
    ],
)
def test_another_sweep_of_the_same_name_is_refused_with_a_diff(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]) == 0
    before = events()
    capsys.readouterr()
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01", *words]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "hint: hydra.sweeper.jobs and timeout_s may change; for anything else choose another name=NAME" in err
    assert events() == before


@pytest.mark.parametrize("words", [["trainer.threads=1"], ["hydra.sweeper.jobs=2"], ["tags=[x]"]])
def test_what_touches_no_result_may_change(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]) == 0
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01", *words]) == 0


def test_a_sweep_folder_in_use_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    FOLDER.mkdir(parents=True)
    with FolderLock(FOLDER):
        assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]) == 6
    assert f"{FOLDER.absolute()} is in use" in capsys.readouterr().err


def test_a_journal_that_was_torn_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]
    assert main(words) == 0
    journal = FOLDER / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])
    assert main(words) == 0
    assert "2 of 2 trials have ended before" in capsys.readouterr().err


def test_a_sweep_that_is_interrupted_saves_its_trials_and_goes_on(tmp_path: Path) -> None:
    words = ["name=mine", "data=iris", "trainer.max_epochs=100000", "trainer.patience=null", "seed=0,1,2,3"]
    command = [sys.executable, "-m", "nnkit", "train", "-m", *words, "hydra.sweeper.jobs=2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and len(list(FOLDER.glob("*/metrics.jsonl"))) < 2:
            pass
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert out.strip() == str(FOLDER.absolute())
    assert "stopped after 0 of 4 trials" in err
    assert "ranked" not in err
    assert not [line for line in err.splitlines() if line != line.rstrip()]
    assert f"hint: nnkit resume {FOLDER.absolute()}" in err
    assert [json.loads(path.read_text())["status"] for path in FOLDER.glob("*/run.json")] == ["interrupted"] * 2


def test_resume_composes_nothing_that_a_strangers_folder_names_as_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    journal = FOLDER / "journal.jsonl"
    head, *rest = journal.read_text().splitlines()
    plan = json.loads(head)
    plan["words"] += ["activation=code", "activation.code=os.path:join"]
    journal.write_text("\n".join([json.dumps(plan), *rest]) + "\n")
    capsys.readouterr()
    assert main(["resume", str(FOLDER)]) == 2
    err = capsys.readouterr().err
    assert "--trust" in err
    assert "os.path:join" in err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--retry"], "--retry cannot change in a sweep that has begun"),
        (["optimizer.lr=0.5"], "hint: hydra.sweeper.jobs=N, hydra.sweeper.timeout_s=N, --retry-failed; a trial"),
        (["hydra.sweeper.seed=1"], "hydra.sweeper.seed is not a setting of hydra/sweeper=grid"),
        (["hydra.sweeper.seeds=2"], "hydra.sweeper.seeds is 2; in this sweep it was 1"),
    ],
)
def test_words_that_a_sweep_does_not_take_are_told(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]) == 0
    assert main(["resume", str(FOLDER), *words]) == 2
    assert text in capsys.readouterr().err


def test_a_sweep_from_a_place_that_is_gone_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("there").mkdir()
    monkeypatch.chdir("there")
    assert main(["train", "-m", *QUICK, "seed=0,1", "output_dir=../outputs"]) == 0
    monkeypatch.chdir("..")
    Path("there").rmdir()
    assert main(["resume", str(FOLDER)]) == 2
    assert "the sweep was begun in" in capsys.readouterr().err


def test_other_data_is_not_mixed_into_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    def write(slope: float) -> None:
        rows = "".join(f"{k},{slope * k},{'ab'[k % 2]}\n" for k in range(60))
        Path("my.csv").write_text("x,z,y\n" + rows)

    words = ["train", "-m", "name=mine", "data=table", "data.path=my.csv", "data.target=y", "trainer.max_epochs=1"]
    words += ["hydra/sweeper=random", "optimizer.lr=interval(0.01,0.1)", "model.hidden=[4]", "data.test_fraction=0.2"]
    write(1.5)
    assert main([*words, "hydra.sweeper.trials=1"]) == 0
    write(2.5)
    assert main([*words, "hydra.sweeper.trials=2"]) == 3
    assert "has changed since the sweep began" in capsys.readouterr().err


def test_a_trial_that_was_trained_for_longer_by_itself_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]
    assert main(words) == 0
    assert main(["resume", str(FOLDER / facts()["trials"][0]["folder"]), "trainer.max_epochs=5"]) == 0
    assert main(words) == 2
    assert "trial 0 was trained with trainer.max_epochs=5, and this sweep has 2" in capsys.readouterr().err


def test_fewer_trials_than_have_begun_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    space = ["hydra/sweeper=random", "optimizer.lr=interval(0.001,0.1)"]
    assert main(["train", "-m", *QUICK, *space, "hydra.sweeper.trials=2"]) == 0
    assert main(["resume", str(FOLDER), "hydra.sweeper.trials=1"]) == 2
    assert "2 trials of this sweep have begun, and 1 are asked for" in capsys.readouterr().err


def test_the_code_that_a_trials_folder_names_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "-m", *QUICK, "trainer.checkpoint_every=2", "optimizer.lr=0.1,0.01"]
    assert main(words) == 0
    folder = FOLDER / facts()["trials"][0]["folder"]
    config = (folder / "config.yaml").read_text()
    Path("evil.py").write_text("open('evil', 'w').close()\n")
    changed = config.replace("activation:\n  kind: relu\n", "activation:\n  kind: code\n  code: evil:Net\n")
    assert changed != config
    (folder / "config.yaml").write_text(changed)
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "status": "interrupted"}))
    assert main(["resume", str(FOLDER)]) == 0
    assert not Path("evil").exists()


@pytest.mark.parametrize("name", ["mine", "mine/sweep", "outputs/mine/sweep"])
def test_a_sweep_goes_on_by_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "optimizer.lr=0.1,0.01"]) == 0
    assert main(["resume", name]) == 0
    assert "2 of 2 trials have ended before" in capsys.readouterr().err


def test_a_sweep_that_was_stopped_before_its_first_trial_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    FOLDER.mkdir(parents=True)
    (FOLDER / "lock").touch()
    assert main(["resume", str(FOLDER)]) == 2
    assert "it was stopped before anything had begun: the same words start it" in capsys.readouterr().err
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0


def test_a_mistyped_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    assert main(["resume", "mien"]) == 2
    assert "hint: did you mean outputs/mine?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"words": ["hydra.launcher.setup=[id]"]}, "hydra.launcher.setup=[id] would run programs (in "),
        ({"config_dirs": ["/x"]}, "the sweep was begun with configs of its own, /x (in "),
        ({"config_name": "mine"}, "the sweep was begun with configs of its own, mine (in "),
        ({"folder": "."}, "says that it was begun in ., which is no absolute path"),
    ],
)
def test_a_journal_starts_no_programs_and_brings_no_configs(
    changes: dict[str, Any], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    journal = FOLDER / "journal.jsonl"
    first, *lines = journal.read_text().splitlines()
    journal.write_text("\n".join([json.dumps({**json.loads(first), **changes}), *lines, ""]))
    assert main(["resume", str(FOLDER)]) == 2
    err = capsys.readouterr().err
    assert text in err
    assert "--trust" in err


def test_a_sweep_that_leads_elsewhere_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, "seed=0,1"]) == 0
    trial = next(path.parent for path in FOLDER.glob("*/run.json"))
    (trial / "run.log").unlink()
    (trial / "run.log").symlink_to(Path("own").absolute())
    assert main(["resume", str(FOLDER)]) == 2
    assert "run.log is a link out of the run, which no run has made" in capsys.readouterr().err


def test_options_beside_a_sweep_are_taken_where_the_user_is_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Path("configs/experiment/own.yaml").absolute()
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ntags: [own]\n")
    assert main(["train", "-m", *QUICK, "experiment=own", "seed=0,1"]) == 0
    assert main(["resume", str(FOLDER)]) == 0
    folder, here = FOLDER.absolute(), Path.cwd()
    monkeypatch.chdir(here.parent)
    assert main(["resume", str(folder)]) == 2
    text = f"the sweep would take options from {here.resolve() / 'configs'}; go there (cd {here.resolve()})"
    assert text in capsys.readouterr().err
    assert main(["resume", str(folder), "--trust"]) == 0
    journal = folder / "journal.jsonl"
    first, *lines = journal.read_text().splitlines()
    journal.write_text("\n".join([json.dumps({**json.loads(first), "folder": str(folder)}), *lines, ""]))
    assert main(["resume", str(folder)]) == 2
    assert f"begun in {folder}, which lies in its own folder" in capsys.readouterr().err


def test_a_launcher_that_came_since_starts_with_trust_alone(capsys: pytest.CaptureFixture[str]) -> None:
    own = Path("configs/experiment/own.yaml").absolute()
    own.parent.mkdir(parents=True)
    own.write_text("# @package _global_\ntags: [own]\n")
    assert main(["train", "-m", *QUICK, "experiment=own", "seed=0,1"]) == 0
    launcher = Path("configs/hydra/launcher/own.yaml")
    launcher.parent.mkdir(parents=True)
    launcher.write_text("_target_: hydra._internal.core_plugins.basic_launcher.BasicLauncher2\n")
    own.write_text("# @package _global_\ndefaults: [{override /hydra/launcher: own}]\ntags: [own]\n")
    assert main(["resume", str(FOLDER)]) == 2
    assert "hydra._internal.core_plugins.basic_launcher.BasicLauncher2 would run programs" in capsys.readouterr().err
