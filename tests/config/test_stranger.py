"""What a composed config obeys where a part of it was sent: whatever its spelling, it is not the stranger."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nnkit.cli import main
from nnkit.config.compose import compose, sender_of
from nnkit.config.options import search_dirs
from nnkit.config.origin import Composed
from nnkit.config.stranger import Stranger, environment_for
from nnkit.errors import ConfigError
from tests.own_code import HERE

CODE = {"kind": "code", "code": "evil:Net", "kwargs": {}}


def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be seen in what was sent, as where it is spelled in a way that nobody has thought of."""
    monkeypatch.setattr("nnkit.config.compose.sent_problems", lambda values, path: [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: {kind: code, code: 'evil:Net'}\n", "model would run code: evil:Net"),
        ("output_dir: /tmp/elsewhere\n", "output_dir=/tmp/elsewhere would write files there"),
        ("output_dir: ${name}\nname: ../elsewhere\n", "output_dir=../elsewhere would write files there"),
        ("defaults: [{override /data: mnist}]\ndata: {download: true}\n", "data.download=true would fetch files"),
        ("name: ${oc.env:NNKIT_CANARY}\n", "no file of yours asks for the environment variable NNKIT_CANARY"),
        ("name: ${oc.env:${tags.0}_CANARY}\ntags: [NNKIT]\n", "the environment variable NNKIT_CANARY"),
    ],
)
def test_what_is_composed_is_looked_at_again(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    careless(monkeypatch)
    monkeypatch.setenv("NNKIT_CANARY", "told")
    Path("theirs.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        compose(["theirs.yaml"])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ("{model: code, model.code: 'evil:Net'}", "model would run code: evil:Net"),
        (
            """{model: code, "model.code='evil:Net": "'"}""",
            "hydra.sweeper.params has entries that are no names of settings",
        ),
        ("{output_dir: /tmp/elsewhere}", "output_dir=/tmp/elsewhere would write files there"),
        (r"{name: '$\{oc.env:NNKIT_CANARY\}'}", "no file of yours asks for the environment variable NNKIT_CANARY"),
    ],
)
def test_so_is_each_trial_of_a_sweep(
    params: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    careless(monkeypatch)
    monkeypatch.setenv("NNKIT_CANARY", "told")
    Path("theirs.yaml").write_text(f"hydra: {{sweeper: {{params: {params}}}}}\n")
    assert main(["train", "-m", "theirs.yaml", "data=iris", "trainer.max_epochs=1", "seed=1"]) == 2
    assert message in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_what_the_user_types_or_has_in_a_file_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNKIT_PLACE", "sets")
    Path("configs/model").mkdir(parents=True)
    Path("configs/data").mkdir()
    Path("configs/model/own.yaml").write_text(f"kind: code\ncode: {HERE}:Net\nkwargs: {{}}\n")
    mnist = "kind: mnist\nroot: ${oc.env:NNKIT_PLACE}\ndownload: true\nval_fraction: 0.1\n"
    Path("configs/data/own.yaml").write_text(mnist)
    Path("theirs.yaml").write_text("defaults: [{override /model: own}, {override /data: own}]\n")
    values = compose(["theirs.yaml", "output_dir=/tmp/mine", "name=${oc.env:NNKIT_PLACE}"]).values
    assert (values["model"]["code"], values["data"]["root"], values["name"]) == (f"{HERE}:Net", "sets", "sets")
    assert values["output_dir"] == "/tmp/mine"
    typed = compose(["theirs.yaml", "model=code", f"model.code={HERE}:Net", "data=mnist", "data.download=true"])
    assert typed.values["data"]["download"] is True


def test_an_own_primary_config_may_say_where_runs_are_kept() -> None:
    path = Path("mine.yaml")
    path.write_text("output_dir: /tmp/mine\n")
    stranger = Stranger(frozenset(), [path.resolve().parent], config_name="mine")
    assert not stranger.problems(Composed({"output_dir": "/tmp/mine"}))
    assert [each.text for each in stranger.problems(Composed({"output_dir": "/tmp/x", "model": CODE}))] == [
        "model would run code: evil:Net",
        "output_dir=/tmp/x would write files there",
    ]


def test_a_file_of_ones_own_was_not_sent() -> None:
    assert sender_of(None, (), search_dirs(), "train") is None
    assert sender_of(search_dirs()[0] / "experiment" / "x.yaml", (), search_dirs(), "train") is None
    assert sender_of(Path("theirs.yaml").resolve(), ["seed=1"], search_dirs(), "train") is not None


def test_the_environment_is_read_as_before_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNKIT_CANARY", "told")
    node = OmegaConf.create({"a": "${oc.env:NNKIT_CANARY}", "b": "${oc.env:NNKIT_DATA,x}"})
    with environment_for(Stranger(frozenset(), search_dirs())):
        assert node.b
        with pytest.raises(Exception, match="no file of yours"):
            _ = node.a
    assert node.a == "told"
