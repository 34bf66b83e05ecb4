"""The README's section "Add your own", followed to the letter."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from nnkit.cli import main

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
SECTION = README.split("## Add your own", 1)[1].split("\n## ", 1)[0]
CODE, COMMANDS = re.findall(r"```(?:python)?\n(.*?)```", SECTION, re.DOTALL)


def test_the_section_names_the_file_that_it_shows() -> None:
    assert "`mine.py`" in SECTION.split("```", 1)[0]
    assert len(COMMANDS.splitlines()) == 5


def test_each_command_of_the_section_does_what_it_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    for line in COMMANDS.splitlines():
        name, *words = shlex.split(line)
        assert name == "nnkit"
        assert main(words) == 0, capsys.readouterr().err
        folder = Path(capsys.readouterr().out.strip().splitlines()[-1])
        assert folder.exists()
        if "metric=code" in words:
            metrics = json.loads((folder / "run.json").read_text())["metrics"]
            assert metrics["val/accuracy"] <= metrics["val/top2"] <= 1
    assert main(["eval", "last"]) == 2
    assert "--trust" in capsys.readouterr().err
