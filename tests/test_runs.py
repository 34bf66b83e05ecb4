"""Run folders: their names, their files, and how a word finds one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from nnkit.config.check import check
from nnkit.config.compose import compose
from nnkit.config.schema import to_plain
from nnkit.errors import ConfigError, DataError
from nnkit.lock import FolderLock
from nnkit.runs import find_run, find_runs, new_folder, read_config, read_run, write_config, write_run


def test_a_new_folder_is_named_by_model_data_and_time() -> None:
    first, second = (new_folder(check(compose(["model=cnn"]))) for _ in range(2))
    assert first != second
    assert first.parent == Path("outputs/cnn-digits").absolute()
    assert new_folder(check(compose(["name=mine", "output_dir=a/b"]))).parent == Path("a/b/mine").absolute()


def test_the_home_folder_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert new_folder(check(compose(["output_dir=~/runs"]))).is_relative_to(tmp_path / "home" / "runs")


def test_config_yaml_is_plain_and_comes_back(tmp_path: Path) -> None:
    config = check(compose(["name=é", "tags=[a]"]))
    write_config(tmp_path, config)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8")) == to_plain(config)
    assert read_config(tmp_path) == to_plain(config)


@pytest.mark.parametrize("text", ["[1", "- 1", "!!python/object/apply:os.system ['true']", ""])
def test_a_broken_config_yaml_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 99, "status": "completed"}'])
def test_a_broken_run_json_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(DataError, match=r"run\.json"):
        read_run(tmp_path)


def test_a_run_that_should_be_alive_and_is_not_is_lost(tmp_path: Path) -> None:
    write_run(tmp_path, {"status": "running"})
    assert read_run(tmp_path)["status"] == "lost"
    with FolderLock(tmp_path):
        assert read_run(tmp_path)["status"] == "running"
    write_run(tmp_path, {"status": "completed"})
    assert read_run(tmp_path)["status"] == "completed"


def made(folder: Path, started: str) -> Path:
    folder.mkdir(parents=True)
    write_run(folder, {"status": "completed", "started": started})
    (folder / "config.yaml").write_text("seed: 0\n")
    return folder


def test_last_is_the_run_that_started_last(tmp_path: Path) -> None:
    newest = made(tmp_path / "a" / "1", "2026-02-01")
    made(tmp_path / "b" / "2", "2026-01-01")
    broken = tmp_path / "c" / "3"
    broken.mkdir(parents=True)
    (broken / "run.json").write_text("{")
    assert len(find_runs(tmp_path)) == 2
    assert find_run("last", tmp_path) == newest
    with pytest.raises(ConfigError, match="there is no run in"):
        find_run("last", tmp_path / "nothing")


def test_a_sweep_stands_for_its_best_trial(tmp_path: Path) -> None:
    best = made(tmp_path / "sweep" / "001", "x")
    sweep = tmp_path / "sweep" / "sweep.json"
    sweep.write_text(json.dumps({"best": "001"}))
    assert find_run(str(tmp_path / "sweep"), tmp_path) == best
    assert find_run(str(best), tmp_path) == best
    for damaged in ("{", "3"):
        sweep.write_text(damaged)
        with pytest.raises(ConfigError, match=r"sweep\.json cannot be read"):
            find_run(str(tmp_path / "sweep"), tmp_path)
    sweep.write_text(json.dumps({"best": None}))
    with pytest.raises(ConfigError, match="has no finished trial"):
        find_run(str(tmp_path / "sweep"), tmp_path)
    with pytest.raises(ConfigError, match="nowhere is not a run folder"):
        find_run("nowhere", tmp_path)


@pytest.mark.parametrize(("status", "expected"), [("completed", "000-best"), ("interrupted", "001-newest")])
def test_last_is_the_best_of_the_sweep_that_the_newest_run_has_ended_in(status: str, expected: str) -> None:
    sweep = Path("outputs/mlp-iris/sweep-1")
    for name, started in (("000-best", "2026-01-01"), ("001-newest", "2026-01-02")):
        (sweep / name).mkdir(parents=True)
        write_run(sweep / name, {"status": status, "started": started})
    (sweep / "sweep.json").write_text('{"best": "000-best"}')
    assert find_run("last", Path("outputs")) == (sweep / expected).absolute()


def a_run(folder: Path) -> Path:
    folder.mkdir(parents=True)
    write_config(folder, check(compose([])))
    write_run(folder, {"status": "completed", "started": "2026"})
    return folder.absolute()


@pytest.mark.parametrize("best", ["../a", "/tmp/a", "b/../../a", "..", ".", ""])
def test_the_best_trial_of_a_sweep_lies_in_it(best: str) -> None:
    a_run(Path("a"))
    Path("sweep").mkdir()
    Path("sweep/sweep.json").write_text(json.dumps({"best": best}))
    with pytest.raises(ConfigError, match=f"sweep.json names a trial outside of its folder: '{best}'"):
        find_run("sweep", Path("outputs"))


def test_an_error_is_kept_without_secrets() -> None:
    folder = a_run(Path("a"))
    write_run(folder, {"status": "failed", "error": "https://me:secret@host said no"})
    assert read_run(folder)["error"] == "https://***@host said no"
