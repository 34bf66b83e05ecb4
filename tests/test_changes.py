"""Settings that change while a run goes on: none is recorded that no step uses, and what changed is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nnkit.catalog.entry import changed
from nnkit.cli import main
from nnkit.errors import ConfigError
from nnkit.run import resume
from tests.run_folders import made
from tests.trained import config_of, trained

pytestmark = pytest.mark.usefixtures("on_one_thread")
LR = {"optimizer.lr": 0.1}


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name not in ("lock",)}


@pytest.mark.parametrize(
    ("words", "changes", "text", "hint"),
    [
        (["optimizer.lr=0.1"], LR, "optimizer.lr=0.1 would change nothing: no step is left", "trainer.max_epochs=4 "),
        (["trainer.max_epochs=2"], {"trainer.max_epochs": 2}, "max_epochs=2 would change nothing: 3 epochs", "=4 or"),
        (["trainer.max_steps=7"], {"trainer.max_steps": 7}, "max_steps=7 would change nothing: 15 steps", "=16 or"),
        (["trainer.max_time_s=1e-9"], {"trainer.max_time_s": 1e-9}, "s of training are done already", "=1 or more"),
        (["trainer.patience=9"], {"trainer.patience": 9}, "patience=9 would change nothing: no step is left", "=4 "),
    ],
)
def test_what_would_do_nothing_is_refused_and_nothing_is_changed(
    words: list[str], changes: dict[str, Any], text: str, hint: str
) -> None:
    folder = trained().folder
    before = contents(folder)
    with pytest.raises(ConfigError, match=text) as caught:
        resume(config_of(*words), folder, changes=changes)
    assert hint in caught.value.problems[0].hint
    assert contents(folder) == before


def test_a_run_that_was_stopped_may_end_where_it_stands_and_no_earlier() -> None:
    folder = trained().folder
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**facts, "status": "interrupted"}))
    with pytest.raises(ConfigError, match="2 would change nothing: 3 epochs are done already"):
        resume(config_of("trainer.max_epochs=2"), folder, changes={"trainer.max_epochs": 2})
    result = resume(config_of("trainer.patience=5"), folder, changes={"trainer.patience": 5})
    assert (result.status, result.steps) == ("completed", 15)


def test_places_and_measures_may_change_where_no_step_is_left() -> None:
    folder = trained().folder
    words = ("trainer.keep_last=2", "trainer.plots=false")
    resume(config_of(*words), folder, changes={"trainer.keep_last": 2, "trainer.plots": False})
    assert "keep_last: 2" in (folder / "config.yaml").read_text()


def test_what_changed_on_the_way_is_shown_beside_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=iris", "trainer.max_epochs=1", "optimizer.lr=0.01", "trainer.plots=false"]) == 0
    folder = capsys.readouterr().out.strip()
    assert main(["resume", folder, "trainer.max_epochs=2", "optimizer.lr=1e-30", "--allow", "optimizer.lr"]) == 0
    capsys.readouterr()
    assert main(["runs", "show", folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("changed")]
    assert told == ["changed   optimizer.lr: 0.01 until step 2, then 1e-30; the best is of step 2"]


def test_a_run_that_changed_on_the_way_repeats_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    history = [{"step": 95, "changes": LR, "before": {"optimizer.lr": 0.001}}]
    made("a/changed", {"optimizer.lr": 0.1, "seed": 1}, resumed=history)
    made("a/other", {"optimizer.lr": 0.1, "seed": 2})
    assert main(["runs", "--by-seed"]) == 0
    out = capsys.readouterr().out
    assert "optimizer.lr=0.001 until step 95, then 0.1" in out
    assert len(out.splitlines()) == 3


@pytest.mark.parametrize(
    ("resumed", "wanted"),
    [
        ([{"step": 4, "changes": {}}], {}),
        ([{"step": 0, "changes": LR, "before": {"optimizer.lr": 1.0}}], {}),  # all steps used it
        ([{"step": 4, "changes": LR}], {"optimizer.lr": "until step 4, then 0.1"}),  # of an older nnkit
        (
            [
                {"step": 4, "changes": LR, "before": {"optimizer.lr": 1.0}},
                {"step": 9, "changes": {"optimizer.lr": 2.0}, "before": LR},
            ],
            {"optimizer.lr": "1.0 until step 4, then 0.1 until step 9, then 2.0"},
        ),
        ("a stranger's", {}),
        ([3, {"step": 4, "changes": 5}], {}),
    ],
)
def test_the_values_of_a_setting_are_told_in_turn(resumed: Any, wanted: dict[str, str]) -> None:
    assert changed({"resumed": resumed}) == wanted
