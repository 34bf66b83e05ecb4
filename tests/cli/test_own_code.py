"""Code of the user's own that fails before a run has begun: what is told, and what is left."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnkit.cli import main

NUMBERS = itertools.count()
TEXT = """
from torch import nn

def rows():
    return deeper()

def deeper():
    raise ValueError("a bug of mine")

class Net(nn.Module):
    def __init__(self, spec):
        deeper()

class Fails(nn.Module):
    def forward(self, x):
        deeper()

def leaves():
    raise SystemExit(3)
"""
ONE_EPOCH = ["data=iris", "trainer.max_epochs=1"]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the working directory, whose file may be written anew."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"mine_{next(NUMBERS)}"
    Path(f"{name}.py").write_text(TEXT)
    importlib.invalidate_caches()
    yield name
    sys.modules.pop(name, None)


def only_log() -> tuple[Path, str]:
    """The one file that is left beside locks: a log."""
    files = [path for path in Path("outputs").rglob("*") if path.is_file() and path.name != "lock"]
    assert [path.name for path in files] == ["run.log"]
    return files[0], files[0].read_text()


@pytest.mark.parametrize(
    ("words", "code", "last"),
    [
        (["data=code", "data.code={}:rows"], 3, "in deeper"),
        (["data=code", "data.code={}:leaves"], 3, "in leaves"),
        ([*ONE_EPOCH, "model=code", "model.code={}:Net"], 2, "in deeper"),
        ([*ONE_EPOCH, "activation=code", "activation.code={}:Fails"], 2, "in deeper"),
        ([*ONE_EPOCH, "loss=code", "loss.code={}:rows"], 2, "in deeper"),
        ([*ONE_EPOCH, "metric=code", "metric.code={}:rows"], 2, "in deeper"),
        ([*ONE_EPOCH, "model=code", "model.code={}:Net", "cv.folds=3"], 2, "in deeper"),
        (["-m", *ONE_EPOCH, "model=code", "model.code={}:Net", "seed=0,1"], 2, "in deeper"),
    ],
)
def test_what_fails_while_it_is_made_leaves_a_log(
    words: list[str], code: int, last: str, module: str, capsys: Capture
) -> None:
    typed = [word.format(module) for word in words]
    assert main(["train", *typed]) == code
    path, log = only_log()
    assert f'{module}.py"' in log
    assert last in log
    assert "Python 3." in log
    assert f"to see the same again: cd {Path.cwd()} && nnkit train " in log
    if "-m" not in words:
        assert f"nnkit train {' '.join(typed)}" in log
    err = capsys.readouterr().err
    assert f"note: {path.absolute()} has the traceback" in err
    assert f"({module}.py, line " in err


@pytest.mark.parametrize("words", [[], ["-m", "seed=0,1"]])
@pytest.mark.parametrize("text", ["raise SystemExit(3)", "import not_installed_at_all", "def broken(:"])
def test_what_fails_while_it_is_imported_leaves_a_log(
    text: str, words: list[str], module: str, capsys: Capture
) -> None:
    Path(f"{module}.py").write_text(text)
    assert main(["train", *words, *ONE_EPOCH, "model=code", f"model.code={module}:Net"]) == 2
    path, log = only_log()
    assert f'{module}.py", line 1' in log
    assert "to see the same again: " in log
    assert f"note: {path.absolute()} has the traceback" in capsys.readouterr().err


def test_a_name_that_is_mistyped_leaves_nothing(module: str, capsys: Capture) -> None:
    for code in ("not_there_at_all:Net", f"{module}:Nett"):
        assert main(["train", *ONE_EPOCH, "model=code", f"model.code={code}"]) == 2
    assert not Path("outputs").exists()
    assert "the traceback" not in capsys.readouterr().err


def test_a_dry_run_leaves_nothing_and_says_how_to_see_more(module: str, capsys: Capture) -> None:
    assert main(["train", "data=code", f"data.code={module}:rows", "--dry-run"]) == 3
    assert not Path("outputs").exists()
    err = capsys.readouterr().err
    assert err.count("\n") == 2
    assert err.endswith("hint: --debug shows the traceback\n")


def test_a_search_whose_data_cannot_be_made_leaves_a_log(module: str) -> None:
    assert main(["tune", "data=code", f"data.code={module}:rows", "--budget", "20s"]) == 3
    assert f"&& nnkit tune data=code data.code={module}:rows --budget 20s" in only_log()[1]


def test_a_folder_that_cannot_be_made_hides_no_error(module: str, capsys: Capture) -> None:
    Path(f"{module}.py").write_text("1 / 0")
    Path("file").touch()
    assert main(["train", *ONE_EPOCH, "model=code", f"model.code={module}:Net", "output_dir=file"]) == 2
    err = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in err
    assert "has the traceback" not in err


def test_a_module_that_fails_is_run_once_for_all_trials(capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken_at_once.py").write_text("from pathlib import Path\nPath('run').mkdir()\n1 / 0\n")
    sys.path.insert(0, str(Path.cwd()))
    try:
        words = ["data=iris", "model=code", "model.code=broken_at_once:Net", "model.kwargs.a=1,2", "seed=range(1,9)"]
        assert main(["train", "-m", *words]) == 2
    finally:
        sys.path.remove(str(Path.cwd()))
    err = capsys.readouterr().err
    assert err.count("ZeroDivisionError") == 1
    assert "FileExistsError" not in err  # the second time the folder would be there
