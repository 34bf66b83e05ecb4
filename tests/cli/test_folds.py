"""`nnkit train cv.folds=…` on the terminal, stopped and resumed."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnkit.cli import main

QUICK = ["data=iris", "model.hidden=[8]", "trainer.max_epochs=2", "trainer.plots=false"]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def lines_of(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(name).read_text().splitlines()))


def test_a_line_a_fold_a_table_and_the_folder_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", *QUICK, "cv.folds=2", "cv.repeats=2"], capsys)
    assert code == 0
    folder = Path(out.removesuffix("\n"))
    facts = json.loads((folder / "run.json").read_text())
    metrics = facts["metrics"]
    lines = [line for line in err.splitlines() if line.startswith("[fold ")]
    for number, line in enumerate(lines):
        fold = json.loads((folder / f"fold-{number}" / "run.json").read_text())
        head = f"[fold {number % 2 + 1}/2, repeat {number // 2 + 1}/2] accuracy {fold['metrics']['test/accuracy']:.4f}"
        assert line.startswith(f"{head}, 2 epochs, ")
    assert len(lines) == 4
    assert "2 folds x 2 repeats (stratified), on the rows held out" in err
    assert f"{metrics['cv/accuracy']:.4f} ± {metrics['cv/accuracy_sd']:.4f}" in err
    assert f"{metrics['test/accuracy']:.4f}" in err
    assert "accuracy_sd" not in err
    assert err.count("data: 150 rows") == 1
    assert err.count("mlp on iris: ") == 1
    assert not list(folder.glob("**/plots"))
    code, out, _ = run(["eval", "last", "--no-plots"], capsys)
    assert (code, Path(out.strip()).parent) == (0, folder)
    assert run(["eval", str(folder / "fold-1"), "--no-plots"], capsys)[0] == 0
    evaluated = json.loads((folder / "fold-1" / "evaluation-test.json").read_text())
    held_out = json.loads((folder / "fold-1" / "run.json").read_text())["metrics"]["test/accuracy"]
    assert evaluated["metrics"]["accuracy"] == pytest.approx(held_out)


def test_without_a_refit_there_are_the_folds_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", "data=diabetes", *QUICK[1:], "cv.folds=2", "cv.final=none"], capsys)
    assert code == 0
    assert "completed (folds) after 4 epochs" in err
    assert "samples/s" not in err
    assert run(["eval", out.strip()], capsys)[0] == 4
    code, again, err = run(["resume", out.strip()], capsys)
    assert (code, again) == (0, out)
    assert "all folds of the run have ended" in err


def test_a_table_is_shown_once_and_its_plots_are_those_of_the_refit(capsys: pytest.CaptureFixture[str]) -> None:
    rows = "".join(f"{k % 7},{k % 5},{'ab'[k % 2]},{k // 2}\n" for k in range(80))
    Path("x.csv").write_text(f"u,v,y,g\n{rows}")
    words = ["data=table", "data.path=x.csv", "data.target=y", "data.group=g", "cv.folds=3", *QUICK[1:3]]
    code, out, err = run(["train", *words], capsys)
    assert code == 0
    assert err.count("distinct") == 1
    assert "3 folds (group)" in err
    assert [path.parent.parent for path in Path(out.strip()).glob("**/*.png")] == [Path(out.strip())]


def test_an_ensemble_of_a_table_is_evaluated_and_predicts_but_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{k % 7},{'uvw'[k % 3] if k % 11 else ''},{'ab'[k % 2]}" for k in range(60)]
    Path("x.csv").write_text("\n".join(["n,c,y", *rows, ""]))
    words = ["data=table", "data.path=x.csv", "data.target=y", "cv.folds=3", "cv.final=ensemble", *QUICK[1:]]
    code, out, err = run(["train", *words, "trainer.decision_threshold=0.4"], capsys)
    assert code == 0
    folder = Path(out.strip())
    metrics = json.loads((folder / "run.json").read_text())["metrics"]
    assert f"{metrics['test/accuracy']:.4f}" in err
    assert run(["eval", str(folder), "--no-plots"], capsys)[0] == 0
    evaluated = json.loads((folder / "evaluation-test.json").read_text())["metrics"]
    assert evaluated["accuracy"] == pytest.approx(metrics["test/accuracy"])
    assert run(["predict", str(folder), "x.csv", "--proba", "-o", "all.csv"], capsys)[0] == 0
    parts = []
    for fold in range(3):
        assert run(["predict", str(folder / f"fold-{fold}"), "x.csv", "--proba", "-o", f"{fold}.csv"], capsys)[0] == 0
        parts.append([float(line["probability_b"]) for line in lines_of(f"{fold}.csv")])
    for line, *each in zip(lines_of("all.csv"), *parts, strict=True):
        assert float(line["probability_b"]) == pytest.approx(sum(each) / 3, abs=1e-6)
        assert line["prediction"] == ("b" if sum(each) / 3 > 0.4 else "a")
    code, _, err = run(["export", str(folder), "--format", "safetensors"], capsys)
    assert code == 2
    assert "is an ensemble of 3 networks, but a file holds one" in err
    code, _, err = run(["eval", str(folder), "--split", "val"], capsys)
    assert code == 2
    assert "have learned from each other's val rows" in err


def test_a_dry_run_shows_the_sizes_of_the_folds(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["train", *QUICK, "cv.folds=3", "cv.repeats=7", "--dry-run"], capsys)
    assert code == 0
    assert "fold 0      68 train, 12 validation, 40 held out\n" in out
    assert "fold 19 " in out
    assert "fold 20 " not in out
    assert "… and 1 more" in out
    assert not Path("outputs").exists()


def test_wrong_folds_end_before_anything_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", *QUICK, "cv.folds=60"], capsys)
    assert (code, out) == (2, "")
    assert "error: cv.folds=60 is more than the smallest class: setosa of data=iris has 40 rows" in err
    assert "hint: cv.folds=40" in err
    assert not list(Path("outputs").glob("**/run.json"))


def test_a_signal_stops_at_the_next_step_and_resume_trains_no_fold_twice(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=digits", "model.hidden=[8]", "trainer.max_epochs=60", "trainer.patience=null", "trainer.plots=false"]
    command = [sys.executable, "-m", "nnkit", "train", *words, "cv.folds=3", "trainer.threads=1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not list(Path("outputs").glob("**/fold-1/metrics.jsonl")) and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    folder = Path(out.strip())
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["status"], facts["reason"]) == ("interrupted", "signal")
    assert f"nnkitresume{folder}" in "".join(err.split())
    first = (folder / "fold-0" / "run.json").read_bytes()
    assert not (folder / "fold-2").exists()

    code, _, err = run(["resume", str(folder), "trainer.max_epochs=90", "optimizer.lr=1e-2"], capsys)
    assert code == 2
    assert "trainer.max_epochs cannot change: the folds that have ended were trained with another" in err
    assert "optimizer.lr cannot change: the folds that have ended were trained with another" in err

    code, out, err = run(["resume", "last", "batching.eval_batch_size=64"], capsys)
    assert (code, Path(out.strip())) == (0, folder)
    assert [line[:10] for line in err.splitlines() if line.startswith("[fold ")] == ["[fold 2/3]", "[fold 3/3]"]
    assert (folder / "fold-0" / "run.json").read_bytes() == first
    for facts in (json.loads((place / "run.json").read_text()) for place in (folder, folder / "fold-1")):
        assert [each["changes"] for each in facts["resumed"]] == [{"batching.eval_batch_size": 64}]
    metrics = json.loads((folder / "run.json").read_text())["metrics"]
    assert metrics["cv/accuracy"] == json.loads((folder / "cv.json").read_text())["metrics"]["accuracy"]["mean"]
    code, _, err = run(["resume", str(folder)], capsys)
    assert code == 0
    assert "the run has ended" in err
