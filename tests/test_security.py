"""SECURITY.md names tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_each_promise_names_a_test_that_there_is() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text()))
    files = [*(ROOT / "tests" / "faults").glob("test_*.py"), ROOT / "tests" / "data" / "test_archive.py"]
    there = {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
    assert len(named) >= 7
    assert named <= there


def test_the_figures_are_those_that_are_tried() -> None:
    from tests.faults.sent_configs import attacks as configs
    from tests.faults.sent_data import attacks as data
    from tests.faults.sent_folders import attacks as folders
    from tests.faults.sent_pictures import attacks as pictures

    text = (ROOT / "SECURITY.md").read_text()
    told = [int(number) for number in re.findall(r"^\| (\d+) hostile", text, re.MULTILINE)]
    assert told == [len(list(tried())) for tried in (folders, configs, data, pictures)]
