"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: the tests run in two processes already, and many fork a child, which hangs in its first
# operation on several threads where the process had several at work before.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says nothing where other tests run beside it.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run each test in a folder of its own, so that nothing is written into the repository."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def on_one_thread() -> Iterator[None]:
    """Let torch compute on one thread: small networks are slower on several, above all beside other tests."""
    import torch  # not every test needs it, and it takes seconds

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of what survives, whichever process has tried it, and what could not be tried here."""
    groups = ("passed", "failed", "skipped")
    reports = [report for group in groups for report in terminalreporter.stats.get(group, [])]
    rows = [value for report in reports for name, value in report.user_properties if name == "survives"]
    if rows:
        terminalreporter.section("what survives")
        for row in rows:
            terminalreporter.write_line(row)
