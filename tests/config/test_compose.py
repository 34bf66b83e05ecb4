"""Hydra's part, and the folders that options come from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nnkit.config.check import check
from nnkit.config.compose import compose, opened, parse
from nnkit.config.options import config_dir, find_groups, search_dirs
from nnkit.config.space import Space, grid
from nnkit.errors import ConfigError


def write(path: str, text: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file.resolve()


def test_words_files_and_options_are_laid_over_each_other_in_order() -> None:
    write("my.yaml", "defaults:\n  - override /model: cnn\noptimizer:\n  lr: 0.5\nseed: 4\n")
    config = check(compose(["my.yaml", "seed=5"]))
    assert (config.model.kind, config.optimizer.lr, config.seed) == ("cnn", 0.5, 5)


def test_a_path_with_spaces_and_brackets_is_a_path() -> None:
    composed = compose(["data=table", "data.path=My Data (1).csv", "data.target=y"])
    assert composed.values["data"]["path"] == "My Data (1).csv"


def test_the_users_configs_join_once() -> None:
    write("configs/model/wide.yaml", "kind: mlp\nhidden: [512]\n")
    assert search_dirs() == [config_dir(), Path("configs").resolve()]
    assert check(compose(["model=wide"])).model.hidden == [512]  # type: ignore[union-attr]


def test_a_copy_of_nnkits_configs_is_not_read_twice() -> None:
    shutil.copytree(config_dir(), "configs")
    assert search_dirs() == [config_dir()]
    assert search_dirs([Path("configs")]) == [config_dir()]


def test_an_option_in_two_places_names_both_files() -> None:
    mine = write("configs/model/mlp.yaml", "kind: mlp\nhidden: [1]\n")
    with pytest.raises(ConfigError) as caught:
        compose([])
    assert f"model=mlp stands in two files: {config_dir() / 'model' / 'mlp.yaml'} and {mine}" in str(caught.value)


def test_a_config_dir_brings_options() -> None:
    write("more/optimizer/slow.yaml", "kind: sgd\nlr: 0.001\n")
    config = check(compose(["optimizer=slow"], extra_dirs=[Path("more")]))
    assert config.optimizer.lr == 0.001
    with pytest.raises(ConfigError, match="--config-dir nowhere is not a folder"):
        compose([], extra_dirs=[Path("nowhere")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults:\n  - override /model: mpl\n", "model=mpl is not there"),
        ("defaults:\n  - override /modell: mlp\n", "the config cannot be composed"),
        ("seed: [1\n", "my.yaml cannot be read"),
        ("- 1\n- 2\n", "my.yaml must hold settings by name, got ListConfig"),
    ],
)
def test_a_broken_file_is_a_config_error(text: str, message: str) -> None:
    write("my.yaml", text)
    with pytest.raises(ConfigError, match=message):
        compose(["my.yaml"])


def test_a_broken_option_file_is_a_config_error() -> None:
    write("configs/model/bad.yaml", "kind: [mlp\n")
    with pytest.raises(ConfigError, match="a config file is not valid YAML"):
        compose(["model=bad"])


def test_an_unknown_primary_config_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="nope"):
        compose([], config_name="nope")


@pytest.mark.parametrize("words", [["optimizer.lr=1,2"], ["seed=range(3)"], ["model=choice(mlp,cnn)"]])
def test_several_values_are_refused_without_m(words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(words)
    assert f"{words[0]} lists several values" in str(caught.value)
    assert caught.value.problems[0].hint == "nnkit train -m …"


def test_a_value_outside_hydras_grammar_is_told_to_be_quoted() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["name=a (b", "seed=]"])
    assert [p.text for p in caught.value.problems] == [
        "name=a (b cannot be read as a value",
        "seed=] cannot be read as a value",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hydra:\n  callbacks:\n    x: {_target_: builtins.print}\n", "hydra.callbacks would run code"),
        ("hydra:\n  job_logging:\n    handlers: {x: {'()': builtins.open}}\n", "hydra.job_logging would run code"),
        ("hydra:\n  sweeper: {_target_: os.system}\n", "hydra.sweeper would run os.system"),
        ("hydra:\n  launcher: {_target_: os.system}\n", "hydra.launcher would run os.system"),
    ],
)
def test_code_in_a_config_is_refused_unless_trusted(text: str, message: str) -> None:
    write("my.yaml", text)
    with pytest.raises(ConfigError, match=message):
        compose(["my.yaml"])
    assert compose(["my.yaml"], trust=True).values["seed"] == 0


def test_hydras_folders_in_a_file_are_refused_as_on_the_command_line() -> None:
    path = write("my.yaml", "hydra:\n  run:\n    dir: x\n")
    with pytest.raises(ConfigError, match=r"hydra\.run\.dir is not used") as caught:
        compose(["my.yaml"])
    assert str(path) in str(caught.value)


def test_a_file_may_be_named_like_a_shipped_experiment() -> None:
    write("digits_cnn.yaml", "seed: 9\n")
    assert compose(["digits_cnn.yaml"]).values["seed"] == 9


def test_a_grid_is_every_combination_in_the_order_of_a_nested_loop() -> None:
    dirs = search_dirs()
    with opened(dirs):
        words = ["model=mlp,linear", "++optimizer.lr=0.1,0.2", "++seed=7"]
        found = list(grid(Space(words, "train", find_groups(dirs))))
    assert [dict(one.changed) for one in found] == [
        {"model": m, "optimizer.lr": lr} for m in ("mlp", "linear") for lr in ("0.1", "0.2")
    ]
    configs = [check(one.composed) for one in found]
    assert [(c.model.kind, c.optimizer.lr, c.seed) for c in configs] == [
        (m, lr, 7) for m in ("mlp", "linear") for lr in (0.1, 0.2)
    ]


def test_each_combination_equals_what_its_words_alone_compose() -> None:
    dirs = search_dirs()
    with opened(dirs):
        found = list(grid(Space(["optimizer=sgd,adam", "++model.hidden=[4],[8,4]"], "train", find_groups(dirs))))
    for one in found:
        alone = compose([f"{key}={value}" for key, value in one.changed.items()])
        assert one.composed.values == alone.values


def test_overrides_are_parsed_each_for_itself() -> None:
    assert [o.key_or_group for o in parse(["model=cnn", "++seed=1"])] == ["model", "seed"]


@pytest.mark.parametrize(
    "section",
    [
        "handlers: {x: {class: subprocess.Popen, args: [id]}}",
        "handlers: {x: {class: logging.FileHandler, filename: x}}",
        "formatters: {x: {class: evil.Formatter}}",
        "handlers: {x: {class: logging.StreamHandler, stream: 'ext://evil.stream'}}",
    ],
)
def test_logging_makes_nothing_but_what_prints(section: str) -> None:
    write("my.yaml", f"hydra: {{job_logging: {{{section}}}}}\n")
    with pytest.raises(ConfigError, match=r"hydra\.job_logging would run code from a config"):
        compose(["my.yaml"])
    write(
        "my.yaml", "hydra: {job_logging: {handlers: {x: {class: logging.StreamHandler, stream: 'ext://sys.stdout'}}}}\n"
    )
    assert compose(["my.yaml"]).values["seed"] == 0


@pytest.mark.parametrize(
    "section",
    [
        "{_target_: hydra_plugins.x.Y, params: {seed: {_target_: hydra_plugins.x.Z}}}",
        "{params: {seed: {_target_: hydra_plugins.x.Z}}}",
        "{_target_: hydra_plugins.x.Y, params: {seed: '${a}'}}",
        "{_target_: '${a}'}",
    ],
)
def test_a_plugin_brings_no_other_object(section: str) -> None:
    write("configs/experiment/mine.yaml", f"# @package _global_\nhydra: {{sweeper: {section}}}\n")
    with pytest.raises(ConfigError, match=r"hydra\.sweeper would run"):
        compose(["experiment=mine"])


def test_what_is_wrong_beside_an_unreadable_word_is_told_too() -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["name=a (b", "optimizer.lrr=1", "seed=1,2"])
    assert [problem.text for problem in caught.value.problems] == [
        "name=a (b cannot be read as a value",
        "optimizer.lrr is not a setting of optimizer=adam",
    ]
