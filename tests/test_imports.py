"""What a command imports decides how soon it answers; so the modules are asserted, not the seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

CODE = """
import sys
from nnkit.cli import main
code = main(sys.argv[1:])
shown = ("torch._", "nnkit.config.")
print("MODULES", code, *sorted(name for name in sys.modules if "." not in name or name.startswith(shown)))
"""
HEAVY = {"torch", "torchvision", "sklearn", "pandas", "matplotlib", "rich", "tqdm", "scipy"}


def imported(words: list[str]) -> tuple[int, set[str]]:
    done = subprocess.run([sys.executable, "-c", CODE, *words], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("MODULES")), "")
    assert line, done.stderr
    _, code, *names = line.split()
    return int(code), set(names)


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["--version"], 0), (["trian"], 2)])
def test_help_version_and_a_mistyped_command_import_next_to_nothing(words: list[str], code: int) -> None:
    found, names = imported(words)
    assert found == code
    assert not names & {*HEAVY, "hydra", "omegaconf", "pydantic", "numpy", "yaml"}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["train", "--cfg", "job"], 0),
        (["train", "epochs=3"], 2),
        (["train", "--help"], 0),
        (["resume", "nowhere"], 2),
        (["runs"], 0),
        (["runs", "best"], 2),
        (["runs", "show", "nowhere"], 2),
    ],
)
def test_a_config_and_a_config_error_import_no_torch(words: list[str], code: int) -> None:
    found, names = imported(words)
    assert found == code
    assert not names & HEAVY


def test_a_config_is_shown_without_the_schema() -> None:
    found, names = imported(["train", "--cfg", "job"])
    assert found == 0
    assert "nnkit.config.compose" in names
    assert not names & {"nnkit.config.schema", "nnkit.config.check"}


def test_a_training_imports_neither_torchs_compiler_nor_what_it_does_not_use(tmp_path: Path) -> None:
    found, names = imported(["train", "data=digits", "trainer.max_steps=1", "trainer.plots=false"])
    assert found == 0
    assert "torch" in names
    unused = {"torchvision", "sklearn", "pandas", "matplotlib", "scipy", "pyarrow", "PIL"}
    assert not names & {*unused, "torch._dynamo", "torch._inductor"}
