"""Words behind the commands that work on a finished run: flags, values, and which run is meant."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nnkit.cli.words import Read, name_of, note_unseen, opened, read_command, run_folder
from nnkit.errors import ConfigError, StorageError
from nnkit.lock import FolderLock
from tests.finished import change_facts, copy_of, folder_of
from tests.finished import opened as finished

HINT = "nnkit eval last"


def read(*words: str) -> Read:
    return read_command(
        words, command="eval", flags=("json", "trust"), valued=("output", "split"), short={"-o": "output"}
    )


def problems(*words: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(*words)
    return [(p.text, p.hint) for p in caught.value.problems]


def test_words_flags_and_values_are_told_apart() -> None:
    found = read("last", "--json", "-o", "a.csv", "--split=val", "-")
    assert found.words == ["last", "-"]
    assert found.flags == {"json"}
    assert found.values == {"output": "a.csv", "split": "val"}


def test_all_wrong_flags_are_told_with_the_nearest() -> None:
    assert problems("--jsn", "--spilt=val", "-q", "--output") == [
        ("--jsn is not a flag of eval", "did you mean --json?"),
        ("--spilt=val is not a flag of eval", "did you mean --split?"),
        ("-q is not a flag of eval", "nnkit eval --help"),
        ("--output needs a value", "--output VALUE"),
    ]


def test_a_value_that_is_a_flag_or_empty_is_none() -> None:
    assert problems("-o", "--json") == [("-o needs a value", "-o VALUE")]
    assert problems("--output=") == [("--output needs a value", "--output VALUE")]
    assert problems("--json=yes") == [("--json=yes: --json takes no value", "--json")]


def test_a_choice_names_all_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match="--split must be one of test, val, got 'vla'") as caught:
        read("--split", "vla").choice("split", ("test", "val"), "test")
    assert caught.value.problems[0].hint == "--split val"
    assert read().choice("split", ("test", "val"), "test") == "test"


def test_the_home_folder_is_understood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert read("--output=~/a").path("output", Path("b")) == tmp_path / "home" / "a"
    assert read().path("output", Path("b")) == tmp_path / "b"


def test_an_output_file_has_its_ending_and_is_no_folder(tmp_path: Path) -> None:
    assert read("-o", "A.CSV").file(Path("b.csv"), [".csv"]) == tmp_path / "A.CSV"
    with pytest.raises(ConfigError, match=r"--output must end in \.csv or \.parquet, got a\.txt") as caught:
        read("-o", "a.txt").file(Path("b.csv"), [".csv", ".parquet"])
    assert caught.value.problems[0].hint == "-o a.csv"
    Path("folder").mkdir()
    with pytest.raises(ConfigError, match=r"--output names a file, but .*folder is a folder") as caught:
        read("-o", "folder/").file(Path("b.csv"), [".csv"])
    assert caught.value.problems[0].hint == f"-o {tmp_path / 'folder' / 'b.csv'}"


def test_operands_are_counted_without_the_output_folder() -> None:
    assert read("last", "output_dir=a", "output_dir=b").operands("eval", "one run", 1, HINT) == (["last"], "b")
    with pytest.raises(ConfigError, match="eval needs one run"):
        read("--json").operands("eval", "one run", 1, HINT)
    with pytest.raises(ConfigError, match="eval takes one run, got a b") as caught:
        read("a", "b").operands("eval", "one run", 1, HINT)
    assert caught.value.problems[0].hint == HINT
    with pytest.raises(ConfigError, match=r"trainer\.device=cpu: a run keeps its settings"):
        read("last", "trainer.device=cpu").operands("eval", "one run", 1, HINT)


def test_last_looks_below_the_output_folder() -> None:
    folder = copy_of(folder_of("array"))
    (Path("runs") / "mlp").mkdir(parents=True)
    moved = folder.rename(Path("runs") / "mlp" / "new").absolute()
    assert run_folder("last", "runs") == moved
    with pytest.raises(ConfigError, match="there is no run in outputs"):
        run_folder("last")
    with pytest.raises(ConfigError, match="output_dir= says where last looks, but the run is runs/mlp/new"):
        run_folder("runs/mlp/new", "runs")


def test_a_sweep_stands_for_its_best_run() -> None:
    folder = copy_of(folder_of("array"))
    (folder.parent / "sweep.json").write_text(json.dumps({"best": "array"}))
    assert run_folder(".") == folder
    (folder.parent / "sweep.json").write_text(json.dumps({"best": None}))
    with pytest.raises(ConfigError, match="has no finished trial"):
        run_folder(".")


def test_a_path_near_a_run_gives_a_hint() -> None:
    folder = copy_of(folder_of("array"))
    for word, hint in (
        ("array/checkpoints", f"did you mean {folder}?"),
        ("array/run.json", f"did you mean {folder}?"),
        (".", f"it holds runs: {folder}"),
        ("array.csv", "last, or a folder below outputs/"),
    ):
        with pytest.raises(ConfigError, match="is not a run folder") as caught:
            run_folder(word)
        assert caught.value.problems[0].hint == hint


def test_a_name_that_no_file_system_takes_is_told() -> None:
    with pytest.raises(StorageError, match="File name too long"):
        run_folder("a" * 5000)


def test_a_run_that_has_not_ended_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    folder = copy_of(folder_of("array"))
    opened(folder, read())
    assert capsys.readouterr().err == ""
    change_facts(folder, status="interrupted")
    opened(folder, read())
    assert f"note: {folder} was interrupted; these are its best weights so far" in capsys.readouterr().err
    change_facts(folder, status="running")
    with FolderLock(folder):
        opened(folder, read())
    assert "is still running" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "name"),
    [("a/b/rows.csv", "rows"), ("rows.csv.gz", "rows"), ("part-*.csv", "part-_"), ("/", "data"), ("é 1.csv", "é_1")],
)
def test_files_are_called_after_the_data(data: str, name: str) -> None:
    assert name_of(data) == name


def test_a_folder_gives_its_own_name(tmp_path: Path) -> None:
    assert name_of(".") == tmp_path.name


def test_where_rare_categories_were_forgotten_the_note_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    run = finished("binary")
    note_unseen({"town": 3}, run)
    assert "column town: 3 cells of categories that training has not seen\n" in capsys.readouterr().err
    (table,) = run.preprocess.inputs
    codes = tuple(replace(code, num_rare=20_000) for code in table.categories)  # type: ignore[union-attr]
    forgetful = replace(table, categories=codes)  # type: ignore[arg-type]
    note_unseen({"town": 3}, replace(run, preprocess=replace(run.preprocess, inputs=(forgetful,))))
    assert "3 cells of categories that training has not seen, or too rarely to remember them" in capsys.readouterr().err
