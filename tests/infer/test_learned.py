"""Rows that a run was trained on, in an evaluation of new data."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.infer.finished import Finished, open_run
from nnkit.infer.learned import was_learned
from nnkit.run import train
from tests.data.mask_pairs import write_pairs
from tests.data.pictures import write_classes
from tests.finished import command, copy_of, data_path, folder_of, opened, sequence_path, table
from tests.trained import config_of

Capsys = pytest.CaptureFixture[str]
FLATTER = "is what the run was trained on, and rows that were learned flatter the figures"


def run_on(*words: str) -> Finished:
    """A finished run in the working directory, on data whose paths are absolute, as a command makes them."""
    folder = Path("run").absolute()
    folder.mkdir()
    train(config_of(*words, "trainer.max_epochs=1"), folder)
    return open_run(folder)


def test_files_are_known_through_links_while_they_are_the_same_and_a_copy_is_not() -> None:
    own = Path("own.csv").absolute()
    table()[["size", "bought"]].dropna().to_csv(own, index=False)
    run = run_on("data=table", f"data.path={own}", "data.target=bought")
    Path("link.csv").symlink_to(own)
    Path("copy.csv").write_bytes(own.read_bytes())
    assert [was_learned(run, Path(f"{name}.csv")) for name in ("own", "link", "copy", "gone")] == [
        True,
        True,
        False,
        False,
    ]
    table()[["size", "bought"]].dropna()[::-1].to_csv(own, index=False)  # the export of another day
    assert not was_learned(run, own)


@pytest.mark.parametrize("form", ['["{0}/a.csv", "{0}/b.csv"]', "{0}/?.csv"])
def test_each_of_several_files_is_known(form: str) -> None:
    rows = table()[["size", "bought"]].dropna()
    for name, part in (("a", rows[:100]), ("b", rows[100:]), ("new", rows[:50])):
        part.to_csv(f"{name}.csv", index=False)
    run = run_on("data=table", f"data.path={form.format(Path.cwd())}", "data.target=bought")
    assert [was_learned(run, Path(name)) for name in ("a.csv", "b.csv", "new.csv", "?.csv")] == [
        True,
        True,
        False,
        True,
    ]
    assert not was_learned(run, Path("none-*.csv"))


def test_of_pictures_the_folder_and_its_training_part_are_known() -> None:
    for part, count in (("train", 12), ("val", 4), ("test", 4)):
        write_classes(Path("photos"), {f"{part}/cat": count, f"{part}/dog": count})
    write_classes(Path("photos.csv-folder"), {"cat": 2, "dog": 2})
    photos = Path("photos").absolute()
    run = run_on("data=images", f"data.path={photos}", "data.cache=null", "model=cnn", "model.channels=[2]")
    for name, is_learned in (("", True), ("train", True), ("val", False), ("test", False), ("train/cat", True)):
        assert was_learned(run, photos / name) == is_learned, name
    assert not was_learned(run, Path("photos.csv-folder"))
    assert not was_learned(run, Path())  # what lies around the folder is none of it


def test_of_a_table_of_pictures_their_root_is_known_and_what_lies_beside_the_table_is_not() -> None:
    write_classes(Path("root"), {"cat": 20, "dog": 20})
    write_classes(Path("tables"), {"cat": 2, "dog": 2})
    rows = [f"{kind}/{number}.png,{kind}" for kind in ("cat", "dog") for number in range(20)]
    labels = Path("tables/labels.csv").absolute()
    labels.write_text("\n".join(["path,label", *rows]))
    data = ("data=images", f"data.path={labels}", f"data.root={Path('root').absolute()}", "data.cache=null")
    run = run_on(*data, "model=cnn", "model.channels=[2]")
    assert [was_learned(run, place) for place in (labels, Path("root"), Path("tables"))] == [True, True, False]


def test_a_file_makes_nothing_else_in_its_folder_known() -> None:
    run = opened("pixels")
    assert was_learned(run, data_path("pixels"))
    assert not was_learned(run, data_path("pixels").parent)


def test_of_masks_the_pictures_count_and_of_an_embedded_set_nothing_does() -> None:
    pairs = write_pairs(Path("pairs").absolute(), 12)
    more = write_pairs(Path("more").absolute(), 4)
    data = ("data=masks", f"data.images={pairs}/images", f"data.masks={pairs}/masks")
    run = run_on(*data, "model=unet", "model.channels=[2,4]")
    assert was_learned(run, pairs)
    assert not was_learned(run, more)
    assert not was_learned(opened("embedded"), Path("new.csv"))


def test_a_forecast_that_learns_nothing_has_learned_nothing() -> None:
    words = ("data=series", f"data.path={sequence_path('load')}", "data.time=date", "data.target=[load,gas]")
    windows = ("data.window=24", "data.horizon=6", "data.season=12")
    assert not was_learned(run_on(*words, *windows, "model=naive"), sequence_path("load"))
    assert was_learned(opened("load"), sequence_path("load"))


@pytest.mark.parametrize(
    ("words", "way"),
    [
        ((), ": --split test looks at others"),
        (("cv.folds=2", "cv.final=refit", "data.test_fraction=null"), ": --split val looks at others"),
        (("cv.folds=2", "cv.final=ensemble"), ": --split test looks at others"),
        (
            ("cv.folds=2", "cv.final=ensemble", "data.test_fraction=null"),
            ": predictions-oof.csv has the answers of those that have not learned them",
        ),
    ],
)
def test_what_was_learned_is_told_with_a_way_that_can_be_gone(words: tuple[str, ...], way: str, capsys: Capsys) -> None:
    table()[["size", "weight", "bought"]].dropna().to_csv("own.csv", index=False)
    data = ("data=table", "data.path=own.csv", "data.target=bought", "trainer.max_epochs=1", "output_dir=.")
    assert command(capsys, "train", *data, *words)[0] == 0
    code, _, err = command(capsys, "eval", "last", "output_dir=.", "--data", "own.csv", "--no-plots")
    assert (code, f"warning: own.csv {FLATTER}{way}\n" in err) == (0, True)
    if "--split" in way:
        split = way.split()[2]
        code, _, err = command(capsys, "eval", "last", "output_dir=.", "--split", split, "--no-plots")
        assert (code, "warning:" in err) == (0, False)


def test_the_unit_is_that_of_the_task(capsys: Capsys) -> None:
    folder = copy_of(folder_of("load"))
    _, _, err = command(capsys, "eval", folder, "--data", sequence_path("load"), "--no-plots")
    assert "and windows that were learned flatter the figures: --split test looks at others" in err
