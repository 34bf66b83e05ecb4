"""run.log in words."""

from __future__ import annotations

import re
from pathlib import Path

from nnkit.run import train
from nnkit.track.log import LOG, LoggedWarnings, RunLog
from tests.trained import Watcher, config_of

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)$")


def test_every_line_has_its_time_and_older_ones_stay(tmp_path: Path) -> None:
    for text in ("one\ntwo\n\n", "three"):
        log = RunLog(tmp_path)
        log.note(text)
        log.close()
    found = [STAMP.match(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [match and match.group(1) for match in found] == ["one", "two", "three"]


def test_a_log_that_cannot_be_opened_says_why_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    log = RunLog(tmp_path)
    log.note("one")
    log.close()
    assert log.refused == f"cannot write {tmp_path / LOG}: Is a directory (errno 21)"


def test_a_run_whose_log_cannot_be_opened_is_trained_and_says_so(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    watcher = Watcher()
    assert train(config_of(), tmp_path, [watcher]).status == "completed"
    assert watcher.warnings == [f"cannot write {tmp_path / LOG}: Is a directory (errno 21); the run goes on without"]


def test_a_warning_is_noted(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    LoggedWarnings(log).warn("a save failed")
    log.close()
    assert "  warning: a save failed" in (tmp_path / LOG).read_text()
