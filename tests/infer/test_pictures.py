"""Predictions on picture files: one, a folder, a table of paths, from Python and from the command line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nnkit
from nnkit.cli.words import name_of
from nnkit.errors import ConfigError, DataError
from nnkit.infer import pictures
from nnkit.infer.finished import Finished, open_run
from nnkit.infer.pictures import image_format, picture_parts, pixels_of
from nnkit.infer.predict import Told
from nnkit.run import train
from tests.data.pictures import png_of_size, write_classes, write_picture
from tests.finished import command, folder_of, opened, place
from tests.trained import config_of

Capsys = pytest.CaptureFixture[str]
INPUT = Path("in")


def shade(bright: bool, seed: int, *shape: int) -> Any:
    """Pixels that are dark or bright, which a network tells apart."""
    low = 150 if bright else 0
    return np.random.default_rng(seed).integers(low, low + 100, shape or (8, 8), dtype=np.uint8)


@cache
def photos_run() -> Path:
    """The folder of a run trained on grey PNG files of 8 x 8 in the classes bright and dark."""
    photos, folder = place() / "photos", place() / "outputs" / "photos"
    for number in range(60):
        kind = ("dark", "bright")[number % 2]
        write_picture(photos / kind / f"{number:02}.png", shade(kind == "bright", number))
    folder.mkdir(parents=True)
    data = ("data=images", f"data.path={photos}", "data.cache=null", "data.path_column=file")
    words = ("model=cnn", "model.channels=[4]", "trainer.max_epochs=15", "optimizer.lr=0.01")
    result = train(config_of(*data, *words), folder)
    assert result.metrics["test/accuracy"] == 1
    return folder


@cache
def photos() -> Finished:
    return open_run(photos_run())


def write_inputs(num: int = 4) -> list[str]:
    """Write pictures, dark and bright in turn; return their classes."""
    for number in range(num):
        write_picture(INPUT / f"{number:03}.png", shade(number % 2 == 1, 1000 + number))
    return [("dark", "bright")[number % 2] for number in range(num)]


def answered(capsys: Capsys, source: str | Path, *words: str, run: Path | None = None) -> tuple[pd.DataFrame, str]:
    code, _, err = command(capsys, "predict", run or photos_run(), source, "-o", "out.csv", *words)
    assert code == 0, err
    return pd.read_csv("out.csv", dtype=str), err


# One, a folder, a table


def test_a_picture_is_answered_with_its_name(capsys: Capsys) -> None:
    write_inputs()
    found, err = answered(capsys, INPUT / "001.png", "--proba")
    assert found.columns.tolist() == ["path", "prediction", "probability_bright", "probability_dark"]
    assert found["path"].tolist() == ["001.png"]
    assert found["prediction"].tolist() == ["bright"]
    assert "1 rows predicted" in err


def test_a_folder_is_answered_in_the_order_of_its_names(capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "AT_ONCE", 3)
    kinds = write_inputs(8)
    write_picture(INPUT / "deeper" / "8.jpg", shade(True, 5, 20, 30))
    (INPUT / "notes.txt").write_text("x")
    found, err = answered(capsys, INPUT)
    assert found["path"].tolist() == [*(f"{number:03}.png" for number in range(8)), "deeper/8.jpg"]
    assert found["prediction"].tolist() == [*kinds, "bright"]
    assert "left out: 1 file is no picture: notes.txt" in err


def test_a_glob_is_answered_below_the_folder_before_its_wildcards(capsys: Capsys) -> None:
    kinds = write_inputs(4)
    write_picture(INPUT / "deeper" / "8.png", shade(True, 5))
    (INPUT / "1.txt").write_text("x")
    found, err = answered(capsys, INPUT / "00[0-2].*")
    assert found["path"].tolist() == ["000.png", "001.png", "002.png"]
    assert found["prediction"].tolist() == kinds[:3]
    found, err = answered(capsys, INPUT / "**" / "*")
    assert found["path"].tolist() == [*(f"{number:03}.png" for number in range(4)), "deeper/8.png"]
    assert "left out: 1 file is no picture: 1.txt" in err
    write_picture(Path("odd[1]/a.png"), shade(True, 5))
    write_picture(Path("odd[1]/pics/b.png"), shade(True, 6))
    write_picture(Path("odd1/pics/c.png"), shade(True, 7))
    assert answered(capsys, "odd[1]/a.png")[0]["path"].tolist() == ["a.png"]
    assert answered(capsys, "odd[1]/pics/*.png")[0]["path"].tolist() == ["b.png"]
    assert answered(capsys, "odd[1]/*/*.png")[0]["path"].tolist() == ["pics/b.png"]
    code, _, err = command(capsys, "predict", photos_run(), "odd[1]/gone.png", "-o", "out.csv")
    assert (code, "odd[1]/gone.png is not there" in err) == (3, True)
    assert command(capsys, "predict", photos_run(), "in/*.jpg", "-o", "out.csv")[0] == 3


def test_answers_to_all_of_a_folder_are_called_after_it() -> None:
    assert [name_of(word) for word in ("in/*.png", "in/00*.png", "/*.png")] == ["in", "00_", "data"]


@pytest.mark.parametrize(
    ("words", "pattern", "folder"),
    [
        (("in/000.png", "in/001.png"), "in/*.png", "in"),
        (("in/000.png", "in/deeper/8.png"), "in/**/*.png", "in"),
        (("in/000.png", "in/9.jpg"), "in/*", "in"),
    ],
)
def test_several_pictures_are_told_what_works(
    words: tuple[str, ...], pattern: str, folder: str, capsys: Capsys
) -> None:
    write_inputs(2)
    write_picture(INPUT / "deeper" / "8.png", shade(True, 5))
    write_picture(INPUT / "9.jpg", shade(True, 5))
    code, _, err = command(capsys, "predict", "last", *words)
    assert code == 2
    assert (
        f"hint: nnkit predict last '{pattern}' (a glob, in quotes), or their folder: nnkit predict last {folder}" in err
    )
    assert set(words) <= {str(path) for path in Path().glob(pattern)}


def test_pictures_here_and_elsewhere_are_told_what_works(tmp_path: Path, capsys: Capsys) -> None:
    write_inputs(2)
    code, _, err = command(capsys, "predict", "last", "in/000.png", tmp_path / "in" / "001.png")
    assert (code, f"hint: nnkit predict last '{tmp_path}/in/*.png' (a glob, in quotes)" in err) == (2, True)
    write_picture(Path("a.png"), shade(True, 5))
    code, _, err = command(capsys, "predict", "last", "a.png", tmp_path / "in" / "001.png")
    assert (code, f"hint: nnkit predict last '{tmp_path}/**/*.png' (a glob, in quotes)" in err) == (2, True)


def test_several_tables_are_told_of_a_glob_of_tables(capsys: Capsys) -> None:
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("x")
    assert command(capsys, "predict", "last", "a.csv", "b.csv")[0] == 2
    assert 'several files as a glob in quotes: "part-*.csv"' in command(capsys, "predict", "last", "a.csv", "b.csv")[2]


def test_many_pictures_are_not_all_told(capsys: Capsys) -> None:
    write_inputs(9)
    code, _, err = command(capsys, "predict", "last", *sorted(INPUT.iterdir()))
    assert code == 2
    assert "in/003.png … (10 words)" in err
    assert "in/004.png" not in err


def test_a_table_is_answered_with_its_other_columns(capsys: Capsys) -> None:
    write_inputs()
    rows = ["id,file,note", '07,003.png,"a, b"', "08,./000.png,", "09,003.png,c"]
    (INPUT / "list.csv").write_text("\n".join(rows))
    found, _ = answered(capsys, INPUT / "list.csv")
    assert found.columns.tolist() == ["id", "file", "note", "prediction"]
    assert found["id"].tolist() == ["07", "08", "09"]
    assert found["file"].tolist() == ["003.png", "./000.png", "003.png"]
    assert found["note"].fillna("").tolist() == ["a, b", "", "c"]
    assert found["prediction"].tolist() == ["bright", "dark", "bright"]


def test_a_run_on_other_pixels_takes_the_column_path(capsys: Capsys) -> None:
    write_inputs()
    (INPUT / "list.tsv").write_text("path\n001.png\n")
    found, _ = answered(capsys, INPUT / "list.tsv", run=folder_of("pixels"))
    assert len(found) == 1


def test_colours_become_grey_for_a_grey_run(capsys: Capsys) -> None:
    grey = shade(True, 3)
    write_picture(INPUT / "colour.png", np.stack([grey] * 3, axis=-1))
    write_picture(INPUT / "grey.png", grey)
    found, _ = answered(capsys, INPUT, "--proba")
    assert found["probability_bright"].nunique() == 1
    np.testing.assert_array_equal(pixels_of(photos(), [INPUT / "colour.png"])[0, 0], grey)


def test_the_answers_are_those_of_the_pixels(capsys: Capsys) -> None:
    write_inputs()
    paths = sorted(INPUT.iterdir())
    loaded = nnkit.load(photos_run())
    pixels = np.stack([shade(number % 2 == 1, 1000 + number)[None] for number in range(4)])
    np.testing.assert_array_equal(loaded.predict_proba(paths), loaded.predict_proba(pixels))
    assert loaded.predict([str(path) for path in paths]).tolist() == ["dark", "bright"] * 2
    assert loaded.predict(paths[1]).tolist() == ["bright"]


# What is refused


def test_bad_pictures_are_named(capsys: Capsys) -> None:
    write_inputs()
    (INPUT / "000.png").write_bytes(b"")
    (INPUT / "002.png").write_bytes(png_of_size(10_000, 5_000))
    code, _, err = command(capsys, "predict", photos_run(), INPUT, "-o", "out.csv")
    assert code == 3
    assert "in/000.png is empty" in err
    assert "in/002.png is too large" in err
    assert "--on-bad skip leaves it out" in err
    assert not Path("out.csv").exists()
    with pytest.raises(DataError, match=r"in/000.png is empty; in/002.png is too large"):
        nnkit.load(photos_run()).predict([INPUT / "000.png", INPUT / "001.png", INPUT / "002.png"])


def test_bad_pictures_are_left_out_and_counted(capsys: Capsys) -> None:
    write_inputs(6)
    (INPUT / "000.png").write_bytes(b"")
    (INPUT / "list.csv").write_text("file\n000.png\n001.png\ngone.png\n002.png\n")
    found, err = answered(capsys, INPUT, "--on-bad", "skip")
    assert found["path"].tolist() == [f"{number:03}.png" for number in range(1, 6)]
    assert "1 of 6 rows were left out" in err
    found, err = answered(capsys, INPUT / "list.csv", "--on-bad", "skip")
    assert found["file"].tolist() == ["001.png", "002.png"]
    assert "in/gone.png is not there" in err
    assert "2 of 4 rows were left out" in err


def test_a_folder_of_nothing_but_bad_pictures_is_no_answer(capsys: Capsys) -> None:
    write_inputs(1)
    (INPUT / "000.png").write_bytes(b"")
    code, _, err = command(capsys, "predict", photos_run(), INPUT, "-o", "out.csv", "--on-bad", "skip")
    assert code == 3
    assert "no row that could be predicted" in err


@pytest.mark.parametrize(
    ("lines", "code", "message"),
    [
        ("file\ngone.png\n", 3, "in/gone.png is not there"),
        ("file\n../outside.png\n", 3, "line 2, column file: '../outside.png' leaves the folder"),
        ("file\nlinked.png\n", 3, "line 2, column file: 'linked.png' leaves the folder"),
        ("path\n000.png\n", 2, "list.csv has no column file"),
        ("file\n", 3, "no row that could be predicted"),
    ],
)
def test_a_table_that_cannot_be_followed_is_refused(lines: str, code: int, message: str, capsys: Capsys) -> None:
    write_inputs(1)
    write_picture(Path("outside.png"), shade(True, 0))
    (INPUT / "linked.png").symlink_to(Path("outside.png").absolute())
    (INPUT / "list.csv").write_text(lines)
    found, _, err = command(capsys, "predict", photos_run(), INPUT / "list.csv", "-o", "out.csv")
    assert found == code
    assert message in " ".join(err.split())
    assert "data." not in err


@pytest.mark.parametrize("source", ["gone.png", "gone", "in"])
def test_what_is_not_there_is_told(source: str, capsys: Capsys) -> None:
    INPUT.mkdir()
    code, _, err = command(capsys, "predict", photos_run(), source, "-o", "out.csv")
    assert code == 3
    assert source in err


def test_a_run_on_numbers_refuses_pictures(capsys: Capsys) -> None:
    write_inputs(1)
    folder = Path("digits").absolute()
    folder.mkdir()
    train(config_of("data=digits", "data.limit=100", "trainer.max_epochs=1"), folder)
    code, _, err = command(capsys, "predict", folder, INPUT, "-o", "out.csv")
    assert code == 2
    assert "the images of data=digits are numbers of a scale of their own" in err
    assert "an .npz or .npy file with x" in err


def test_a_run_without_pictures_refuses_them() -> None:
    with pytest.raises(ConfigError, match="the run was trained on data=array, which is no pictures"):
        image_format(opened("array"))
    with pytest.raises(ConfigError, match="was trained on data=table, which is no pictures"):
        next(picture_parts(opened("binary"), INPUT, Told(), on_bad="error"))


def test_a_run_of_two_channels_refuses_pictures() -> None:
    rng = np.random.default_rng(0)
    np.savez("two.npz", x=rng.integers(0, 256, (30, 2, 6, 6), dtype=np.uint8), y=np.arange(30) % 2)
    folder = Path("two").absolute()
    folder.mkdir()
    train(config_of("data=array", "data.path=two.npz", "trainer.max_epochs=1"), folder)
    with pytest.raises(ConfigError, match="images of 2 channels, which no picture file has"):
        image_format(open_run(folder))


# With labels


def test_eval_measures_class_folders(capsys: Capsys) -> None:
    for number in range(12):
        kind = ("dark", "bright")[number % 2]
        write_picture(Path("new") / kind / f"{number}.jpg", shade(kind == "bright", 500 + number, 11, 9, 3))
    code, out, err = command(capsys, "eval", photos_run(), "--data", "new", "-o", "found", "--json", "--no-plots")
    assert code == 0, err
    plain = json.loads(out)
    assert (plain["rows"], plain["metrics"]["accuracy"]) == (12, 1.0)


def test_eval_takes_a_folder_of_one_class(capsys: Capsys) -> None:
    write_classes(Path("new"), {"bright": 3})
    code, _, err = command(capsys, "eval", photos_run(), "--data", "new", "-o", "found", "--no-plots")
    assert code == 0, err


def test_eval_names_a_class_that_the_run_does_not_know(capsys: Capsys) -> None:
    write_classes(Path("new"), {"bright": 2, "dim": 2})
    code, _, err = command(capsys, "eval", photos_run(), "--data", "new", "-o", "found")
    assert code == 3
    assert "new has the label dim, which the run does not know" in " ".join(err.split())
    assert "bright, dark" in err


def test_eval_of_the_runs_own_pictures(capsys: Capsys) -> None:
    code, out, err = command(capsys, "eval", photos_run(), "-o", "found", "--json", "--no-plots")
    assert code == 0, err
    assert json.loads(out)["metrics"]["accuracy"] == 1
