"""Which pictures there are: folders, one a class, and parts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nnkit.data.images import ImageList, list_folder
from nnkit.errors import DataError
from tests.data.pictures import write_classes

ROOT = Path("set")


def named(listed: ImageList) -> list[tuple[str, str]]:
    """Return each path with its class name."""
    assert listed.labels is not None
    return [(path, listed.classes[label]) for path, label in zip(listed.files.paths, listed.labels, strict=True)]


def problems(read: Callable[[], ImageList]) -> list[str]:
    with pytest.raises(DataError) as raised:
        read()
    return [problem.text for problem in raised.value.problems]


def test_a_folder_is_a_class_with_all_that_lies_below_it() -> None:
    write_classes(ROOT, {"dog": 2, "cat": 1, "cat/young/tabby": 1})
    listed = list_folder(ROOT)
    cats, dogs = ["cat/0.png", "cat/young/tabby/0.png"], ["dog/0.png", "dog/1.png"]
    assert named(listed) == [*((path, "cat") for path in cats), *((path, "dog") for path in dogs)]
    assert (listed.parts, listed.notes, len(listed)) == (None, (), 4)


def test_files_carry_the_size_and_the_time_that_they_have() -> None:
    write_classes(ROOT, {"a": 1, "b": 1})
    files = list_folder(ROOT).files
    facts = [(ROOT / path).stat() for path in files.paths]
    assert files.sizes.tolist() == [fact.st_size for fact in facts]
    assert files.mtimes.tolist() == [fact.st_mtime_ns for fact in facts]
    assert files[[1]].paths == ("b/0.png",)
    assert files[files.sizes < 0].paths == ()
    assert files.place(1) == "set/b/0.png"


def test_the_stamp_changes_with_name_time_and_order() -> None:
    write_classes(ROOT, {"a": 1, "b": 1})
    files = list_folder(ROOT).files
    stamps = {files.stamp(), files[::-1].stamp()}
    (ROOT / "a/0.png").rename(ROOT / "a/1.png")
    stamps.add(list_folder(ROOT).files.stamp())
    os.utime(ROOT / "a/1.png", ns=(1, 1))
    stamps.add(list_folder(ROOT).files.stamp())
    assert len(stamps) == 4
    assert list_folder(ROOT).files.stamp() in stamps


@pytest.mark.parametrize(
    ("folders", "classes"),
    [
        (["10", "9", "1"], ("1", "9", "10")),
        (["10", "9", "a"], ("10", "9", "a")),
        (["-1", "0", "10"], ("-1", "0", "10")),
        (["b", "B", "a"], ("B", "a", "b")),
    ],
    ids=["whole numbers", "a name among them", "a sign", "letters"],
)
def test_classes_go_by_name_but_whole_numbers_by_value(folders: list[str], classes: tuple[str, ...]) -> None:
    write_classes(ROOT, dict.fromkeys(folders, 1))
    assert list_folder(ROOT).classes == classes


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_folders_called_train_val_and_test_are_parts(val: str) -> None:
    write_classes(ROOT, {"test/a": 1, "train/b": 1, "train/a": 1, f"{val}/a": 1})
    listed = list_folder(ROOT)
    assert named(listed) == [
        ("train/a/0.png", "a"),
        ("train/b/0.png", "b"),
        (f"{val}/a/0.png", "a"),
        ("test/a/0.png", "a"),
    ]
    assert listed.parts == ("train", "train", "val", "test")


def test_a_class_may_be_called_train() -> None:
    write_classes(ROOT, {"train": 1, "plane": 1})
    listed = list_folder(ROOT)
    assert (listed.classes, listed.parts) == (("plane", "train"), None)


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["train/a", "train/b", "test/a", "extra/a"], "has the parts test, train, but has extra beside them"),
        (["test/a", "val/a"], "has the parts test, val, but no train"),
    ],
    ids=["another folder", "no train"],
)
def test_parts_that_are_not_the_whole_layout_are_refused(folders: list[str], message: str) -> None:
    write_classes(ROOT, dict.fromkeys(folders, 1))
    with pytest.raises(DataError, match=message) as raised:
        list_folder(ROOT)
    assert "FOLDER/train/<class>/1.png" in raised.value.problems[0].hint


def test_a_class_that_training_lacks_is_named() -> None:
    write_classes(ROOT, {"train/a": 1, "train/b": 1, "val/c": 1, "test/c": 1, "test/d": 1})
    assert problems(lambda: list_folder(ROOT)) == [
        "set: class c has pictures in val and test, but none in train",
        "set: class d has pictures in test, but none in train",
    ]


def test_what_is_no_picture_is_counted_and_named() -> None:
    write_classes(ROOT, {"a": 1, "b": 1, ".cache/c": 1})
    for name in ("a/.DS_Store", "a/notes.txt", "b/._0.png", "b/thumbs.db", "readme.md", "a/drawing.eps"):
        (ROOT / name).write_bytes(b"x")
    (ROOT / "b/1.PNG").write_bytes((ROOT / "a/0.png").read_bytes())
    listed = list_folder(ROOT)
    assert listed.files.paths == ("a/0.png", "b/0.png", "b/1.PNG")
    assert listed.notes == (
        "7 files are no pictures, left out: .cache, a/.DS_Store, a/drawing.eps, a/notes.txt, b/._0.png, …",
    )


def test_a_picture_beside_the_class_folders_is_named() -> None:
    write_classes(ROOT, {"a": 1, "b": 1, ".": 1})
    assert list_folder(ROOT).notes == ("1 picture is in no class folder, left out: 0.png",)
    write_classes(Path("parts"), {"train/a": 1, "train/b": 1, "test/a": 1, "test": 2})
    assert list_folder(Path("parts")).notes == ("2 pictures are in no class folder, left out: test/0.png, test/1.png",)


def test_a_pipe_is_no_picture() -> None:
    write_classes(ROOT, {"a": 1, "b": 1})
    os.mkfifo(ROOT / "a/1.png")
    assert list_folder(ROOT).notes == ("1 file is no picture, left out: a/1.png",)


def test_linked_folders_and_files_are_followed() -> None:
    write_classes(Path("elsewhere"), {"x": 2})
    write_classes(ROOT, {"a": 1})
    (ROOT / "b").symlink_to(Path("elsewhere/x").absolute())
    (ROOT / "a/1.png").symlink_to(Path("elsewhere/x/0.png").absolute())
    assert list_folder(ROOT).files.paths == ("a/0.png", "a/1.png", "b/0.png", "b/1.png")


def test_all_problems_of_a_folder_come_together() -> None:
    write_classes(ROOT, {"a": 1, "b": 1, "empty": 0, "text": 0})
    (ROOT / "text/a.txt").write_text("x")
    (ROOT / "a/up").symlink_to(ROOT.absolute() / "a")
    (ROOT / "b/nowhere.png").symlink_to("gone.png")
    (ROOT / "b/itself.png").symlink_to("itself.png")
    assert problems(lambda: list_folder(ROOT)) == [
        "set/a/up is a link to a folder that it lies in",
        "set/b/itself.png cannot be read: Too many levels of symbolic links",
        "set/b/nowhere.png cannot be read: No such file or directory",
        "class folder set/empty has no picture",
        "class folder set/text has no picture",
    ]


def test_a_folder_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write_classes(ROOT, {"a": 1, "b": 1})
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)  # tests may run as root, whom nothing is refused
    assert problems(lambda: list_folder(ROOT)) == ["set/a cannot be read: Permission denied"]


def test_after_twenty_problems_the_others_are_counted() -> None:
    write_classes(ROOT, {f"c{k:02}": 0 for k in range(25)})
    told = problems(lambda: list_folder(ROOT))
    assert told[0] == "class folder set/c00 has no picture"
    assert told[19:] == ["class folder set/c19 has no picture", "and 5 more"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: None, "set is not there"),
        (lambda: ROOT.write_text("x"), "set is no folder"),
        (lambda: write_classes(ROOT, {".": 3}), "set has no class folders"),
        (lambda: write_classes(ROOT, {"train": 3}), "set/train has no class folders"),
    ],
    ids=["nothing", "a file", "no folders", "no classes"],
)
def test_a_folder_of_another_layout_is_refused(make: Callable[[], None], message: str) -> None:
    make()
    with pytest.raises(DataError, match=message) as raised:
        list_folder(ROOT)
    assert raised.value.problems[0].hint
