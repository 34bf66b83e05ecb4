"""run.log in words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nnkit.errors import StorageError
from nnkit.track.log import LOG, RunLog

STAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  (.*)$")


def test_every_line_has_its_time_and_older_ones_stay(tmp_path: Path) -> None:
    for text in ("one\ntwo\n\n", "three"):
        log = RunLog(tmp_path)
        log.note(text)
        log.close()
    found = [STAMP.match(line) for line in (tmp_path / LOG).read_text().splitlines()]
    assert [match and match.group(1) for match in found] == ["one", "two", "three"]


def test_folder_in_place_of_the_log_is_told(tmp_path: Path) -> None:
    (tmp_path / LOG).mkdir()
    with pytest.raises(StorageError, match=r"cannot write .*run.log: Is a directory \(errno 21\)"):
        RunLog(tmp_path)
