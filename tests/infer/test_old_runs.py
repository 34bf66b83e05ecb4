"""Runs that older versions left behind still answer, as those versions answered, and go on."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.finished import command, copy_of, facts_of

OF_FORMAT_2 = Path(__file__).parent.parent / "fixtures" / "run-format-2"  # never to be written into
ROWS = "size,town\n0.9,Oslo\n-1.5,Rome\n0.2,Paris\n,Bern\n"
# What the version that trained the run said of these rows.
SECOND = [0.34669304, 0.46163887, 0.47183773, 0.46717125]


def test_a_run_of_format_2_predicts_what_it_predicted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("new.csv").write_text(ROWS)
    code, out, _ = command(capsys, "predict", copy_of(OF_FORMAT_2), "new.csv", "--proba", "-o", "-")
    assert code == 0
    found = [float(row["probability_yes"]) for row in csv.DictReader(out.splitlines())]
    assert found == pytest.approx(SECOND, abs=1e-6)


def test_a_run_of_format_2_evaluates_to_its_own_figures(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(OF_FORMAT_2)
    (folder / "config.yaml").write_text(
        (folder / "config.yaml").read_text().replace("/home/user/houses.csv", str(folder / "houses.csv"))
    )
    code, out, _ = command(capsys, "eval", folder, "--json", "--no-plots")
    assert code == 0
    assert f'"accuracy": {facts_of(folder)["metrics"]["test/accuracy"]}' in out


def test_a_run_of_format_2_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(OF_FORMAT_2)
    words = (f"data.path={folder / 'houses.csv'}", "trainer.max_epochs=5", "trainer.threads=1")
    code, _, err = command(capsys, "resume", folder, *words)
    assert code == 0, err
    assert facts_of(folder)["epochs"] == 5
