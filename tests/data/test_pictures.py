"""Picture files as training data: in memory or read while training, which nobody can tell from the results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.config.schema import Config
from nnkit.config.sections.data import ImagesConfig
from nnkit.data import read, split_by
from nnkit.data.guard import examine
from nnkit.data.pictures import read_pictures
from nnkit.data.preprocess import fit_preprocess
from nnkit.data.source import Source
from nnkit.data.stream import ImageFiles
from nnkit.errors import ConfigError, DataError
from nnkit.run import resume, train
from nnkit.runs import new_folder, read_config
from nnkit.train.stopping import Signals
from tests.data.pictures import made, png_of_size, write_classes, write_picture
from tests.trained import Watcher, config_of, events, is_equal, last_state, last_weights

ROOT, CACHE = Path("photos"), Path("cache")


def section(**changes: Any) -> ImagesConfig:
    values = {"path": str(ROOT), "cache": None, "val_fraction": 0.2, "test_fraction": 0.2, **changes}
    return ImagesConfig(kind="images", **values)


def write_many(num: int = 150) -> None:
    """Write grey pictures of 5 x 4 in two classes."""
    write_classes(ROOT, {"a": num // 2, "b": num - num // 2})


# Reading


@pytest.mark.parametrize("in_memory", [True, False, "auto"])
def test_a_folder_becomes_pixels_or_files_with_labels(in_memory: bool | str) -> None:
    write_classes(ROOT, {"10": 2, "9": 3})
    source = read_pictures(section(in_memory=in_memory))
    (images,) = source.inputs
    assert isinstance(images, ImageFiles) == (in_memory is False)
    assert images.shape == (5, 1, 5, 4)
    assert (source.classes, source.row_target.tolist()) == (("9", "10"), [0, 0, 0, 1, 1])
    assert (source.specs[0].kind, source.specs[0].shape) == ("image", (1, 5, 4))
    assert (source.name, source.rows.rows_in, source.rows.dropped) == ("photos", 5, {})


def test_what_does_not_fit_in_memory_is_read_while_training(monkeypatch: pytest.MonkeyPatch) -> None:
    write_many(4)
    asked = []
    monkeypatch.setattr("nnkit.data.stream.fits_in_memory", lambda num, form: bool(asked.append((num, form.shape))))
    assert isinstance(read_pictures(section()).inputs[0], ImageFiles)
    assert isinstance(read_pictures(section(in_memory=True)).inputs[0], np.ndarray)
    assert asked == [(4, (1, 5, 4))]


@pytest.mark.parametrize("in_memory", [True, False])
def test_parts_that_are_folders_are_kept(in_memory: bool) -> None:
    write_classes(ROOT, {f"{part}/{kind}": 2 for part in ("train", "val", "test") for kind in "ab"})
    source = read_pictures(section(in_memory=in_memory))
    splits = split_by(section(), source)
    assert [rows.tolist() for rows in (splits.train, splits.val, splits.test)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]


def test_size_and_channels_are_as_wanted() -> None:
    write_many(4)
    assert read_pictures(section(size=[7, 3], channels=3)).specs[0].shape == (3, 7, 3)
    assert read_pictures(section(size=[7, 3])).specs[0].shape == (1, 7, 3)
    assert read_pictures(section(channels=3)).specs[0].shape == (3, 5, 4)


def test_a_table_of_paths_is_read_with_its_parts() -> None:
    write_classes(ROOT, {"x": 4})
    rows = ["file,kind,part", "x/3.png,a,train", "x/0.png,b,train", "x/2.png,a,test", "x/1.png,b,val"]
    Path("labels.csv").write_text("\n".join(rows))
    columns = {"path_column": "file", "target": "kind", "split_column": "part"}
    source = read_pictures(section(path="labels.csv", root=str(ROOT), **columns))
    splits = split_by(section(), source)
    assert (splits.train.tolist(), splits.val.tolist(), splits.test.tolist()) == ([0, 1], [3], [2])
    assert source.row_target.tolist() == [0, 1, 0, 1]


# Bad pictures


BAD: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "zero bytes": lambda path: path.write_bytes(b""),
    "misnamed": lambda path: path.write_text("text"),
    "50 megapixels": lambda path: path.write_bytes(png_of_size(10_000, 5_000)),
}


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("damage", BAD.values(), ids=BAD)
def test_a_bad_picture_is_named_before_training(damage: Callable[[Path], object], in_memory: bool) -> None:
    write_many(100)
    damage(ROOT / "b" / "7.png")
    with pytest.raises(DataError, match=r"1 of 100 pictures cannot be read") as raised:
        read_pictures(section(in_memory=in_memory))
    assert "data.on_bad=skip" in raised.value.problems[0].hint
    assert "photos/b/7.png" in raised.value.problems[1].text


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_bad_picture_may_be_left_out_and_is_counted(in_memory: bool) -> None:
    write_many(100)
    BAD["zero bytes"](ROOT / "b" / "7.png")
    (ROOT / "b" / "notes.txt").write_text("x")
    wanted = section(in_memory=in_memory, on_bad="skip")
    source = read_pictures(wanted)
    assert source.rows.rows_in == len(source) + sum(source.rows.dropped.values()) == 100
    assert source.rows.dropped == {"unreadable": 1}
    assert len(source.inputs[0]) == len(source.target) == 99
    assert source.row_target.tolist() == [0] * 50 + [1] * 49
    splits = split_by(wanted, source)
    report = examine(source, splits, fit_preprocess(source, splits.train, scaling="none", target_scaling="none"))
    assert report.notes == (
        "1 file is no picture, left out: b/notes.txt",
        "1 of 100 pictures cannot be read, left out: b/7.png is empty",
    )
    assert (report.rows.read, report.rows.used) == (100, 99)


@pytest.mark.parametrize("in_memory", [True, False])
def test_more_than_one_in_a_hundred_is_too_many(in_memory: bool) -> None:
    write_many(100)
    for number in (7, 8):
        BAD["zero bytes"](ROOT / "b" / f"{number}.png")
    with pytest.raises(DataError, match="2 of 100 pictures cannot be read, more than the 1% that may be skipped"):
        read_pictures(section(in_memory=in_memory, on_bad="skip"))


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_second_start_decodes_nothing(in_memory: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write_many(6)
    wanted = section(in_memory=in_memory, cache=str(CACHE))
    first = read_pictures(wanted)
    monkeypatch.setattr("nnkit.data.decode.decode_quietly", None)
    monkeypatch.setattr("nnkit.data.decode.read_header", None)
    again = read_pictures(wanted)
    assert again.fingerprint() == first.fingerprint()
    splits = split_by(wanted, first)
    assert fitted(first, splits.train) == fitted(again, splits.train)


# What is wrong with a path


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gone", "gone is not there"),
        ("gone.csv", r"gone\.csv is not there"),
        ("photos", "photos has no class folders"),
        ("photos/1.png", r"photos/1\.png is one picture, but training takes many"),
        ("set.zip", r"set\.zip is neither a folder nor a CSV file"),
        ("binary.csv", r"binary\.csv is not a CSV file, in line 1"),
        ("empty.csv", r"empty\.csv is empty"),
    ],
)
def test_a_path_that_is_no_set_of_pictures_is_refused_with_a_hint(path: str, message: str) -> None:
    write_classes(Path(), {"photos": 2})
    Path("set.zip").write_bytes(b"PK")
    Path("binary.csv").write_bytes(b"\xff\xfe\x00")
    Path("empty.csv").write_bytes(b"")
    with pytest.raises(DataError, match=message) as raised:
        read_pictures(section(path=path))
    assert raised.value.exit_code == 3
    assert raised.value.problems[0].hint


def test_a_table_without_the_columns_is_refused() -> None:
    Path("a.csv").write_text("file,kind\nx.png,a\n")
    with pytest.raises(ConfigError, match=r"a.csv has no column path") as raised:
        read_pictures(section(path="a.csv"))
    assert raised.value.problems[0].hint == "data.path_column=COLUMN; columns: file, kind"


def test_one_class_is_nothing_to_tell_apart() -> None:
    write_classes(ROOT, {"a": 3})
    with pytest.raises(DataError, match=r"photos has one class only \(a\)"):
        read(section())


# The same results, in memory or not


def fitted(source: Source, train_rows: Any) -> Any:
    return fit_preprocess(source, train_rows, scaling="standard", target_scaling="none").to_plain()


def test_fingerprint_and_statistics_are_the_same_in_memory_or_not() -> None:
    write_many(30)
    inside, outside = (read_pictures(section(in_memory=in_memory)) for in_memory in (True, False))
    assert inside.fingerprint() == outside.fingerprint()
    rows = np.array([1, 5, 6, 29])
    assert inside.take(rows).fingerprint() == outside.take(rows).fingerprint() != inside.fingerprint()
    assert fitted(inside, rows) == fitted(outside, rows)


def test_a_fingerprint_is_of_pixels_and_labels_not_of_the_folder() -> None:
    write_many(6)
    first = read_pictures(section()).fingerprint()
    shutil.copytree(ROOT, "copy")
    assert read_pictures(section(path="copy")).fingerprint() == first
    assert read_pictures(section(size=[4, 4])).fingerprint() != first
    write_picture(Path("copy/a/0.png"), made(5, 4, 1, seed=99))
    assert read_pictures(section(path="copy")).fingerprint() != first


def training(in_memory: bool | str, *words: str) -> Config:
    tiny = ("model=cnn", "model.channels=[3]", "model.kernel_size=3", "model.dense=[]", "batching.batch_size=7")
    place = (f"data.path={ROOT.absolute()}", "data.cache=null", f"data.in_memory={json.dumps(in_memory)}")
    return config_of("data=images", *place, *tiny, "trainer.max_epochs=2", *words)


STREAMED = {
    "shuffled": (),
    "in order": ("batching.shuffle=false",),
    "balanced": ("batching.sampler=balanced",),
    "accumulated": ("batching.accumulate=2", "data.scaling=none"),
    "limited": ("data.limit=60", "data.scaling=minmax", "model.norm=batch"),
    "by workers": ("data.workers=2",),
    "of odd sizes": ("data.size=[3,5]", "batching.batch_size=5", "data.channels=3"),
}


@pytest.mark.parametrize("words", STREAMED.values(), ids=STREAMED)
def test_reading_while_training_trains_the_same_network_bit_by_bit(words: tuple[str, ...]) -> None:
    write_many(90)
    runs = []
    for in_memory in (True, False):
        config = training(in_memory, *words)
        runs.append(train(config, new_folder(config)))
    inside, outside = runs
    assert inside.metrics == outside.metrics
    assert events(inside.folder) == events(outside.folder)
    assert is_equal(last_weights(inside.folder), last_weights(outside.folder))
    assert is_equal(last_state(inside.folder), last_state(outside.folder))


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [True, False])
def test_a_run_goes_on_in_mid_epoch_as_if_it_had_never_stopped(before: bool, after: bool) -> None:
    write_many(90)
    config = training(True)
    whole = train(config, new_folder(config))
    signals = Signals()
    config = training(before, "trainer.checkpoint_every=3")
    folder = new_folder(config)
    stopped = train(config, folder, [Watcher(signals=signals, at_save=1)], signals)
    assert (stopped.status, stopped.steps) == ("interrupted", 3)
    assert last_state(folder)["train"]["position"] > 0
    result = resume(training(after), folder)
    assert result.metrics == whole.metrics
    assert events(folder) == events(whole.folder)
    assert is_equal(last_weights(folder), last_weights(whole.folder))


def test_size_and_channels_are_written_into_the_config() -> None:
    write_many(30)
    config = training(True, "trainer.max_epochs=1")
    folder = new_folder(config)
    train(config, folder)
    data = read_config(folder)["data"]
    assert (data["size"], data["channels"], data["path"]) == ([5, 4], 1, str(ROOT.absolute()))
