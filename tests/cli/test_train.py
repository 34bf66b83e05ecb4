"""`nnkit train` from its words to its exit code, in process, on real data."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import yaml

from nnkit.cli import main

QUICK = ["data=iris", "model.hidden=[8]", "trainer.max_epochs=3"]


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main(words)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_folder_is_the_only_line_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", *QUICK], capsys)
    assert code == 0
    folder = Path(out.removesuffix("\n"))
    assert folder.is_absolute()
    facts = json.loads((folder / "run.json").read_text())
    assert facts["status"] == "completed"
    assert facts["epochs"] == 3
    assert "baseline" in err
    assert "samples/s" in err
    assert f"{facts['metrics']['test/accuracy']:.4f}" in err


def test_a_yaml_file_lies_over_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("my.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: iris\nmodel:\n  hidden: [4]\ntrainer:\n  max_epochs: 2\n"
    )
    code, out, _ = run(["train", "my.yaml", "seed=3"], capsys)
    assert code == 0
    config = yaml.safe_load((Path(out.strip()) / "config.yaml").read_text())
    assert (config["data"]["kind"], config["model"]["hidden"], config["trainer"]["max_epochs"]) == ("iris", [4], 2)
    assert config["seed"] == 3


@pytest.mark.parametrize("words", [["epochs=10", "lr=0.1"], ["-m", "epochs=10", "lr=0.1"]])
def test_everyday_synonyms_teach_the_real_keys(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(["train", *words], capsys)
    assert code == 2
    assert out == ""
    assert "did you mean trainer.max_epochs=10?" in err
    assert "did you mean optimizer.lr=0.1?" in err
    assert not Path("outputs").exists()


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["loss=bce"], 2, "loss=bce needs one output, but data=digits has 10 classes"),
        (["model=cnn", "data=wine"], 2, "model=cnn expects images or series, got 13 features from data=wine"),
        (["data=mnist", "data.root=nowhere"], 3, "data=mnist has no files in"),
        (["data=mnist"], 2, "data.root is null"),
        (["data.path=x.csv"], 2, "data.path is not a setting of data=digits"),
        (["data=table", "data.path=x.csv", "data.target=y"], 3, "x.csv is not there"),
        (["data.limit=20", "data.val_fraction=0.01"], 2, "leaves no validation sample"),
        (["data.classes=[3]"], 2, "data.classes needs two or more classes"),
        (["data.limit=4"], 2, "data.limit=4 is too few for the 10 classes of data=digits"),
        (["optimizer=sgd", "optimizer.lr=1e6"], 10, "training loss became"),
        (["optimizer.lr=1e6"], 10, "training loss became"),
    ],
)
def test_bad_input_has_its_message_and_its_exit_code(
    words: list[str], code: int, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NNKIT_DATA", raising=False)
    found, out, err = run(["train", *words], capsys)
    assert (found, out) == (code, "")
    assert f"error: {text}" in err or text in err
    assert "hint:" in err
    assert "Traceback" not in err
    left = list(Path("outputs").glob("*/*")) if Path("outputs").exists() else []
    assert len(left) == (code == 10)


def test_a_device_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    wanted = "mps" if torch.cuda.is_available() else "cuda"
    code, _, err = run(["train", f"trainer.device={wanted}"], capsys)
    assert code == 2
    assert f"trainer.device={wanted} is not available: this machine has cpu" in err


def test_an_unwritable_output_folder_exits_5_and_names_path_and_errno(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    code, _, err = run(["train", "output_dir=file"], capsys)
    assert code == 5
    assert "/file/" in err
    assert "errno" in err


def test_a_dry_run_prints_layers_and_sizes_and_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["train", "model=cnn", "--dry-run"], capsys)
    assert code == 0
    assert "blocks.0.conv" in out
    assert "32x8x8" in out
    assert "FLOPs a sample" in out
    assert "36,010 trainable" in out  # 288 + 64 + 18,432 + 128 + 16,448 + 650, by hand
    assert not Path("outputs").exists()


def test_a_dry_run_tells_when_and_how_fast_each_layer_learns(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["model.channels=[4,8]", "model.freeze=1", "model.unfreeze_after=2", "optimizer.layer_decay=0.5"]
    code, out, _ = run(["train", "model=cnn", *words, "--dry-run"], capsys)
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}
    assert code == 0
    assert rows["blocks.0.conv"].endswith("from epoch 3, 0.25 of the rate")
    assert rows["blocks.1.norm"].endswith("16 0.5 of the rate")
    assert rows["output"].endswith("650")
    words = ["model.channels=[4,8]", "model.freeze=backbone"]
    assert run(["train", "model=cnn", *words, "--dry-run"], capsys)[1].count("never") == 4
    words = ["model.channels=[4,8]", "model.freeze=.*weight"]
    out = run(["train", "model=cnn", *words, "--dry-run"], capsys)[1]
    rows = {line.split()[0]: " ".join(line.split()) for line in out.splitlines() if line.strip()}
    assert rows["blocks.0.norm"].endswith("weight never")


def test_a_dry_run_counts_the_memory_of_frozen_weights(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "data.limit=60", "model.hidden=[1000,1000,1000]", "--dry-run"]
    memory = []
    for freeze in ("none", "backbone"):
        out = run([*words, f"model.freeze={freeze}"], capsys)[1]
        memory.append(float(next(line for line in out.splitlines() if line.startswith("memory")).split()[2]))
    frozen = (64 * 1000 + 1000 + 2 * (1000 * 1000 + 1000)) * 4 / 2**20  # MiB
    assert memory[1] > frozen
    assert memory[0] - memory[1] == pytest.approx(3 * frozen, abs=0.1)  # the gradient, and Adam's two means of it


def test_a_dry_run_of_what_learns_nothing_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["train", "model=naive", "data=sine", "--dry-run"], capsys)
    assert code == 0
    assert "mse; watched: val/loss (min)" in out
    assert "there is nothing to learn" in out


def test_the_help_lists_groups_options_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["train", "--help"], capsys)
    assert code == 0
    for word in ("leaky_relu", "one_cycle", "optimizer.lr=", "--dry-run", "mnist_cnn"):
        assert word in out


def test_hydras_own_flags_work(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(["train", "model=linear", "--cfg", "job"], capsys)
    assert code == 0
    assert yaml.safe_load(out)["model"]["kind"] == "linear"
    code, out, _ = run(["train", "--cfg", "job", "-p", "optimizer", "optimizer.lr=0.5"], capsys)
    assert code == 0
    assert "lr: 0.5" in out
    code, out, _ = run(["train", "--info", "defaults"], capsys)
    assert code == 0
    assert "model/mlp" in out
    assert not Path("outputs").exists()


def test_a_flag_that_hydra_cannot_use_is_a_config_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(["train", "--resolve"], capsys)
    assert code == 2
    assert "--resolve" in err


def test_code_in_a_config_is_refused_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    Path("evil.yaml").write_text(
        "hydra:\n  callbacks:\n    x:\n      _target_: builtins.open\n      file: made\n      mode: w\n"
    )
    for words in (["evil.yaml"], ["-m", "evil.yaml", "seed=0,1"], ["evil.yaml", "--info", "config"]):
        code, _, err = run(["train", *words], capsys)
        assert code == 2
        assert "hydra.callbacks would run code" in err
    assert not Path("made").exists()


def test_what_hydra_logs_does_not_outlive_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    before = [*logging.getLogger().handlers], logging.getLogger().level
    assert run(["train", "--info", "defaults"], capsys)[0] == 0
    assert ([*logging.getLogger().handlers], logging.getLogger().level) == before
