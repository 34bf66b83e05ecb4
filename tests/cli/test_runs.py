"""`nnkit runs`: what is printed where, what is refused, what is removed."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.cli.completion import candidates
from nnkit.lock import FolderLock
from tests.finished import command
from tests.run_folders import ROOT, made, scored, sweep

Capture = pytest.CaptureFixture[str]
TINY = ("data=iris", "model.hidden=[4]", "batching.batch_size=50", "trainer.max_epochs=2", "trainer.plots=false")


def first_words(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


@pytest.fixture
def some() -> None:
    """Two runs, one that failed, and a sweep of two trials."""
    made("a/1", {"optimizer.lr": 0.1}, metrics=scored(0.7, 0.6))
    made("a/2", {"optimizer.lr": 0.001, "name": "mine"}, model="cnn", metrics=scored(0.8, 0.7), status="stopped_early")
    made("a/3", {"seed": 1}, status="failed", metrics=None, error="training loss became nan", epochs=None)
    made("b/sweep-1/000", {"seed": 2}, metrics=scored(0.5), seconds=10.0)
    made("b/sweep-1/001", {"seed": 3}, metrics=scored(0.6, 0.55), seconds=20.0)
    sweep("b/sweep-1", best="001", planned=2, objective="val/accuracy", mode="max")


def test_real_runs_are_listed_shown_compared_and_picked(capsys: Capture) -> None:
    for seed in (0, 1):
        assert main(["train", *TINY, f"seed={seed}"]) == 0
    assert main(["train", *TINY, "optimizer=sgd", "optimizer.lr=1e30"]) == 10
    assert main(["train", "-m", *TINY, "optimizer.lr=0.01,0.02"]) == 0
    code, out, _ = command(capsys, "runs")
    assert code == 0
    heads, *lines = out.splitlines()
    words = [
        "run",
        "started",
        "status",
        "trials",
        "model",
        "data",
        "epochs",
        "val/accuracy",
        "test/accuracy",
        "seconds",
    ]
    assert heads.split() == words
    assert [line.split()[3] for line in lines] == ["completed", "failed", "completed", "completed"]
    folders = [line.split()[0] for line in lines]
    facts = json.loads((ROOT / folders[3] / "run.json").read_text())
    assert f"{facts['metrics']['val/accuracy']:.4f}" in lines[3]
    assert f"{facts['metrics']['test/accuracy']:.4f}" in lines[3]

    code, out, err = command(capsys, "runs", "show", folders[3])
    assert (code, err) == (0, "")
    assert out.startswith("mlp on iris: completed (max_epochs) after 2 epochs, 4 steps\n")
    assert (
        "nnkit train data=iris 'model.hidden=[4]' batching.batch_size=50 trainer.max_epochs=2 trainer.plots=fal" in out
    )
    assert "98 train, 22 val, 30 test" in out
    assert "cpu in fp32, " in out
    assert "warning: validation has 22 rows" in out
    assert "checkpoints/step-00000004/model.safetensors" in out
    code, out, _ = command(capsys, "runs", "show", folders[1])
    assert "error     training loss became" in out
    told = json.loads(command(capsys, "runs", "show", folders[1], "--json")[1])
    assert told["cause"].startswith("nnkit.errors.DivergenceError: training loss became")
    assert "optimizer=sgd" in told["words"]

    code, out, _ = command(capsys, "runs", "diff", folders[3], folders[2])
    assert [line.split() for line in out.splitlines()[3:5]] == [["setting", "a", "b"], ["seed", "0", "1"]]
    both = [json.loads((ROOT / folder / "run.json").read_text())["metrics"] for folder in (folders[3], folders[2])]
    line = next(line for line in out.splitlines() if line.startswith("val/loss"))
    assert line.split()[3] == f"{both[1]['val/loss'] - both[0]['val/loss']:+.4f}"

    code, out, _ = command(capsys, "runs", "best", "data=iris")
    best = Path(out.strip())
    scores = [json.loads(path.read_text()).get("metrics", {}) for path in ROOT.rglob("run.json")]
    assert json.loads((best / "run.json").read_text())["metrics"]["val/accuracy"] == max(
        found["val/accuracy"] for found in scores if found
    )
    assert command(capsys, "eval", best, "--no-plots")[0] == 0
    assert command(capsys, "eval", folders[2], "--no-plots")[0] == 0  # as ls shows it


def test_runs_alone_lists_and_so_do_its_other_names(some: None, capsys: Capture) -> None:
    expected = ["b/sweep-1", "a/3", "a/2", "a/1"]
    for words in ([], ["ls"], ["list"], ["model=mlp,cnn"], ["outputs"], ["--limit", "9"]):
        assert first_words(command(capsys, "runs", *words)[1]) == expected
    assert first_words(command(capsys, "runs", "-n", "1")[1]) == expected[:1]
    assert "1 of 4 lines; --limit 0 shows all" in command(capsys, "runs", "-n", "1")[2]


def test_trials_are_listed_on_demand(some: None, capsys: Capture) -> None:
    trials = ["b/sweep-1/001", "b/sweep-1/000"]
    assert first_words(command(capsys, "runs", "--all")[1]) == [*trials, "a/3", "a/2", "a/1"]
    for word in ("b/sweep-1", "outputs/b/sweep-1", Path("outputs/b/sweep-1").absolute()):
        assert first_words(command(capsys, "runs", "ls", word)[1]) == trials
    assert first_words(command(capsys, "runs", "ls", "b")[1]) == ["b/sweep-1"]
    assert first_words(command(capsys, "runs", "ls", "a/2")[1]) == ["a/2"]
    assert first_words(command(capsys, "runs", "ls", "b/sweep-1", "output_dir=outputs/a")[1]) == []
    Path("outputs/b/sweep-1").rename("elsewhere")
    assert first_words(command(capsys, "runs", "ls", "elsewhere")[1]) == ["001", "000"]
    assert not list(Path("elsewhere").glob(".*"))


def test_a_filter_on_trials_counts_those_that_are_meant(some: None, capsys: Capture) -> None:
    out = command(capsys, "runs", "seed=2")[1]
    assert out.splitlines()[1].split()[:6] == ["b/sweep-1", "2026-11-04", "10:00", "completed", "1", "of"]


def test_keys_of_filters_and_of_the_order_become_columns(some: None, capsys: Capture) -> None:
    heads, first, *_ = command(capsys, "runs", "optimizer.lr<1", "--sort", "val/loss", "--reverse")[1].splitlines()
    assert heads.split()[-3:] == ["optimizer.lr", "val/loss", "seconds"]
    assert "0.5000" in first
    assert first_words(command(capsys, "runs", "--all", "--sort", "test/accuracy")[1])[:2] == ["a/2", "a/1"]


def test_scores_of_several_tasks_stand_beside_their_metric(some: None, capsys: Capture) -> None:
    made("c/1", data="diabetes", metrics={"val/loss": 1.0, "val/rmse": 55.5, "test/rmse": 1234.567})
    out = command(capsys, "runs")[1]
    assert "rmse      55.5000  1234.6" in out


def test_json_and_csv_hold_everything_in_full(some: None, capsys: Capture) -> None:
    found = json.loads(command(capsys, "runs", "--json")[1])
    assert [run["run"] for run in found] == ["b/sweep-1", "a/3", "a/2", "a/1"]
    assert found[0]["trials"]["count"] == 2
    assert found[0]["folder"] == str(ROOT.absolute() / "b/sweep-1")
    assert found[3]["settings"]["optimizer.lr"] == 0.1
    assert found[3]["metrics"] == scored(0.7, 0.6)
    rows = list(csv.DictReader(io.StringIO(command(capsys, "runs", "--csv", "--all")[1])))
    assert [row["optimizer.lr"] for row in rows] == ["0.001", "0.001", "0.001", "0.001", "0.1"]
    assert rows[-1]["val/accuracy"] == "0.7"
    assert rows[2]["error"] == "training loss became nan"
    assert "trainer.patience" not in rows[0]  # the same in all runs


def test_groups_by_seed_in_every_form(capsys: Capture) -> None:
    for seed, score in enumerate((0.5, 0.7)):
        made(f"a/{seed}", {"seed": seed}, metrics=scored(score, score))
    made("a/2", {"optimizer.lr": 0.5}, metrics=scored(0.9))
    made("a/3", status="failed", metrics=None)
    code, out, err = command(capsys, "runs", "--by-seed", "--sort", "val/accuracy", "--reverse")
    assert code == 0
    assert "1 left out" in err
    lines = out.splitlines()
    assert lines[1].split()[2] == "optimizer.lr=0.001"
    assert "0.6000 ± 0.1414  0.6000 ± 0.1414" in lines[1]
    assert "0.9000" in lines[2]
    assert "±" not in lines[2]
    assert "val/loss" in command(capsys, "runs", "--by-seed", "--sort", "val/loss")[1]
    (last, first) = json.loads(command(capsys, "runs", "--by-seed", "--json")[1])
    assert first["metrics"]["val/accuracy"]["mean"] == pytest.approx(0.6)
    assert (first["n"], first["seeds"], first["runs"]) == (2, [0, 1], ["a/0", "a/1"])
    assert last["metrics"]["val/accuracy"]["sd"] is None
    rows = list(csv.DictReader(io.StringIO(command(capsys, "runs", "--by-seed", "--csv")[1])))
    assert [row["n"] for row in rows] == ["1", "2"]
    assert rows[1]["seeds"] == "0 1"


@pytest.mark.parametrize(
    ("words", "code", "text", "hint"),
    [
        (["bst"], 2, "runs bst is not a command", "did you mean nnkit runs best?"),
        (["delte"], 2, "runs delte is not a command", "did you mean nnkit runs rm?"),
        (["xyzxyz"], 2, "runs xyzxyz is not a command", "one of ls, show"),
        (["lr=1"], 2, "lr is not a filter", "did you mean optimizer.lr=1?"),
        (["--sort", "accuracy"], 2, "accuracy is not a key to sort by", "did you mean val/accuracy?"),
        (["--srot", "x"], 2, "--srot is not a flag of runs ls", "did you mean --sort?"),
        (["--limit", "few"], 2, "--limit must be a whole number, got 'few'", "--limit 20"),
        (["--json", "--csv"], 2, "--json and --csv", "leave one out"),
        (["ls", "a", "b"], 2, "ls takes one folder, got a b", "nnkit runs ls a"),
        (["output_dir=nowhere"], 2, "nowhere is not a folder", "output_dir=FOLDER"),
        (["show", "nowhere"], 2, "nowhere is not a run folder", "last"),
        (["show", "a/1", "a/2"], 2, "show takes one run", "nnkit runs diff RUN RUN"),
        (["diff", "last"], 2, "diff takes two runs, got last", "nnkit runs diff RUN last"),
        (["best", "data=wine"], 2, "there is no run to choose from", "nnkit runs ls"),
        (["best", "status=failed"], 2, "none of 1 run has finished", "nnkit runs ls"),
        (["best", "--by", "accuracy"], 2, "accuracy is not a metric", "did you mean val/accuracy?"),
        (["best", "--by", "optimizer.lr"], 2, "optimizer.lr is not a metric", ""),
        (["rm"], 2, "rm needs runs, or filters", "nnkit runs rm status=failed"),
        (["rm", "a/1", "status=failed"], 2, "rm takes runs or filters, not both", "nnkit runs rm a/1"),
        (["rm", "a/1"], 2, "rm would remove 1: ", "--yes removes"),
        (["rm", "nowhere", "-y"], 2, "nowhere is not a run or a sweep", "nnkit runs ls"),
        (["rm", "a", "-y"], 2, "a is not a run or a sweep", "nnkit runs ls"),
        (["rm", "b/sweep-1/000", "-y"], 2, "b/sweep-1/000 is a trial of a sweep", "nnkit runs rm"),
    ],
)
def test_wrong_words_have_their_message_and_their_exit_code(
    some: None, words: list[str], code: int, text: str, hint: str, capsys: Capture
) -> None:
    found, out, err = command(capsys, "runs", *words)
    assert (found, out) == (code, "")
    assert f"error: {text}" in err.replace(f"{Path.cwd()}/", "")
    assert f"hint: {hint}" in err or f"hint: {Path.cwd()}" in err or hint in err
    assert len(list(ROOT.rglob("run.json"))) == 5


def test_where_there_is_no_run_yet_nothing_is_listed_and_nothing_made(capsys: Capture) -> None:
    code, out, err = command(capsys, "runs")
    assert (code, out) == (0, "")
    assert "there is no run in" in err
    assert command(capsys, "runs", "--json")[1] == "[]\n"
    assert not ROOT.exists()
    made("a/1")
    assert "none of 1 run in" in command(capsys, "runs", "model=cnn")[2]


def test_help_is_there_for_each(capsys: Capture) -> None:
    for words in ([], ["ls"], ["rm"]):
        code, out, _ = command(capsys, "runs", *words, "--help")
        assert (code, out.startswith("usage: nnkit runs")) == (0, True)
    assert "did you mean nnkit runs best?" in command(capsys, "best")[2]
    assert "did you mean nnkit runs?" in command(capsys, "ls")[2]


def test_a_best_run_is_chosen_by_validation_or_with_a_warning(some: None, capsys: Capture) -> None:
    _, out, err = command(capsys, "runs", "best")
    assert out == f"{ROOT.absolute()}/a/2\n"
    assert "val/accuracy 0.8000, the best of 4 finished runs" in err
    _, out, err = command(capsys, "runs", "best", "model=mlp", "--by", "test/accuracy", "--json")
    assert json.loads(out)["run"] == "a/1"
    assert "no longer an honest estimate" in err


def test_a_trial_is_shown_with_its_sweep_named(some: None, capsys: Capture) -> None:
    _, out, err = command(capsys, "runs", "show", "b/sweep-1")
    assert "b/sweep-1/001" in out
    assert "a trial of the sweep" in err


def test_runs_that_differ_in_nothing_say_so(some: None, capsys: Capture) -> None:
    out = command(capsys, "runs", "diff", "a/1", "a/1")[1]
    assert "no setting, version or data differs" in out
    out = command(capsys, "runs", "compare", "a/1", "a/3")[1]
    assert [line.split() for line in out.splitlines() if line.startswith(("seed", "optimizer.lr"))] == [
        ["seed", "0", "1"],
        ["optimizer.lr", "0.1", "0.001"],
    ]
    made("c/1", data_fingerprint="0" * 64, versions={"torch": "3"})
    found = json.loads(command(capsys, "runs", "diff", "a/1", "c/1", "--json")[1])
    assert found["facts"]["versions.torch"] == [None, "3"]
    assert found["settings"]["optimizer.lr"] == [0.1, 0.001]
    assert found["metrics"]["val/accuracy"] == [0.7, 0.9]
    assert "000000000000…" in command(capsys, "runs", "diff", "a/1", "c/1")[1]


def test_damaged_files_never_end_in_a_traceback(capsys: Capture) -> None:
    folder = made("a/1", versions=3, rows=[], best="x", resumed=3, started=5, seconds="x", parameters=True)
    (folder / "data.json").write_text("[")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints/best").write_text("{}")
    code, _, err = command(capsys, "runs", "show", "a/1")
    assert (code, err) == (0, "")
    (folder / "run.json").write_text("{")
    assert "damaged" in command(capsys, "runs")[1]
    for words in (["show", "a/1"], ["diff", "a/1", "a/1"]):
        code, _, err = command(capsys, "runs", *words)
        assert code == 4
        assert "run.json is damaged, it cannot be read" in err
    (folder / "config.yaml").write_text("- 1")
    assert command(capsys, "runs", "show", "a/1")[0] == 4
    assert command(capsys, "runs", "rm", "status=damaged", "--yes")[0] == 0
    assert not folder.exists()


def test_what_a_terminal_would_obey_is_not_printed(capsys: Capture) -> None:
    made("a/\x1b[31mred", {"name": "\x1b]0;x\x07"}, title="\x1b[2J", error="\x1b[1m", status="failed", tags="\x1b")
    outs = [
        command(capsys, "runs", *words)[1]
        for words in ([], ["--csv"], ["--json"], ["show"], ["rm", "name!=x", "--dry-run"])
    ]
    assert "\x1b" not in "".join(outs)
    assert "a/?[31mred" in outs[0]


def test_removing(some: None, capsys: Capture) -> None:
    code, out, err = command(capsys, "runs", "rm", "model=mlp", "--dry-run")
    assert code == 0
    assert "3 would be removed" in err
    assert {Path(line).relative_to(ROOT.absolute()).as_posix() for line in out.splitlines()} == {
        "a/1",
        "a/3",
        "b/sweep-1",
    }
    code, out, err = command(capsys, "runs", "rm", "seed=1,2", "--yes")
    assert out == f"{ROOT.absolute()}/a/3\n"
    assert "1 trials are kept" in err
    assert command(capsys, "runs", "delete", "outputs/a/1", "a/2", "-y")[0] == 0
    assert first_words(command(capsys, "runs")[1]) == ["b/sweep-1"]
    assert command(capsys, "runs", "remove", "last", "-y")[1] == f"{ROOT.absolute()}/b/sweep-1\n"
    assert {path.name for path in ROOT.rglob("*")} == {"a", "b", ".runs-index"}
    assert command(capsys, "runs", "rm", "last", "-y")[0] == 2


def test_a_run_that_is_alive_is_not_removed_nor_anything_beside_it(some: None, capsys: Capture) -> None:
    for word, folder in (("a/1", "a/1"), ("status=completed", "b/sweep-1/001")):
        with FolderLock(ROOT / folder):
            code, out, err = command(capsys, "runs", "rm", word, "--yes")
        assert (code, out) == (6, "")
        assert f"{folder} is alive, and nothing was removed" in err
    assert len(list(ROOT.rglob("run.json"))) == 5


def test_links_and_folds_are_not_removed(some: None, capsys: Capture) -> None:
    Path("link").symlink_to(ROOT / "a/1")
    made("a/1/fold-0")
    code, _, err = command(capsys, "runs", "rm", "link", "a/1/fold-0", "--yes")
    assert code == 2
    assert "link is a link" in err
    assert "a/1/fold-0 is a fold of a run" in err
    assert command(capsys, "runs", "rm", "outputs/a/2/../1", "--yes")[0] == 0
    assert not (ROOT / "a/1").exists()


CODE = "import sys; from nnkit.cli import main; sys.exit(main(sys.argv[1:]))"


def on_a_terminal(words: list[str], typed: str = "") -> str:
    """Run the command on a terminal of its own; return all that it shows."""
    owner, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", CODE, *words], stdin=terminal, stdout=terminal, stderr=terminal, env=env
    ):
        os.close(terminal)
        if typed:
            os.write(owner, typed.encode())
        shown = b""
        while True:
            try:
                shown += os.read(owner, 65536)
            except OSError:  # the end, on Linux
                break
    os.close(owner)
    return shown.decode()


def test_a_terminal_is_asked_and_shows_a_drawn_table(some: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "remove this 1? [y/N]" in on_a_terminal(["runs", "rm", "a/1"], "n\n")
    assert (ROOT / "a/1").exists()
    on_a_terminal(["runs", "rm", "a/1"], "y\n")
    assert not (ROOT / "a/1").exists()
    for number in range(50):
        made(f"c/{number}", started=f"2027-01-01T10:00:{number:02d}+00:00")
    shown = on_a_terminal(["runs"])
    assert "┏━" in shown
    assert "40 of 53 lines; --limit 0 shows all" in shown
    assert "c/9" not in shown
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in on_a_terminal(["runs"])


def test_commands_filters_and_folders_are_completed(some: None) -> None:
    assert candidates("2", "runs", "di") == ["diff"]
    assert set(candidates("2", "runs", "sta")) == {"status=", "started="}
    assert "optimizer.lr=" in candidates("3", "runs", "optimizer.l")
    assert candidates("3", "runs", "outputs/b/") == ["outputs/b/sweep-1/"]
    assert candidates("3", "runs", "model=c") == ["model=cnn", "model=code", "model=convnext_tiny"]
