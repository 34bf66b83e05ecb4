"""Damaged checkpoints: what is promised, what the commands say, and that a reader that checks less would be caught."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnkit.cli import main
from nnkit.train import checkpoints
from tests.faults.damaged import BEST, DAMAGED, NEWEST, OLDER, cases, run_folder
from tests.faults.survival import check
from tests.faults.tried import trusting


def test_no_flipped_bit_and_no_missing_end_is_taken_for_whole(record_property: Callable[[str, object], None]) -> None:
    check(DAMAGED, record_property)


def test_a_reader_without_sums_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_verified", trusting)
    assert any(text is not None for text in cases(200))


def test_a_manifest_without_a_sum_of_its_own_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def trusting(data: bytes) -> dict[str, Any]:
        return {key: value for key, value in json.loads(data).items() if key != "check"}

    monkeypatch.setattr(checkpoints, "_unsealed", trusting)
    assert any(text is not None and "manifest.json" in text for text in cases(400))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_folder(), tmp_path / "run"))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-2] ^= 1
    path.write_bytes(bytes(data))


def test_resume_goes_on_from_the_older_one_and_says_which_it_skipped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(folder / "checkpoints" / NEWEST / "state.pt")
    assert main(["resume", str(folder), "trainer.max_steps=10"]) == 0
    err = capsys.readouterr().err
    assert f"skipped a damaged checkpoint: checkpoint {folder}/checkpoints/{NEWEST} is damaged: state.pt" in err
    assert json.loads((folder / "run.json").read_text())["resumed"][-1]["step"] == int(OLDER.removeprefix("step-"))


def test_resume_tells_that_best_weights_are_lost(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(folder / "checkpoints" / BEST / "model.safetensors")
    assert main(["resume", str(folder), "trainer.max_steps=10"]) == 0
    err = capsys.readouterr().err
    assert f"{NEWEST} has lost its best weights: checkpoint {folder}/checkpoints/{BEST} is damaged" in err


def test_resume_refuses_where_every_checkpoint_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (NEWEST, OLDER):
        flip(folder / "checkpoints" / name / "state.pt")
    before = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert main(["resume", str(folder), "trainer.max_steps=10"]) == 4
    err = capsys.readouterr().err
    assert f"{NEWEST} is damaged" in err
    assert f"{OLDER} is damaged" in err
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == before


@pytest.mark.parametrize("name", [f"{BEST}/model.safetensors", f"{BEST}/manifest.json", "best"])
@pytest.mark.parametrize("command", ["predict", "export"])
def test_predict_and_export_refuse(command: str, name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(folder / "checkpoints" / name)
    Path("rows.csv").write_text("x\n1\n")
    words = ["rows.csv"] if command == "predict" else ["--format", "safetensors"]
    assert main([command, str(folder), *words]) == 4
    assert f"{folder}/checkpoints/{name.partition('/')[0]}" in capsys.readouterr().err
    assert not list(folder.glob("predictions*"))


def test_predict_refuses_another_preprocess_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "preprocess.json"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["preprocess_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    text = path.read_text()
    assert "5." in text
    path.write_text(text.replace("5.", "6.", 1))  # still JSON, and of the right form
    Path("rows.csv").write_text("x\n1\n")
    assert main(["predict", str(folder), "rows.csv"]) == 3
    assert f"{path} is damaged: it is not what was written (SHA-256 differs)" in capsys.readouterr().err
