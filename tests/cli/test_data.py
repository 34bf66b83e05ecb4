"""`nnkit data` from its words to its exit code, and what train tells of its data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnkit.cli import main
from nnkit.cli.guard_table import headline, show_report
from nnkit.data.frame import Column, Frame
from nnkit.data.guard import examine_table
from nnkit.data.report import Repeats, TargetFacts
from nnkit.data.source import Account

CSV = Path("my data.csv")


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(autouse=True)
def csv_file(in_empty_folder: Path) -> None:
    """Write 200 rows in which `given` gives the class away, `nr` counts, and `same` says nothing."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    rows = (f"{k},{rng.normal():.3f},{labels[k] + rng.random() / 3:.3f},x,{'ab'[labels[k]]}" for k in range(200))
    CSV.write_text("nr,[a],given,same,y\n" + "\n".join(rows) + "\n")


def test_a_table_without_target_is_shown_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["data", str(CSV)], capsys)
    assert (code, out) == (0, "")
    assert "data: 200 rows; 5 columns, no target named" in err
    assert "[a]" in err  # no markup
    assert "warning: nr: a value of its own in every row" in err
    assert "warning: same: one value in all rows" in err
    assert "leak" not in err
    assert not Path("outputs").exists()


@pytest.mark.parametrize("words", [["--target", "y"], ["--target=y"], ["data.target=y"]])
def test_with_a_target_leaks_are_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["data", str(CSV), *words], capsys)
    assert (code, out) == (0, "")
    assert "data: 200 rows: 130 train, 30 val, 40 test; 2 classes" in err
    assert "warning: given (balanced accuracy 1.000) alone predicts the target" in err


def test_json_is_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["data", str(CSV), "--target", "y", "--json"], capsys)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["rows"]["in"] == found["rows"]["used"] == 200
    assert {warning["code"] for warning in found["warnings"]} == {"leakage", "id", "constant"}
    code, out, err = run(["data", str(CSV), "--json"], capsys)
    assert (code, err, json.loads(out)["task"]) == (0, "", None)


def test_each_kind_of_path_is_known_and_options_too(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    np.savez("my.npz", x=rng.normal(size=(100, 2)), y=rng.normal(size=100))
    for k in range(40):
        folder = Path("photos") / "ab"[k % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (8, 8), dtype=np.uint8)).save(folder / f"{k}.png")
    Path("my.yaml").write_text("# @package _global_\ndefaults: [override /data: wine]\n")
    for words, text in (
        (["my.npz"], "data: 100 rows: 65 train, 15 val, 20 test; y -"),
        (["photos", "data.cache=null"], "data: 40 rows: 26 train, 6 val, 8 test; 2 classes (imbalance 1.0)"),
        (["data=iris"], "3 classes"),
        (["my.yaml"], "data: 178 rows"),
        (["data=digits", "data.limit=500"], "data: 500 rows of 1,797 (1,297 over data.limit)"),
    ):
        code, out, err = run(["data", *words], capsys)
        assert (code, out) == (0, ""), err
        assert text in err


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["nowhere.csv"], 3, "error: nowhere.csv is not there"),
        (["no-*.csv"], 3, "no-*.csv"),
        (["a.csv", "b.csv"], 2, "error: data takes one path, got a.csv, b.csv"),
        (["iris"], 2, "did you mean data=iris?"),
        (["data=iriss"], 2, "did you mean data=iris?"),
        (["--targt", "y"], 2, "did you mean --target?"),
        (["data=iris", "--target", "y"], 2, "data.target is not a setting of data=iris"),
        ([str(CSV), "--target", "z"], 2, "has no column z"),
        ([str(CSV), "data.limit=50"], 2, "data.limit says nothing without a target"),
        ([str(CSV), "data.drop=[zz]"], 2, "has no column zz"),
        (["texts.csv"], 3, "has no column of numbers, dates or categories"),
    ],
)
def test_what_is_wrong_has_its_message_and_its_exit_code(
    words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("texts.csv").write_text("a\n" + "\n".join(f"word-{k}-and-more" for k in range(100)) + "\n")
    found, out, err = run(["data", *words], capsys)
    assert (found, out) == (code, "")
    assert text in err
    assert "Traceback" not in err


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["data", "--help"], capsys)
    assert code == 0
    assert "--target COLUMN" in out


def test_a_wide_table_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    frame = Frame(tuple(Column(f"c{k}", "numeric", np.arange(9.0) + k / 3) for k in range(50)))
    show_report(examine_table("made", frame, Account(9)))
    err = capsys.readouterr().err
    assert "c29" in err
    assert "c30" not in err
    assert "… and 20 more, see data.json" in err


def test_many_classes_labels_and_values_are_told_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {f"c{k}": {"train": 20 + k, "val": 2, "test": 3} for k in range(40)}
    plain = examine_table("made", Frame((Column("c", "numeric", np.arange(9.0)),)), Account(9))
    many = replace(plain, task="classification", target=TargetFacts(counts, 2.95), repeats=Repeats(0, 1, 2, 0, False))
    show_report(replace(many, notes=("so it is",)))
    err = capsys.readouterr().err
    assert "40 classes (imbalance 3.0); 1 val and 2 test rows equal a training row" in err
    assert "… and 10 more, see data.json" in err
    assert "note: so it is" in err
    assert headline(replace(plain, task="multilabel", target=TargetFacts(counts))).endswith("; 40 labels")
    values = {f"y{k}": {"min": -1.5, "max": 2e6} for k in range(4)}
    text = headline(replace(plain, task="regression", target=TargetFacts(quantiles=values)))
    assert text.endswith("; y0 -1.5 … 2,000,000, y1 -1.5 … 2,000,000, y2 -1.5 … 2,000,000, … (4 values)")


def test_train_tells_its_data_once_and_keeps_it_in_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=table", f"data.path={CSV}", "data.target=y", "model.hidden=[4]", "trainer.max_epochs=1"]
    code, out, err = run(["train", *words], capsys)
    assert code == 0
    folder = Path(out.strip())
    found = json.loads((folder / "data.json").read_text())
    assert [column["name"] for column in found["columns"]] == ["nr", "[a]", "given", "same", "y"]
    assert "data: 200 rows: 130 train, 30 val, 40 test; 2 classes" in err
    assert "given   numeric" in err
    assert "warning: given (balanced accuracy 1.000)" in err
    assert "warning: given (balanced accuracy 1.000)" in (folder / "run.log").read_text()
    before = (folder / "data.json").read_bytes()
    code, _, err = run(["resume", str(folder), "trainer.max_epochs=2"], capsys)
    assert code == 0
    assert "data:" not in err
    assert "warning:" not in err
    assert (folder / "data.json").read_bytes() == before


def test_a_sweep_prints_nothing_of_its_data_but_keeps_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data=table", f"data.path={CSV}", "data.target=y", "model.hidden=[4]", "trainer.max_epochs=1"]
    code, out, err = run(["train", "-m", *words, "seed=0,1"], capsys)
    assert code == 0
    assert "leak" not in err
    assert "data: 200" not in err
    assert len(list(Path(out.strip()).glob("*/data.json"))) == 2
