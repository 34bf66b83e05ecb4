"""A sweep some of whose trials break."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from nnkit.cli import main

QUICK = ["name=broken", "data=iris", "model.hidden=[4]", "trainer.max_epochs=2"]
OWN = ["activation=code", "activation.code=tests.own_trials:Breaking"]
FOLDER = Path("outputs/broken/sweep")


def trials() -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / "sweep.json").read_text())["trials"])


@pytest.mark.parametrize("jobs", [1, 2])
def test_three_of_ten_broken_trials_leave_seven_results_and_three_reasons(
    jobs: int, capsys: pytest.CaptureFixture[str]
) -> None:
    how = "activation.kwargs.how=not,raises,diverges,memory"
    words = [*QUICK, *OWN, how, "seed=0,1,2,3", f"hydra.sweeper.jobs={jobs}", "hydra.sweeper.max_failures=99"]
    assert main(["train", "-m", *words]) == 9
    captured = capsys.readouterr()
    assert captured.out.strip() == str(FOLDER.absolute())
    by_how = {how: [t for t in trials() if t["changed"]["activation.kwargs.how"] == how] for how in ("not", "diverges")}
    assert [trial["status"] for trial in by_how["not"]] == ["completed"] * 4
    assert "training loss became nan" in by_how["diverges"][0]["error"]
    for numbers, how, reason in (
        ("4, 5, 6, 7", "raises", "ZeroDivisionError: the user's own mistake"),
        ("12, 13, 14, 15", "memory", "out of memory with batching.batch_size"),
    ):
        told = f"error: 4 trials ({numbers}; the first: activation.kwargs.how={how} seed=0) failed for one cause: "
        assert told in captured.err
        assert captured.err.count(reason) == 2  # as it happens, and at the end
    assert "hint: a smaller batching.batch_size" in captured.err
    with (FOLDER / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16
    assert [row["status"] for row in rows].count("failed") == 12
    assert all(row["error"] for row in rows if row["status"] == "failed")
    assert [row["rank"] for row in rows[:4]] == ["1"] * 4
    traceback = next(FOLDER.glob("004-*")) / "run.log"
    assert "ZeroDivisionError" in traceback.read_text()


def test_a_process_that_is_killed_costs_its_trial_alone(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, *OWN, "activation.kwargs.how=not,killed", "seed=0,1", "hydra.sweeper.jobs=2"]
    assert main(["train", "-m", *words]) == 9
    assert "its process was killed by SIGKILL; out of memory?" in capsys.readouterr().err
    assert [trial["status"] for trial in trials()] == ["completed", "completed", "failed", "failed"]
    killed = FOLDER / trials()[2]["folder"] / "run.json"
    assert json.loads(killed.read_text())["status"] == "failed"


def test_a_sweep_without_a_finished_trial_has_no_winner(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", *QUICK, *OWN, "activation.kwargs.how=raises,diverges"]) == 9
    assert json.loads((FOLDER / "sweep.json").read_text())["best"] is None
    assert not (FOLDER / "best.yaml").exists()
    assert main(["eval", str(FOLDER)]) == 2
    assert "has no finished trial" in capsys.readouterr().err


def test_trials_that_fail_for_one_cause_are_told_once_with_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = tmp_path / "gone.pth"
    assert main(["train", "-m", *QUICK, f"model.weights={weights}", "seed=0,1,2,3,4,5,6,7,8,9"]) == 9
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith(("error", "hint"))]
    assert told == [
        f"error: 10 trials (0, 1, 2, 3, 4, 5, 6, 7 and 2 more; the first: seed=0) failed for one cause: "
        f"model.weights={weights} is not there",
        "hint: model.weights=FILE, a .safetensors or .pth file",
    ]


def test_a_trial_that_never_began_says_when_it_was_started(capsys: pytest.CaptureFixture[str]) -> None:
    words = [*QUICK, "model.weights=none,gone.pth", "trainer.plots=false"]
    assert main(["train", "-m", *words]) == 9
    failed = json.loads((FOLDER / trials()[1]["folder"] / "run.json").read_text())
    assert failed["exit_code"] == 4
    assert failed["hint"].startswith("model.weights=FILE")
    capsys.readouterr()
    assert main(["runs", "--json"]) == 0
    (sweep,) = json.loads(capsys.readouterr().out)
    first = json.loads((FOLDER / trials()[0]["folder"] / "run.json").read_text())
    assert sweep["started"] == first["started"] <= failed["started"]
