"""Files and words that are broken in an unusual way: each is a ConfigError that names it, none is lost in silence."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose, hydra_words, opened
from nnkit.config.options import config_dir, find_groups, search_dirs
from nnkit.config.origin import Composed
from nnkit.config.space import Space, grid
from nnkit.errors import ConfigError, Problem

KINDS = "model.kind must be one of code, linear, mlp, cnn, unet, rnn, lstm, gru, pretrained, naive"


def problems(*words: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        check(compose(words))
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello\n", "FILE must hold settings by name, got 'hello'"),
        ("seed: [1\n", "FILE cannot be read: line 2, column 1: while parsing a flow sequence, "),
        ("seed: 1\nseed: 2\n", "found duplicate key seed"),
        ("defaults: 3\n", "defaults must be a list (got int)"),
        ("defaults: [a, 3]\n", "Unsupported type in defaults : int"),
        ("defaults: [cnn]\n", "experiment=cnn is not there"),
        ("hydra: {job_logging: {filters: [{'()': os.system}]}}\n", "hydra.job_logging would run code from a config"),
        ("hydra: {typo: 1}\n", "Key 'typo' not in 'HydraConf'"),
        ("model: {hidden: {a: 1}}\n", "Cannot merge DictConfig with ListConfig"),
        ("name: !!binary aGk=\n", "name must be text or null, got b'hi' (in FILE)"),
        ("1: 2\n", "1 is not a setting of nnkit (in FILE)"),
        ("trainer: {1: 2}\n", "trainer.1 is not a setting of trainer (in FILE)"),
        ("modl: {hidden: [3]}\n", "modl.hidden is not a setting of nnkit (in FILE)"),
        ("model: {a: {b: 1}}\n", "model.a is not a setting of model=mlp (in FILE)"),
        ("model: null\n", "model must be a section, got null (in FILE)"),
        (
            "model: {kind: cn}\n",
            KINDS + ", got 'cn' (in FILE)",
        ),
        ("model: {kind: null}\n", "model has no kind (in FILE)"),
        ("batching: {batch_size: on}\n", "batching.batch_size must be a whole number >= 1 or full, got true (in FILE)"),
        ("trainer: {max_epochs: '64'}\n", "trainer.max_epochs must be a whole number >= 1, got '64' (in FILE)"),
        ("trainer: {min_delta: .inf}\n", "trainer.min_delta must be a number >= 0, got inf (in FILE)"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(text: str, message: str) -> None:
    file = Path("my (1).yaml").resolve()
    file.write_text(text)
    (problem,) = problems(file.name)
    assert message.replace("FILE", str(file)) in problem.text


def test_an_empty_file_changes_nothing() -> None:
    Path("my.yaml").write_text("")
    assert compose(["my.yaml"]).values == compose([]).values


def test_a_file_that_is_no_text_is_named() -> None:
    Path("my.yaml").write_bytes(b"\xff\xfe\x00")
    assert "my.yaml cannot be read" in problems("my.yaml")[0].text
    Path("configs/model").mkdir(parents=True)
    Path("configs/model/odd.yaml").write_bytes(b"\xff\xfe\x00")
    assert "the config cannot be composed: 'utf-8' codec can't decode byte 0xff" in problems("model=odd")[0].text


def test_an_unknown_kind_in_an_options_file_names_that_file() -> None:
    file = Path("configs/activation/odd.yaml").resolve()
    file.parent.mkdir(parents=True)
    file.write_text("kind: rellu\n")
    (problem,) = problems("activation=odd")
    assert problem.text.endswith(f"got 'rellu' (in {file})")
    assert problem.hint == "did you mean relu?"


def test_a_group_that_is_not_there_is_told_its_name() -> None:
    Path("my.yaml").write_text("defaults:\n  - override /modl: mlp\n")
    assert problems("my.yaml")[0].hint == "did you mean override /model?"


def test_two_experiments_at_a_time_are_refused() -> None:
    Path("my.yaml").write_text("seed: 3\n")
    assert problems("my.yaml", "experiment=digits_cnn")[0].text == (
        "one experiment at a time, got my.yaml and experiment="
    )
    assert check(compose(["my.yaml", "experiment=null"])).seed == 3


def test_no_experiment_may_be_asked_for() -> None:
    assert compose(["experiment=null"]).values == compose([]).values


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("model.hidden.x=3", "the config cannot be composed: invalid literal for int() with base 10: 'x'"),
        ("model.hidden={a:1}", "model.hidden={a:1} cannot be set: Cannot merge DictConfig with ListConfig"),
        ("model.hidden.5=3", "model.hidden.5=3 cannot be set: list index out of range"),
        ("seed.x=3", "seed must be a whole number, got {'x': 3}"),
        ("seed=${oc.env:NNKIT_NOT_SET}", "seed cannot be resolved: KeyError raised while resolving interpolation"),
        ("hydra/launcher=nope", "hydra/launcher=nope is for a sweep"),
        ("hydra.launcher._target_=os.system", "hydra.launcher._target_=os.system is for a sweep"),
        ("hydra/sweeper=grd", "hydra/sweeper=grd is for a sweep"),
        ("loss.class_weights=[]", "loss.class_weights must be one of none, balanced or a list, each a number > 0"),
    ],
)
def test_a_word_that_cannot_be_laid_over_is_named(word: str, text: str) -> None:
    words = ["loss=cross_entropy", word] if word.startswith("loss") else [word]
    assert problems(*words)[0].text.startswith(text)


@pytest.mark.parametrize("value", ["", "null"])
def test_a_missing_name_is_told_the_first_of_the_names(value: str) -> None:
    assert problems(f"trainer.device={value}")[0].hint == "trainer.device=auto"


@pytest.mark.parametrize("path", ["123", "true", "1e3", "a=b", "a#b", "data-é"])
def test_a_path_stays_text_whatever_it_looks_like(path: str) -> None:
    assert check(compose([f"output_dir={path}"])).output_dir == path


def test_null_is_no_path() -> None:
    assert compose(["data=mnist", "data.root=null"]).values["data"]["root"] is None
    assert problems("output_dir=null")[0].text == "output_dir must be text, got null"


def test_sections_that_are_missing_or_none_are_reported_together() -> None:
    values = {**compose([]).values, "model": 3, "trainer": [1], "tags": {"a": 1}}
    del values["data"]
    with pytest.raises(ConfigError) as caught:
        check(Composed(values))
    assert sorted(p.text for p in caught.value.problems) == [
        "data is missing: a section",
        "model must be a section, got 3",
        "tags must be a list, each text, got {'a': 1}",
        "trainer must be a section, got [1]",
    ]


def test_values_that_json_lacks_are_reported_by_their_key() -> None:
    values = {**compose([]).values, "name": datetime.date(2026, 1, 2), "tags": [b"x"]}
    with pytest.raises(ConfigError) as caught:
        check(Composed(values))
    assert [p.text for p in caught.value.problems] == [
        "name must be text or null, got 2026-01-02",
        "tags must be a list, each text, got [b'x']",
    ]


def test_words_for_hydras_own_main_are_checked_before_it_starts() -> None:
    def words_for(*words: str, multirun: bool) -> list[str]:
        return hydra_words(words, config_name="train", extra_dirs=[], multirun=multirun, trust=False, starts=True)[0]

    overrides, folder, groups = hydra_words(
        ["model=cnn", "seed=3"], config_name="train", extra_dirs=[], multirun=False, trust=False, starts=False
    )
    assert (overrides, folder) == (["model=cnn", "++seed=3"], config_dir())
    assert {"cnn", "code", "gru", "linear", "lstm", "mlp", "naive", "rnn", "resnet18"} <= set(groups["model"])
    assert words_for("seed=1,2", multirun=True) == ["++seed=1,2"]
    with pytest.raises(ConfigError, match="seed=1,2 lists several values"):
        words_for("seed=1,2", multirun=False)
    Path("my.yaml").write_text("hydra: {callbacks: {x: {_target_: os.system}}}\n")
    with pytest.raises(ConfigError, match=r"hydra\.callbacks would run code"):
        words_for("my.yaml", multirun=True)


def test_an_interval_has_no_grid() -> None:
    dirs = search_dirs()
    with opened(dirs), pytest.raises(ConfigError, match=r"optimizer\.lr is an interval, which has no grid"):
        list(grid(Space(["++optimizer.lr=interval(0.1,0.2)"], "train", find_groups(dirs))))
