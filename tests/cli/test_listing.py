"""`nnkit list` and `nnkit completion`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnkit.cli import COMMANDS, main
from nnkit.cli.completion import candidates
from nnkit.config.architectures import ARCHITECTURES
from nnkit.config.options import config_dir


def test_list_shows_groups_options_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "optimizer" in capsys.readouterr().out
    assert main(["list", "model"]) == 0
    assert "model=cnn" in capsys.readouterr().out
    assert main(["list", "hydra/sweeper"]) == 0
    assert "hydra/sweeper=random" in capsys.readouterr().out
    assert main(["list", "cv"]) == 0
    assert capsys.readouterr().out.startswith("cv:")
    for word in ("model/cnn", "model=cnn"):
        assert main(["list", word]) == 0
        assert capsys.readouterr().out.strip() == (config_dir() / "model" / "cnn.yaml").read_text().strip()


def test_list_as_json_is_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"] == sorted(path.stem for path in (config_dir() / "loss").glob("*.yaml"))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["modell"], "did you mean model?"),
        (["model.ach"], "did you mean model.arch?"),
        (["hydra/sweper"], "did you mean hydra/sweeper?"),
        (["hydra/sweeper=randm"], "did you mean hydra/sweeper/random?"),
        (["zzzz"], "groups: "),
        (["model/cnnn"], "did you mean model/cnn?"),
        (["model/zzzz"], "options: "),
        (["a", "b"], "list takes one group or option, got a b"),
        (["--yaml"], "list takes one group or option, got --yaml"),
    ],
)
def test_a_wrong_name_is_told_the_nearest(words: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", *words]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize(
    ("position", "first", "word", "found"),
    [
        ("1", "tr", "tr", ["train"]),
        ("2", "train", "model=c", ["model=cnn", "model=code", "model=convnext_tiny"]),
        ("2", "train", "optimizer.l", ["optimizer.layer_decay=", "optimizer.lr="]),
        ("2", "train", "see", ["seed="]),
        ("2", "list", "mod", ["model"]),
        ("2", "completion", "z", ["zsh"]),
        ("2", "train", "cv.fold", ["cv.fold=", "cv.folds="]),
        ("1", "", "", list(COMMANDS)),
        ("1", "e", "e", ["eval", "export"]),
        ("2", "eval", "l", ["last"]),
        ("2", "resume", "l", ["last"]),
        ("3", "resume", "optimizer.l", ["optimizer.layer_decay=", "optimizer.lr="]),
    ],
)
def test_completion_knows_commands_groups_options_and_settings(
    position: str, first: str, word: str, found: list[str]
) -> None:
    assert candidates(position, first, word) == found


def test_completion_knows_folders_and_files_where_they_may_stand(tmp_path: Path) -> None:
    (tmp_path / "outputs" / "mlp" / "one").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "outputs.csv").touch()
    for first in ("resume", "eval", "predict", "export"):
        assert candidates("2", first, "") == ["last", "outputs/"]
        assert candidates("2", first, "outputs/mlp/") == ["outputs/mlp/one/"]
        assert candidates("2", first, "nowhere/") == []
    assert candidates("2", "eval", ".h") == [".hidden/"]
    assert candidates("3", "predict", "out") == ["outputs/", "outputs.csv"]
    assert candidates("2", "data", "out") == ["output_dir=", "outputs/", "outputs.csv"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_asks_the_hidden_query(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "nnkit _complete" in capsys.readouterr().out


def test_the_bash_script_completes_in_a_real_bash(tmp_path: Path) -> None:
    script = (
        'eval "$(nnkit completion bash)"; COMP_LINE="nnkit train model=c"; COMP_POINT=${#COMP_LINE}; '
        'COMP_WORDS=(nnkit train model = c); COMP_CWORD=4; _nnkit 2>/dev/null; echo "${COMPREPLY[@]}"'
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "PATH": path}
    )
    assert done.stdout.strip() == "cnn code convnext_tiny"


def test_an_unknown_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "completion takes one of bash, zsh, fish, got 'tcsh'" in capsys.readouterr().err
    assert main(["completion", "--help"]) == 0
    assert main(["list", "--help"]) == 0


def test_the_hidden_query_prints_one_word_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["_complete", "2", "train", "loss=m"]) == 0
    assert capsys.readouterr().out.split() == ["loss=mae", "loss=mse"]


def test_the_networks_of_torchvision_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "model.arch"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert [word for word, _ in lines] == [f"model.arch={arch}" for arch in ARCHITECTURES]
    assert dict(lines)["model.arch=fcn_resnet50"] == "for masks"
    assert main(["list", "model.arch", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["model.arch"]
    assert [*listed["pictures"], *listed["masks"]] == list(ARCHITECTURES)
