"""Trackers in the words: several at once, settings that nobody reads, packages that are not there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from nnkit.cli import main
from nnkit.cli.resume import changed_config
from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.options import config_dir
from nnkit.config.schema import to_plain
from nnkit.config.sections.tracker import TrackerConfig
from nnkit.config.trackers import PACKAGES, refuse_missing, refuse_places
from nnkit.errors import ConfigError
from nnkit.storage import remove_folder
from tests.trained import config_of


def chosen(*words: str) -> tuple[str, ...]:
    return check(compose(words)).tracker.chosen


def test_none_one_or_several_are_chosen() -> None:
    assert chosen() == ()
    assert chosen("tracker=wandb") == ("wandb",)
    assert chosen("tracker=[mlflow,tensorboard]") == ("tensorboard", "mlflow")
    assert chosen("tracker=mlflow", "tracker.tensorboard.use=true") == ("tensorboard", "mlflow")


def test_an_experiment_chooses_several(tmp_path: Path) -> None:
    text = "# @package _global_\ndefaults:\n  - override /tracker: [tensorboard, wandb]\n"
    (tmp_path / "configs" / "experiment").mkdir(parents=True)
    (tmp_path / "configs" / "experiment" / "watched.yaml").write_text(text)
    assert chosen("experiment=watched") == ("tensorboard", "wandb")
    assert chosen("experiment=watched", "tracker=none") == ()


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["tracker=wandb,mlflow"], "must be one option, or several in brackets", "'tracker=[wandb,mlflow]'"),
        (["tracker=[none,wandb]"], "none stands alone", "'tracker=[wandb]'"),
        (["tracker=[wandb,wandb]"], "has wandb twice", "'tracker=[wandb]'"),
        (["tracker=[]"], "names no option", "tracker=none"),
        (["tracker="], "names no option", "tracker=none"),
        (["tracker=[wandb,tensorbord]"], "tracker=tensorbord is not there", "did you mean tracker=tensorboard?"),
        (["model=[mlp]"], "model takes one option", "model=cnn"),
        (["tracker.wandb.project=x"], "a run without tracker=wandb does not read it", "leave tracker.wandb.project"),
        (
            ["tracker=wandb", "tracker.mlflow.uri=x"],
            "a run without tracker=mlflow",
            "'tracker=[wandb,mlflow]', or leave tracker.mlflow.uri out",
        ),
        (["tracker=wandb", "tracker.wandb.projct=x"], "not a setting of tracker", "mean tracker.wandb.project=x?"),
        (["tracker=wandb", "tracker.wandb.mode=onlin"], "one of auto, offline, online, got 'onlin'", "mode=online"),
        (["tracker=wandb", "tracker.wandb.wait_s=0"], "must be a number in (0, 3600], got 0", "wait_s=30.0"),
        (["tracker.wandb=true"], "tracker.wandb must be a section, got true", "tracker=wandb"),
        (["tracker=mlflow", "tracker.mlflow.uri=ftp://x"], "got 'ftp://x'", "http://HOST:PORT"),
        (["tracker=mlflow", "tracker.mlflow.uri=http://me:pw@host"], "http://***@host holds a password", "a file"),
        (["logger=wandb"], "logger is not a setting", "did you mean tracker=wandb?"),
        (["wandb_project=x"], "wandb_project is not a setting", "tracker.wandb.project=x?"),
        (["tracking_uri=x"], "tracking_uri is not a setting", "tracker.mlflow.uri=x?"),
    ],
)
def test_a_mistake_is_told_with_what_to_type(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    assert message in caught.value.problems[0].text
    assert hint in caught.value.problems[0].hint


@pytest.mark.parametrize("word", ["tracker=tensorboard,wandb", "tracker.wandb.project=a,b"])
def test_a_sweep_has_its_trackers_in_common(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-m", "data=iris", "tracker.wandb.use=true", word, "seed=1,2"]) == 2
    assert word.partition("=")[0] in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_texts_may_have_spaces() -> None:
    words = ["tracker=[wandb,mlflow]", "tracker.wandb.project=My project (1)", "tracker.mlflow.uri=a b/c"]
    config = check(compose(words))
    assert (config.tracker.wandb.project, config.tracker.mlflow.uri) == ("My project (1)", "a b/c")


def test_a_tracker_without_its_package_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr(sys, "meta_path", [_Without(tuple(PACKAGES)), *sys.meta_path])
    Path("wandb").mkdir()  # wandb's own folder for runs is no package
    assert main(["train", "data=iris", "tracker=[tensorboard,wandb,mlflow]"]) == 2
    told = capsys.readouterr().err
    for name, package in PACKAGES.items():
        assert f"error: tracker={name} needs the package {package}" in told
        assert f"pip install {package}, or tracker.{name}.use=false" in told
    without = [f"tracker.{name}.use=false" for name in PACKAGES]
    words = ["data=iris", "trainer.max_epochs=1", "trainer.plots=false", "name=off"]
    assert main(["train", *words, "tracker=[tensorboard,wandb,mlflow]", *without]) == 0
    folder = Path(capsys.readouterr().out.strip())
    config = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(config.replace("  wandb:\n    use: false", "  wandb:\n    use: true"))
    again = ["resume", str(folder), "--trust", "trainer.max_epochs=2"]
    assert main(again) == 2
    (hint,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("hint: "))
    assert main([*again, hint.rpartition(" ")[2]]) == 0
    capsys.readouterr()
    remove_folder(Path("outputs"))
    assert main(["train", "-m", "data=iris", "tracker=wandb", "seed=1,2"]) == 2
    assert "pip install wandb" in capsys.readouterr().err
    assert not Path("outputs").exists()
    refuse_missing(config_of())


class _Without:
    """An importer that finds none of some packages."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, name: str, *_: object) -> None:
        if name in self._names:
            raise ModuleNotFoundError(name)


def test_all_settings_may_change_when_a_run_goes_on() -> None:
    values = to_plain(config_of())
    config, changes = changed_config(values, {"tracker.tensorboard.use": True}, set())
    assert config.tracker.chosen == ("tensorboard",)
    assert changes == {"tracker.tensorboard.use": True}
    del values["tracker"]  # a run of before
    assert changed_config(values, {"tracker.wandb.use": True}, set())[0].tracker.chosen == ("wandb",)
    with pytest.raises(ConfigError, match="tracker cannot change in a run that has begun") as caught:
        changed_config(values, {"tracker": "wandb"}, set())
    assert "tracker.NAME.use=true" in caught.value.problems[0].hint


def test_a_run_folder_sends_nothing_elsewhere_unless_it_is_trusted() -> None:
    folder, values = Path("theirs"), to_plain(config_of("tracker=tensorboard"))
    refuse_places(values, folder)
    values["tracker"]["wandb"].update(use=True, mode="offline")
    refuse_places(values, folder)
    values["tracker"]["wandb"]["mode"] = "auto"
    values["tracker"]["mlflow"].update(use=True, uri="http://them")
    with pytest.raises(ConfigError) as caught:
        refuse_places(values, folder)
    assert [problem.text for problem in caught.value.problems] == [
        "theirs: tracker.wandb sends the run to a server",
        "theirs: tracker.mlflow writes to http://them",
    ]
    for broken in ({}, {"tracker": None}, {"tracker": {"wandb": True}}, {"tracker": []}):
        refuse_places(broken, folder)


def test_the_option_none_shows_the_defaults_of_all() -> None:
    loaded = yaml.safe_load((config_dir() / "tracker" / "none.yaml").read_text())
    assert loaded == to_plain(config_of())["tracker"]
    assert TrackerConfig().chosen == ()
    for name in PACKAGES:
        own = yaml.safe_load((config_dir() / "tracker" / f"{name}.yaml").read_text())
        assert own == {name: {**loaded[name], "use": True}}
