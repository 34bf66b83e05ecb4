"""What strangers send, what must stay secret, and who listens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.listening import LISTENING
from tests.faults.secrets_kept import SECRETS
from tests.faults.sent_configs import CONFIGS
from tests.faults.sent_data import DATA
from tests.faults.sent_folders import EVAL, EXPORT, FOLDERS, RESUME, ROWS, sent
from tests.faults.strangers import CANARY, Attack, in_child, outcome, warm_up
from tests.faults.survival import Promise, check

Record = Callable[[str, object], None]


@pytest.mark.parametrize("promise", [FOLDERS, CONFIGS, DATA, SECRETS, LISTENING], ids=lambda promise: promise.name)
def test_what_strangers_send_is_refused_and_does_nothing(promise: Promise, record_property: Record) -> None:
    check(promise, record_property)


@pytest.mark.parametrize("words", [EVAL, ROWS, [*RESUME, "trainer.plots=false"], EXPORT], ids=" ".join)
def test_a_sound_run_of_a_stranger_is_used(words: list[str], tmp_path: Path) -> None:
    from nnkit.cli import main

    warm_up()
    (tmp_path / "work").mkdir()
    sent(tmp_path / "work")
    found = in_child(lambda: main(words), tmp_path / "work")
    assert (found.code, found.done) == (0, ()), found.text


def _writes(path: str) -> Callable[[Path], list[str]]:
    def send(work: Path) -> list[str]:
        (work.parent / "outside").mkdir()
        (work / "theirs.yaml").write_text(f"output_dir: {path}\nname: x\n")
        return ["train", "theirs.yaml", "data=iris", "model.hidden=[2]", "trainer.max_epochs=1", "--trust"]

    return send


def test_the_watch_catches_what_is_written_outside(tmp_path: Path) -> None:
    broken = outcome(Attack("trusted", _writes("../outside"), lambda _: True), tmp_path.resolve())
    assert broken is not None
    assert "os.mkdir" in broken


def test_the_watch_catches_what_is_executed(tmp_path: Path) -> None:
    def imports(work: Path) -> list[str]:
        (work / "theirs.yaml").write_text("defaults: [{override /model: code}]\nmodel: {code: 'evil_canary:Net'}\n")
        return ["train", "theirs.yaml", "--trust"]

    warm_up()
    broken = outcome(Attack("trusted", imports, lambda _: True), tmp_path.resolve())
    assert broken is not None
    assert CANARY in broken
