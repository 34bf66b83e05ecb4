"""Fixtures that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.pop("NNKIT_DATA", None) if os.environ.get("NNKIT_TEST_WITHOUT_DATA") else None


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Run each test in a folder of its own, so that nothing is written into the repository."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
