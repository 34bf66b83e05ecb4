"""Which pictures a table names, with their labels, or without."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.image_table import list_csv, list_unlabelled
from nnkit.data.images import ImageList
from nnkit.errors import ConfigError, DataError
from tests.data.pictures import write_classes
from tests.data.test_images import ROOT, named, problems


def write_table(rows: Sequence[Sequence[str]], name: str = "set/labels.csv", *, delimiter: str = ",") -> Path:
    path = Path(name)
    path.parent.mkdir(exist_ok=True, parents=True)
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


def listing(path: Path, *, root: Path | None = None, split_column: str | None = None) -> Callable[[], ImageList]:
    return lambda: list_csv(path, path_column="file", target="kind", root=root, split_column=split_column)


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.tsv", "\t"), ("a.TAB", "\t")])
def test_a_table_names_pictures_and_classes(name: str, delimiter: str) -> None:
    write_classes(ROOT, {"x": 3})
    rows = [["id", "file", "kind"], ["7", "x/2.png", " dog "], ["8", "x/0.png", "cat"], ["9", "x/./1.png", "dog"]]
    listed = listing(write_table(rows, f"set/{name}", delimiter=delimiter))()
    assert named(listed) == [("x/2.png", "dog"), ("x/0.png", "cat"), ("x/1.png", "dog")]
    assert (listed.classes, listed.parts) == (("cat", "dog"), None)
    assert listed.files.sizes.tolist() == [(ROOT / path).stat().st_size for path in listed.files.paths]


def test_quotes_commas_and_line_ends_may_stand_in_names() -> None:
    names = ['a, "b".png', "two\nlines.png", "ä ö.png"]
    write_classes(ROOT, {"x": 1})
    for name in names:
        (ROOT / name).write_bytes((ROOT / "x/0.png").read_bytes())
    path = write_table(
        [["file", "kind"], *([name, kind] for name, kind in zip(names, ("a", 'b "c", d', "a"), strict=True))]
    )
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\r\n")  # a byte order mark, and a blank line
    listed = listing(path)()
    assert named(listed) == [(names[0], "a"), (names[1], 'b "c", d'), (names[2], "a")]


def test_paths_start_at_root_and_absolute_ones_may_lie_in_it() -> None:
    write_classes(ROOT, {"x": 2})
    path = write_table([["file", "kind"], ["0.png", "a"], [str((ROOT / "x/1.png").absolute()), "b"]], "tables/t.csv")
    listed = listing(path, root=ROOT / "x")()
    assert (listed.files.root, listed.files.paths) == (ROOT / "x", ("0.png", "1.png"))


def test_a_root_behind_a_link_works() -> None:
    write_classes(ROOT, {"x": 2})
    Path("link").symlink_to("set")
    path = write_table([["file", "kind"], ["x/0.png", "a"], ["x/1.png", "b"]], "link/t.csv")
    listed = listing(path)()
    assert [Path(listed.files.place(row)).is_file() for row in range(2)] == [True, True]


def test_a_column_may_fix_the_parts() -> None:
    write_classes(ROOT, {"x": 5})
    parts = ["train", "TEST", "", "valid", "train"]
    rows = [["file", "kind", "part"], *([f"x/{k}.png", "abbaa"[k], part] for k, part in enumerate(parts))]
    path = write_table(rows)
    assert listing(path, split_column="part")().parts == ("train", "test", "", "val", "train")
    rows[2][1] = "c"
    assert problems(listing(write_table(rows), split_column="part"))[:1] == [
        "set/labels.csv: class c has pictures in test, but none in train"
    ]


def test_all_problems_of_a_table_come_with_their_lines() -> None:
    write_classes(ROOT, {"x": 2, "folder.png": 0})
    write_classes(Path("outside"), {"y": 1})
    (ROOT / "link.png").symlink_to(Path("outside/y/0.png").absolute())
    (ROOT / "linked").symlink_to(Path("outside").absolute())
    (ROOT / "broken.png").symlink_to("gone.png")
    (ROOT / "two\nlines.png").write_bytes(b"x")
    rows = [
        ["file", "kind", "part"],
        ["two\nlines.png", "a", "tset"],
        ["../outside/y/0.png", "a", ""],
        [str(Path("outside/y/0.png").absolute()), "a", ""],
        ["link.png", "a", ""],
        ["linked/y/0.png", "a", ""],
        ["..", "a", ""],
        ["gone.png", " ", ""],
        ["broken.png", "a", ""],
        ["folder.png", "a", ""],
        ["", "a", ""],
        ["x/0.png\0", "a", ""],
        ["x/0.png", "a", ""],
        ["x/../x/0.png", "b", ""],
        ["x/1.png", "b"],
    ]
    absolute = Path("outside/y/0.png").absolute()
    assert problems(listing(write_table(rows), split_column="part")) == [
        "set/labels.csv, line 2, column part: 'tset' is none of train, val, valid, validation, test",
        "set/labels.csv, line 4, column file: '../outside/y/0.png' leaves the folder set",
        f"set/labels.csv, line 5, column file: '{absolute}' leaves the folder set",
        "set/labels.csv, line 6, column file: 'link.png' leaves the folder set",
        "set/labels.csv, line 7, column file: 'linked/y/0.png' leaves the folder set",
        "set/labels.csv, line 8, column file: '..' leaves the folder set",
        "set/labels.csv, line 9, column file: 'gone.png' is not there",
        "set/labels.csv, line 9, column kind: the label is missing",
        "set/labels.csv, line 10, column file: 'broken.png' is not there",
        "set/labels.csv, line 11, column file: 'folder.png' is no file",
        "set/labels.csv, line 12, column file: the path is missing",
        "set/labels.csv, line 13, column file: the path has a zero byte",
        "set/labels.csv, line 15, column file: 'x/../x/0.png' stands in line 14 already, "
        "so that it could be trained on and tested with",
        "set/labels.csv, line 16: 2 values, but the header has 3 names",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"file,kind\n", "has a header, but no rows"),
        (b'file,kind\nx,a\ny,"b\n', "is not a CSV file, in line 3: unexpected end of data"),
        (b"file,kind\n\xff,a\n", "is not a CSV file, in line 1: .* can't decode byte 0xff"),
        (b"file,file,kind\nx,y,a\n", "has 2 columns called file"),
    ],
    ids=["empty", "header alone", "open quote", "no UTF-8", "a column twice"],
)
def test_a_table_that_cannot_be_used_is_refused(content: bytes, message: str) -> None:
    write_classes(ROOT, {"x": 1})
    (ROOT / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=f"set/labels.csv {message}"):
        listing(ROOT / "labels.csv")()


def test_a_missing_table_and_a_missing_column_are_named() -> None:
    with pytest.raises(DataError, match=r"set/labels.csv is not there"):
        listing(ROOT / "labels.csv")()
    path = write_table([["path", "kind"], ["x.png", "a"]])
    with pytest.raises(ConfigError, match=r"set/labels.csv has no column file") as raised:
        listing(path)()
    assert raised.value.problems[0].hint == "data.path_column=COLUMN; columns: path, kind"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2, max_size=8))
def test_any_text_may_be_a_label(labels: list[str]) -> None:
    write_classes(ROOT, {"x": 8})
    path = write_table([["file", "kind"], *([f"x/{k}.png", label] for k, label in enumerate(labels))])
    if all(label.strip() for label in labels):
        assert [label for _, label in named(listing(path)())] == [label.strip() for label in labels]
    else:
        assert problems(listing(path))


# Without labels


def test_a_table_without_labels_keeps_its_cells_and_what_is_not_there() -> None:
    write_classes(ROOT, {"x": 2, "folder.png": 0})
    rows = [["id", "file"], ["7", "x/1.png"], ["8", "gone.png"], ["9", "x/../x/1.png"], ["", "folder.png"]]
    listed = list_unlabelled(write_table(rows), path_column="file")
    assert listed.files.paths == ("x/1.png", "gone.png", "x/1.png", "folder.png")
    assert [size > 0 for size in listed.files.sizes] == [True, False, True, False]
    assert listed.files.sizes[1] == -1
    assert listed.columns == {
        "id": ["7", "8", "9", ""],
        "file": ["x/1.png", "gone.png", "x/../x/1.png", "folder.png"],
    }
    assert (listed.labels, listed.classes) == (None, ())


def test_a_table_without_labels_leads_out_of_its_folder_as_little() -> None:
    write_classes(ROOT, {"x": 1})
    path = write_table([["file"], ["x/0.png"], ["../a.png"], ["x/0.png", "more"], [" "]])
    assert problems(lambda: list_unlabelled(path, path_column="file")) == [
        "set/labels.csv, line 3, column file: '../a.png' leaves the folder set",
        "set/labels.csv, line 4: 2 values, but the header has 1 names",
        "set/labels.csv, line 5, column file: the path is missing",
    ]
    with pytest.raises(ConfigError, match=r"set/labels.csv has no column path"):
        list_unlabelled(path, path_column="path")
    twice = write_table([["file", "id", "id"], ["x/0.png", "1", "2"]])
    with pytest.raises(DataError, match=r"set/labels.csv has 2 columns called id"):
        list_unlabelled(twice, path_column="file")
