"""Texts with labels, by the way that files are laid out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.text_layouts import Labelled, layout_of, read_labelled
from nnkit.errors import ConfigError, DataError
from tests.data.broken_sequences import write_folder


def read(path: str, **settings: Any) -> Labelled:
    config = TextConfig(kind="text", path=path, val_fraction=0.2, test_fraction=0.2, **settings)
    return read_labelled(config, path)


def test_a_line_is_a_label_and_a_text() -> None:
    lines = ["1 two  words", "", "0\ta\ttab", " \t ", "__label__x \t  one\u2028line\x85 ", "1", "0 "]
    Path("x.all").write_text("\ufeff" + "\r\n".join(lines), encoding="utf-8", newline="")
    found = read("x.all")
    assert found.labels == ["1", "0", "__label__x", "1", "0"]
    assert found.texts == ["two  words", "a\ttab", "one\u2028line", "", ""]
    assert found.name.endswith("/x.all")


def test_lines_without_a_label_are_told_together() -> None:
    Path("x").write_text("1 a\n text\n\n\ttext\n")
    with pytest.raises(DataError) as caught:
        read("x")
    texts = [problem.text.split("/")[-1] for problem in caught.value.problems]
    assert texts == [f"x, line {k}: a blank where the label is expected" for k in (2, 4)]


def test_a_text_without_labels_is_not_taken_for_one_with_many() -> None:
    Path("x").write_text("".join(f"w{k} is a word\n" for k in range(30)) + "w0 again\n")
    with pytest.raises(DataError, match=r"x: 30 different words begin its 31 lines, such as 'w1': these are no labels"):
        read("x")
    Path("x").write_text("".join(f"w{k} is a word\n" for k in range(20)))
    assert len(set(read("x").labels)) == 20


def test_a_very_long_line_is_one_text() -> None:
    Path("x").write_text("1 " + "long " * 500_000 + "\n0 b\n")
    assert [len(text) for text in read("x").texts] == [2_499_999, 1]


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.tsv", "x.parquet"])
def test_a_table_has_a_column_of_texts_and_one_of_labels(name: str) -> None:
    texts, labels = ['a, "b"', "two\nlines", "", "é;"], ["x", "y", "x", "y"]
    delimiter = "\t" if name == "x.tsv" else ","
    rows = ['1,"a, ""b""",x', '2,"two\r\nlines", y ', "3,,x", "4,é;,y"]
    text = "\n".join(["id,review,stars", *rows]).replace(",", delimiter).replace(f"a{delimiter} ", "a, ")
    if name == "x.parquet":
        pq.write_table(pa.table({"id": [1, 2, 3, 4], "review": [*texts[:2], None, texts[3]], "stars": labels}), name)
    else:
        Path(name).write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    found = read(name, text="review", target="stars")
    assert found.texts == ['a, "b"', "two lines", "", "é;"]
    assert found.labels == labels


def test_several_tables_are_one() -> None:
    for name in ("b.csv", "a.csv"):
        Path(name).write_text(f"label,text\n1,{name}\n")
    found = read("*.csv")
    assert (found.texts, found.name.split("/")[-1]) == (["a.csv", "b.csv"], "a.csv and 1 more")


def test_labels_of_a_parquet_file_may_be_numbers() -> None:
    pq.write_table(pa.table({"text": ["a", "b"], "label": [3, 4]}), "x.parquet")
    assert read("x.parquet").labels == ["3", "4"]


@pytest.mark.parametrize(
    ("text", "settings", "error", "message"),
    [
        ("text,label\na,1\n", {"text": "txt"}, ConfigError, r"x\.csv has no column txt"),
        ("text,label\na,1\n", {"target": "stars"}, ConfigError, r"x\.csv has no column stars"),
        (
            "text,label\na,1\nb,\n\nc, \n",
            {},
            DataError,
            r"x\.csv, line 3, column label: the value is missing; .*line 5",
        ),
        ("text,label\na,1\nb, c,1\nd,2\n", {}, DataError, r"x\.csv, line 3: 3 values, but there are 2 columns"),
        ("text,label\n\xe9,1\n", {}, DataError, r"x\.csv, line 2: not utf-8 text"),
        ("text,label\na,1\n", {"encoding": "utf-9"}, ConfigError, r"data\.encoding=utf-9"),
    ],
)
def test_a_table_that_does_not_fit_is_told(text: str, settings: Any, error: Any, message: str) -> None:
    Path("x.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(error, match=message):
        read("x.csv", **settings)


def test_a_column_of_lists_is_no_text() -> None:
    pq.write_table(pa.table({"text": [["a"], ["b"]], "label": [3, 4]}), "x.parquet")
    with pytest.raises(DataError, match=r"x\.parquet: column text holds list<.*>, not text"):
        read("x.parquet")


def test_a_folder_is_a_class_and_a_file_a_text() -> None:
    files = {"neg/2.txt": "bad\nfilm\n", "neg/10.txt": "\ufeffworse", "pos/a.txt": "", "pos/b.md": "x", "README": "x"}
    write_folder("f", files | {".git/x.txt": "x", "pos/.hidden.txt": "x"})
    found = read("f")
    assert found.texts == ["worse", "bad film", ""]
    assert found.labels == ["neg", "neg", "pos"]
    assert found.notes == ("4 files are no .txt files, left out: .git, README, pos/.hidden.txt, pos/b.md",)


@pytest.mark.parametrize(
    ("files", "layout", "message"),
    [
        ({"neg/1.txt": "a", "pos/1.md": "a"}, "auto", r"class folder .*f/pos has no \.txt file"),
        ({"x.md": "a"}, "folders", r"f has no class folders"),
        ({"train/pos/1.txt": "a", "test/pos/1.txt": "b"}, "auto", r"f has the parts test, train, not classes"),
        ({"x.md": "a"}, "files", r"f has no \.txt file"),
        ({"a.txt": " \n", "b.txt": "b"}, "files", r"f/a\.txt, of the class a, has no text"),
        ({"a.txt": "a", "a.txt.bz2": "b"}, "files", r"f/a\.txt\.bz2: another file is of the class a, too"),
    ],
)
def test_a_folder_that_does_not_fit_is_told(files: dict[str, str], layout: Any, message: str) -> None:
    write_folder("f", files)
    with pytest.raises(DataError, match=message):
        read("f", layout=layout)


def test_a_folder_of_classes_is_a_folder() -> None:
    Path("x.txt").write_text("a")
    with pytest.raises(DataError, match=r"x\.txt is no folder, but data\.layout=folders"):
        read("x.txt", layout="folders")
    with pytest.raises(DataError, match=r"y is not there, but data\.layout=folders"):
        read("y", layout="folders")


def test_a_file_is_a_class_and_a_line_a_text() -> None:
    write_folder("f", {"Irish.txt": "\ufeffÓ Shea\r\n\r\n Byrne \r\n", "Dutch.txt": "de\u2028Vries", "LICENSE": "MIT"})
    Path("f/Old Norse.txt.gz").write_bytes(gzip.compress(b"Odin\n"))
    found = read("f")
    assert found.labels == ["Dutch", "Irish", "Irish", "Old Norse"]
    assert found.texts == ["de\u2028Vries", "Ó Shea", "Byrne", "Odin"]
    assert found.notes == ("1 file is no .txt file, left out: LICENSE",)
    assert read("f/*.txt", layout="files").labels == ["Dutch", "Irish", "Irish"]


@pytest.mark.parametrize(
    ("path", "layout"),
    [
        ("x.txt", "lines"),
        ("x.all", "lines"),
        ("x.CSV", "table"),
        ("x.tsv.gz", "table"),
        ("x.pq", "table"),
        ("f", "files"),
        ("g", "folders"),
        ("*.tsv.gz", "table"),
    ],
)
def test_the_path_suggests_the_layout(path: str, layout: str) -> None:
    names = ("x.txt", "x.all", "x.CSV", "x.tsv.gz", "x.pq", "f/a.txt", "f/b/c", "g/a/x.txt")
    write_folder(".", dict.fromkeys(names, ""))
    assert layout_of(path) == layout


def test_a_path_that_leads_nowhere_is_told() -> None:
    with pytest.raises(DataError, match=r"no file matches \*\.csv"):
        read("*.csv")
    with pytest.raises(DataError, match=r"x\.csv is not there"):
        read("x.csv")
