"""What a run has of the one whose weights it starts from, and what is told where the two differ."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from nnkit.config.schema import Config
from nnkit.warm_start import look_for_start
from tests.faults.every_step import write_data
from tests.trained import Watcher, config_of, trained

PICTURES = ("data=images", "data.path=pictures", "data.cache=null", "model=resnet18", "trainer.max_steps=1")
DIGITS = ("data=digits", "data.limit=200", "trainer.max_steps=1")


def told(*words: str) -> list[str]:
    """Return the warnings of a new run."""
    sink = Watcher()
    trained(*words, sinks=(sink,))
    return sink.warnings


def of_pictures(config: Config) -> tuple[object, ...]:
    return config.data.scaling, config.data.size, config.model.input_size  # type: ignore[union-attr]


def test_pictures_are_as_those_of_the_earlier_run_where_nothing_is_said_of_them() -> None:
    write_data()
    first = trained(*PICTURES, "model.weights=none", "data.size=[24,20]", "data.scaling=minmax").folder
    found = look_for_start(config_of(*PICTURES, f"model.from_run={first}"))
    assert of_pictures(found) == ("minmax", [24, 20], "none")
    typed = ("data.size=[9,9]", "data.scaling=none", "model.input_size=40")
    assert of_pictures(look_for_start(config_of(*PICTURES, f"model.from_run={first}", *typed))) == ("none", [9, 9], 40)
    folder = trained(*PICTURES, f"model.from_run={first}").folder
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert (saved["data"]["scaling"], saved["data"]["size"], saved["model"]["input_size"]) == (
        "minmax",
        [24, 20],
        "none",
    )


@pytest.mark.parametrize("side", ["17", "true", "-3", "1000000", "auto", "[8]"])
def test_a_size_that_the_network_cannot_take_is_not_taken_over(side: str) -> None:
    write_data()
    first = trained(*PICTURES, "model.weights=none", "model.input_size=40").folder
    path = first / "config.yaml"
    path.write_text(path.read_text().replace("input_size: 40", f"input_size: {side}").replace("resnet18", "vgg11"))
    found = look_for_start(config_of(*PICTURES, f"model.from_run={first}", "model.arch=vgg11"))
    assert found.model.input_size == "auto"  # type: ignore[union-attr]


def test_another_scaling_is_told() -> None:
    first = trained(*DIGITS).folder
    assert told(*DIGITS, f"model.from_run={first}") == []
    (text,) = told(*DIGITS, f"model.from_run={first}", "data.scaling=minmax")
    assert text.startswith(f"{first} learned with data.scaling=standard, and this run has data.scaling=minmax")


def test_rows_that_were_learned_from_and_are_held_out_now_are_told() -> None:
    whole = trained("trainer.max_steps=1").folder
    (text,) = told("trainer.max_steps=1", f"model.from_run={whole}", "data.split_seed=1")
    assert f"{whole} has learned from the same data, split otherwise (data.split_seed), perhaps" in text
    (text,) = told("trainer.max_steps=1", f"model.from_run={whole}", "data.limit=100")
    assert f"{whole} has learned from the same data, split otherwise (data.limit), perhaps" in text
    (text,) = told("trainer.max_steps=1", f"model.from_run={whole}", "cv.folds=3", "cv.fold=1")
    assert f"{whole} has learned from rows of the same data that the folds hold out" in text


def test_classes_of_which_some_were_learned_are_rows_split_otherwise() -> None:
    first = trained(*DIGITS, "data.classes=[0,1,2]").folder
    for classes in ("null", "[1,2,3,4,5]"):
        found = told(*DIGITS, f"data.classes={classes}", f"model.from_run={first}")
        assert any("split otherwise (data.classes), perhaps" in text for text in found)
    assert not told(*DIGITS, "data.classes=[5,6,7,8]", f"model.from_run={first}")


def test_classes_of_other_names_and_a_record_that_cannot_be_read_are_told() -> None:
    first = trained("data.classes=[setosa,virginica]", "trainer.max_steps=1").folder
    given = ("data.classes=[setosa,versicolor]", "trainer.max_steps=1", f"model.from_run={first}")
    split, text = told(*given)
    assert "split otherwise (data.classes)" in split  # one of the two was learned
    assert "has other classes (setosa, virginica): its last layer begins" in text
    (first / "preprocess.json").write_text("{")
    _, text = told(*given)
    assert "preprocess.json cannot be read" in text
    (first / "preprocess.json").write_text("[]")
    assert told(*given) == [split]


def test_another_vocabulary_is_told() -> None:
    words = ("data=text", "data.path=t.csv", "data.text=text", "data.target=label", "model=gru", "model.hidden_size=4")
    words += ("trainer.max_steps=1", "data.min_frequency=1")
    rows = [f"{'good' if k % 2 else 'bad'} {'film' if k % 3 else 'book'},{k % 2}" for k in range(60)]
    Path("t.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    first = trained(*words).folder
    assert told(*words, f"model.from_run={first}") == []
    Path("t.csv").write_text(Path("t.csv").read_text().replace("film", "song"))
    (text,) = told(*words, f"model.from_run={first}")
    assert "has another vocabulary: its embeddings are those of other words" in text


def test_a_run_that_has_gone_is_told_before_any_data_is_read() -> None:
    first = trained(*DIGITS).folder
    shutil.copytree(first, "copy")
    (Path("copy") / "config.yaml").unlink()
    with pytest.raises(Exception, match=r"copy (has no config\.yaml|is not a run folder)"):
        look_for_start(config_of("data=images", "data.path=nowhere", "model.from_run=copy"))
