"""Words before Hydra sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from nnkit.config.options import find_groups, search_dirs
from nnkit.config.words import quoted, read_words
from nnkit.errors import ConfigError

GROUPS = find_groups(search_dirs())


@pytest.mark.parametrize(
    ("word", "text", "hint"),
    [
        ("model=mpl", "model=mpl is not there", "did you mean model=mlp?"),
        ("model=", "model= has no value", "model is one of cnn, code, convnext_tiny,"),
        ("experiment=mnist_cn", "experiment=mnist_cn is not there", "did you mean experiment=mnist_cnn?"),
        ("cnn", "cnn is not of the form key=value", "did you mean model=cnn?"),
        ("model", "model has no value", "model=cnn"),
        ("hello", "hello is not of the form key=value", "model=cnn"),
        ("~model", "~model removes a setting", "model=cnn"),
        ("~optimizer.lr=3", "~optimizer.lr=3 removes a setting", "optimizer.lr=null"),
        (
            "regularization=[dropout,l2]",
            "regularization takes one option, got the list [dropout,l2]",
            "regularization=",
        ),
        ("model=mlp,cnn", "model=mlp,cnn lists several options", "nnkit train -m …"),
        ("hydra.run.dir=x", "hydra.run.dir=x is not used", "output_dir=FOLDER"),
        ("hydra.searchpath=[x]", "hydra.searchpath=[x] is not used", "--config-dir"),
        ("hydra.typo=1", "hydra.typo=1 is not used", ""),
        ("hydra/job_logging=default", "hydra/job_logging=default is not used", ""),
        ("=3", "=3 is not the name of a setting", "optimizer.lr=0.01"),
        ("model@x=mlp", "model@x is not the name of a setting", ""),
        ("no.yaml", "no.yaml is not there", ""),
    ],
)
def test_a_word_that_cannot_be_taken_is_named(word: str, text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_words([word], GROUPS)
    (problem,) = caught.value.problems
    assert problem.text.startswith(text)
    assert hint in problem.hint


def test_all_of_them_are_named_together() -> None:
    with pytest.raises(ConfigError) as caught:
        read_words(["model=mpl", "~x", "hello", "loss=mse"], GROUPS)
    assert len(caught.value.problems) == 3


def test_a_setting_becomes_a_forced_override_and_an_option_stays() -> None:
    read = read_words(["model=cnn", "optimizer.lr=0.1", "+seed=3", "++name=x", "+loss=mse"], GROUPS)
    assert read.overrides == ["model=cnn", "++optimizer.lr=0.1", "++seed=3", "++name=x", "loss=mse"]
    assert set(read.typed) == {"model", "optimizer.lr", "seed", "name", "loss"}


def test_several_options_are_taken_in_a_sweep_and_each_is_checked() -> None:
    assert read_words(["model=mlp,cnn"], GROUPS, multirun=True).overrides == ["model=mlp,cnn"]
    with pytest.raises(ConfigError, match="model=cn is not there"):
        read_words(["model=mlp,cn"], GROUPS, multirun=True)


def test_one_file_may_lie_over_the_config() -> None:
    Path("a.yaml").write_text("seed: 1\n")
    Path("b.yml").write_text("seed: 2\n")
    assert read_words(["a.yaml"], GROUPS).overlay == Path("a.yaml").resolve()
    with pytest.raises(ConfigError, match=r"one config file at a time, got a\.yaml, b\.yml"):
        read_words(["a.yaml", "b.yml"], GROUPS)


@given(st.text(alphabet="abAB01 ()[]{}'\"\\,:=$~äé-_./", min_size=1).filter(lambda t: t[0] not in "'\"$"))
def test_any_path_comes_through_hydras_grammar_unchanged(path: str) -> None:
    is_list = path.startswith("[") and path.endswith("]")
    for key in ("data.root", "data.delimiter", "data.kwargs.cache", *(() if is_list else ("data.path",))):
        parsed = OverridesParser.create().parse_override(f"++{key}={quoted(key, path)}")
        assert str(parsed.value()) == path or parsed.value() == float(path)


@pytest.mark.parametrize("key", ["data.path", "data.val_path", "data.test_path"])
def test_files_may_be_a_list_in_brackets(key: str) -> None:
    for multirun in (False, True):
        parsed = OverridesParser.create().parse_override(f"++{key}={quoted(key, '[a.csv,b.csv]', multirun=multirun)}")
        assert parsed.value() == ["a.csv", "b.csv"]


@pytest.mark.parametrize("text", [";", "|", ",", "tab", "#", " "])
def test_a_separator_needs_no_quotes_of_hydras_own(text: str) -> None:
    for key in ("data.delimiter", "data.target_separator", "data.comment", "data.strip"):
        assert OverridesParser.create().parse_override(f"++{key}={quoted(key, text)}").value() == text


def test_paths_may_be_swept() -> None:
    assert quoted("data.path", "a.csv,b.csv", multirun=True) == "a.csv,b.csv"
    assert quoted("data.path", "a.csv,b.csv") == "'a.csv,b.csv'"
    assert quoted("name", "a b") == "a b"
    assert quoted("data.root", "${oc.env:HOME}") == "${oc.env:HOME}"


@pytest.mark.parametrize(
    ("word", "text"),
    [
        (f"tags=[{'a,' * 5000}]", f"tags=[{'a,' * 27}… has 10,007 signs, more than 10,000"),
        (f"tags={'[' * 21}", f"tags={'[' * 21}… is nested 21 brackets deep, more than 20"),
        (f"seed={'9' * 400}", f"seed={'9' * 55}… has a number of more than 400 digits"),
        ("optimizer.2l=3", "optimizer.2l is not the name of a setting"),
    ],
)
def test_a_word_that_nobody_types_is_refused_at_once(word: str, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_words([word], GROUPS)
    assert caught.value.problems[0].text == text


def test_a_setting_that_begins_with_a_digit_is_answered_with_what_was_meant() -> None:
    with pytest.raises(ConfigError) as caught:
        read_words(["trainer.1max_epochs=3", "model.kwargs.0=1"], GROUPS)
    assert [problem.hint for problem in caught.value.problems] == ["did you mean trainer.max_epochs=3?"]
