"""All that is wrong with a sweep is told at once, each mistake once, before any trial runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.cli import main
from nnkit.config.check import check
from nnkit.config.origin import Composed
from nnkit.config.schema import Config

Capture = pytest.CaptureFixture[str]
LR, HIDDEN, EPOCHS = "optimizer.lrr is not", "model.hiddn is not", "trainer.max_epochs must be"
ALL = ["optimizer.lrr=1,2", "model.hiddn=3,4", "trainer.max_epochs=-1,2"]


def told(words: list[str], capsys: Capture) -> list[str]:
    """What is told of a sweep that is refused, without its hints."""
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert not Path("outputs").exists()
    return [line.removeprefix("error: ") for line in captured.err.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize(
    ("more", "first"),
    [
        ([], None),
        (["foo"], "foo is not of the form"),
        (["seed=choice(1,"], "seed=choice(1, is no space"),
        (["loss=crossentropy,auto"], "loss=crossentropy is not there"),
        (["name=a,b"], "name decides nothing"),
        (["optimizer.eps=interval(1e-9,1e-8)"], "optimizer.eps is an interval, which has no grid"),
        (["hydra.sweeper.trils=3"], "hydra.sweeper.trils is not a setting"),
        (["hydra.sweeper.seeds=-3"], "hydra.sweeper.seeds must be"),
        (["hydra/sweeper=radnom"], "hydra/sweeper=radnom is not there"),
        (["hydra/sweeper=random", "hydra.sweeper.trials=2"], None),
        (["hydra/sweeper=bayes"], None),
    ],
)
def test_every_mistake_is_told_whatever_stops_the_sweep(more: list[str], first: str | None, capsys: Capture) -> None:
    lines = told(["train", "-m", *ALL, *more], capsys)
    wanted = [*([first] if first else []), HIDDEN, LR, EPOCHS]
    assert len(lines) == len(wanted)
    assert [line for line, text in zip(lines, wanted, strict=True) if not line.startswith(text)] == []


def test_each_mistake_has_its_suggestion(capsys: Capture) -> None:
    assert main(["train", "-m", *ALL]) == 2
    hints = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hint: ")]
    assert hints == [
        "hint: did you mean model.hidden?",
        "hint: did you mean optimizer.lr=1?",
        "hint: trainer.max_epochs=100",
    ]


def test_what_is_wrong_with_each_value_is_told_and_with_an_interval_once(capsys: Capture) -> None:
    assert len(told(["train", "-m", "trainer.max_epochs=-1,-2,3"], capsys)) == 2
    assert len(told(["train", "-m", "hydra/sweeper=random", "optimizer.lr=interval(-2,-1)"], capsys)) == 1


def test_a_name_that_no_model_knows_is_told_once(capsys: Capture) -> None:
    assert main(["train", "-m", "model=cnn,mlp", "model.hiddn=3,4"]) == 2
    err = capsys.readouterr().err
    assert err.count("error: ") == 1
    assert "hint: model.hidden belongs to model=mlp" in err


def test_what_a_wrong_option_would_read_is_no_mistake(capsys: Capture) -> None:
    lines = told(["train", "-m", "model=cnnn,mlp", "model.channels=[3],[-4]"], capsys)
    assert lines[0].startswith("model=cnnn is not there")
    assert lines[1].startswith("model.channels must be a list")
    lines = told(["train", "model=cnnn", "model.channels=[3]"], capsys)
    assert len(lines) == 1


def test_the_space_in_a_file_is_looked_at_as_well(capsys: Capture) -> None:
    params = "".join(f"      {key}: {value}\n" for key, _, value in (word.partition("=") for word in ALL))
    Path("space.yaml").write_text(f"hydra:\n  sweeper:\n    params:\n{params}")
    assert [line.split()[0] for line in told(["train", "-m", "space.yaml"], capsys)] == [
        "model.hiddn",
        "optimizer.lrr",
        "trainer.max_epochs",
    ]
    lines = told(["train", "-m", "space.yaml", "optimizer.eps=interval(1e-9,1e-8)"], capsys)
    assert [line.split()[0] for line in lines] == [
        "optimizer.eps",
        "model.hiddn",
        "optimizer.lrr",
        "trainer.max_epochs",
    ]


def test_rules_and_objective_are_told_beside_the_settings(capsys: Capture) -> None:
    words = ["optimizer.lr=-1,0.1", "hydra.sweeper.objective=val/acuracy", "hydra.sweeper.min_epochs=3"]
    assert [line.split()[0] for line in told(["train", "-m", *words], capsys)] == [
        "optimizer.lr",
        "hydra.sweeper.min_epochs",
        "hydra.sweeper.objective",
    ]


@pytest.mark.parametrize("command", [["train"], ["tune", "data=wine", "--budget", "20s"]])
def test_lists_where_one_value_is_wanted_hide_no_mistyped_name(command: list[str], capsys: Capture) -> None:
    words = ["optimizer.lrr=tag(log, interval(1e-3,1))", "model.hiddn=choice([3],[4])", "optimizer.beta1=0,9"]
    lines = told([*command, *words], capsys)
    assert [line.partition(" ")[2] for line in lines[3:]] == [
        "is not a setting of model=mlp",
        "is not a setting of optimizer=adam",
    ]
    assert sum("several values" in line for line in lines) == 3


def test_words_that_exclude_each_other_are_told_and_no_more(capsys: Capture) -> None:
    Path("a.yaml").write_text("seed: 1\n")
    assert len(told(["train", "a.yaml", "a.yaml"], capsys)) == 1
    assert len(told(["train", "-m", "a.yaml", "a.yaml"], capsys)) == 1


def test_a_long_sweep_that_is_refused_is_not_looked_at_trial_by_trial(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []

    def counted(composed: Composed) -> Config:
        looks.append(composed)
        return check(composed)

    for module in ("nnkit.cli.sweep_asked", "nnkit.config.beside"):
        monkeypatch.setattr(f"{module}.check", counted)
    values = ",".join(map(str, range(1, 21)))
    lines = told(
        ["train", "-m", f"seed={values}", f"batching.batch_size={values}", "trainer.max_epochs=1,2,-1"], capsys
    )
    assert len(lines) == 1  # the last value of the last setting is told nevertheless
    assert len(looks) < 20 * 20 * 3 / 2
