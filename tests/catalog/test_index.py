"""The catalog of runs, and its index: read again where files have changed, made again where it is of no use."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from nnkit.catalog import index
from nnkit.catalog.entry import Entry
from nnkit.catalog.index import INDEX, load
from nnkit.config.origin import flatten
from nnkit.lock import FolderLock
from tests.run_folders import ROOT, made, scored, sweep


def loaded() -> dict[str, Entry]:
    return {entry.run: entry for entry in load(ROOT).entries}


def test_every_run_trial_and_fold_is_found_and_nothing_below_them() -> None:
    made("a/1")
    made("a/1/fold-0")
    made("a/1/checkpoints/copy")
    made("b/sweep-1/000")
    made("c/other/000")
    made("c/.hidden/000")
    made("deep/er/still/1")
    sweep("c/other")
    (ROOT / "link").symlink_to((ROOT / "a").absolute())
    assert {run: (entry.kind, entry.above) for run, entry in loaded().items()} == {
        "a/1": ("run", ""),
        "a/1/fold-0": ("fold", "a/1"),
        "b/sweep-1/000": ("trial", "b/sweep-1"),
        "c/other/000": ("trial", "c/other"),
        "deep/er/still/1": ("run", ""),
    }
    assert set(load(ROOT).sweeps) == {"b/sweep-1", "c/other"}


def test_what_is_read_from_the_index_is_what_was_read_from_the_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    made("a/1", {"optimizer.lr": 0.5, "model.hidden": [3, 4], "tags": ["x"]})
    made("a/sweep-1/000", {"data.limit": 7})
    sweep("a/sweep-1", best="000", planned=3, objective="val/accuracy", mode="max", trials=[])
    first = load(ROOT)
    with monkeypatch.context() as patch:
        patch.setattr(index, "read_facts", None)  # whoever calls it fails
        patch.setattr(index, "read_config", None)
        second = load(ROOT)
    assert second.entries == first.entries
    assert (
        second.sweeps
        == first.sweeps
        == {"a/sweep-1": {"objective": "val/accuracy", "mode": "max", "planned": 3, "best": "000"}}
    )
    assert first.entries[0].settings["optimizer.lr"] in (0.5, 0.001)


def test_changed_new_and_removed_runs_are_seen_at_once() -> None:
    folder = made("a/1")
    made("a/2")
    load(ROOT)
    made("a/3", metrics=scored(0.3))
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("lr: 0.001", "lr: 0.25"))
    (ROOT / "a/2/run.json").unlink()
    (ROOT / "a/2/lock").unlink()
    for _ in range(2):
        found = loaded()
        assert set(found) == {"a/1", "a/3"}
        assert found["a/1"].value("optimizer.lr") == 0.25
        assert found["a/3"].metrics["val/accuracy"] == 0.3


def test_settings_of_runs_that_are_gone_leave_the_index() -> None:
    for i in range(8):
        made(
            f"a/{i}",
            dict.fromkeys(("optimizer.lr", "data.limit", "trainer.max_epochs", "seed", "loss.x", "init.x"), i),
        )
    load(ROOT)
    before = (ROOT / INDEX).stat().st_size
    for i in range(1, 8):
        for path in (ROOT / f"a/{i}").iterdir():
            path.unlink()
    assert list(loaded()) == ["a/0"]
    assert (ROOT / INDEX).stat().st_size < before / 3
    assert loaded()["a/0"].value("optimizer.lr") == 0


@pytest.mark.parametrize("text", [b"", b"\xff\xff", b"{}", b"nnkit 0 abc\n{}", b"nnkit 1 abc\n{}"])
def test_an_index_that_is_damaged_or_of_another_format_is_made_again(text: bytes) -> None:
    made("a/1")
    first = load(ROOT).entries
    whole = (ROOT / INDEX).read_bytes()
    for damaged in (text, whole[:-5], whole.replace(b"0.9", b"0.8")):
        (ROOT / INDEX).write_bytes(damaged)
        assert load(ROOT).entries == first
    (ROOT / INDEX).write_bytes(text)
    made("a/2")
    load(ROOT)
    assert len(load(ROOT).entries) == 2


def test_where_nothing_may_be_written_there_is_no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    made("a/1")
    (ROOT / INDEX).mkdir()  # what even the superuser cannot replace by a file
    assert len(load(ROOT).entries) == 1
    folder = made("b/1")
    assert [entry.run for entry in load(folder).entries] == ["."]
    assert load(ROOT / "a", keeps_index=False).entries[0].run == "1"
    assert not list(ROOT.glob("*/.*"))
    assert not list(folder.glob(".*"))


def test_a_running_run_is_lost_as_soon_as_nobody_holds_its_lock() -> None:
    folder = made("a/1", status="running", epochs=None, metrics=None)
    (folder / "metrics.jsonl").write_text('{"step": 5, "epoch": 1}\n{"step": 10, "epoch": 2, "time/seconds": 0.5}\n')
    with FolderLock(folder):
        assert loaded()["a/1"].status == "running"
        (folder / "metrics.jsonl").write_text('{"step": 15, "epoch": 3}\n')
        assert loaded()["a/1"].value("epochs") == 3
        with (folder / "metrics.jsonl").open("a") as file:
            file.write('\n[]\n{"step": 2')  # lost lines, and half of one
        assert loaded()["a/1"].value("epochs") == 3
    assert loaded()["a/1"].status == "lost"


@pytest.mark.parametrize(
    ("file", "text", "error"),
    [
        ("run.json", "{", r"run\.json is damaged, it cannot be read"),
        ("run.json", "[" * 100_000, r"run\.json is damaged, it cannot be read"),
        ("run.json", '{"format": 99, "status": "completed"}', "newer than this nnkit"),
        ("run.json", '{"format": 2, "status": 3}', "its status is 3"),
        ("config.yaml", "", "holds no settings"),
        ("config.yaml", "a: &a [1]\nb: *a", "it has aliases"),
        ("config.yaml", "[1", r"config\.yaml is damaged, it cannot be read"),
        ("config.yaml", "a: &a [1]\nb: [*a, *a]", "it has aliases"),
        ("config.yaml", "x: !!python/object/apply:os.system ['true']", r"config\.yaml is damaged, it cannot be read"),
        ("config.yaml", "x" * (16 * 2**20 + 1), "it has 16,777,217 bytes"),
    ],
)
def test_a_damaged_run_is_told_as_damaged(file: str, text: str, error: str) -> None:
    (made("a/1") / file).write_text(text)
    for _ in range(2):
        entry = loaded()["a/1"]
        assert entry.status == "damaged"
        with pytest.raises(AssertionError, match=error):
            raise AssertionError(entry.value("error"))


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: {c: 2}\n",
        'a: "x\nb: 1\n"\nc: 2\n',
        "a: |\n  b: 1\n  c: 2\nd: 3\n",
        "---\na: 1\n...\n",
        "# comment\na: 1\n",
        "a:\n- 1\n- 2\nb: 3\n",
        "a: 1\na: 2\n",
        "? a\n: 1\n",
        "a:\n  b:\n    c: 1\n\n\nd:\n  e: [1,\n2]\n",
    ],
)
def test_settings_read_section_by_section_are_those_of_the_whole_file(text: str) -> None:
    (made("a/1") / "config.yaml").write_text(text)
    assert loaded()["a/1"].settings == dict(flatten(yaml.safe_load(text)))


def test_values_of_the_wrong_type_are_left_out_and_strange_settings_become_text() -> None:
    folder = made(
        "a/1", metrics={"val/loss": "x", "val/accuracy": 0.5, "y": True, "z": float("nan")}, epochs="5", seconds=None
    )
    with open(folder / "config.yaml", "a") as file:
        file.write("1: 2026-01-01\nmore: {deep: {er: .nan, set: !!set {a}}}\n")
    (folder / "metrics.jsonl").write_text("not json\n")
    entry = loaded()["a/1"]
    assert entry.metrics == {"val/accuracy": 0.5}
    assert entry.value("epochs") is None
    assert entry.value("1") == "2026-01-01"
    assert entry.value("more.deep.er") == "nan"
    assert json.dumps(entry.settings, allow_nan=False)


def test_names_that_are_no_text_do_no_harm() -> None:
    made("a/1")
    os.rename(b"outputs/a/1", b"outputs/a/\xff\x1b[31m")
    assert len(loaded()) == len(loaded()) == 1


def test_a_sweep_json_that_is_damaged_says_nothing() -> None:
    made("a/sweep-1/000")
    for text in ("{", "3", '{"planned": "many"}'):
        (ROOT / "a/sweep-1/sweep.json").write_text(text)
        assert load(ROOT).sweeps == {"a/sweep-1": {}}


def test_a_folder_that_is_not_there_holds_no_runs() -> None:
    assert load(Path("nowhere")).entries == []
    assert not Path("nowhere").exists()
