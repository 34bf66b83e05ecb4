"""What the first lines of a text file say."""

from __future__ import annotations

from typing import Any

import pytest

from nnkit.errors import ConfigError
from tests.data.broken_tables import small_blocks
from tests.data.test_delimited import cells_of, opened, read


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        ("a,b\n1,2", ","),
        ("a;b\n1,5;2", ";"),
        ("a;b;c\n1,5;2,5;3\n2,5;7;1,5", ";"),
        ("1,5;2,5;0\n2,5;3,5;1", ";"),
        ("a\tb\nx y\tz", "\t"),
        ("a|b\n1,2|3,4", "|"),
        ("a b  c\n 1  2 3 ", "whitespace"),
        ("1,2,a;b\n3,4,c;d", ","),
        ("a\n1", ","),
        ('a,b\n"x;y;z",2', ","),
        ("a,b\n1,2\n1,2,3\n1,2", ","),
        ("text\nof some words\nof more and more words", ","),
    ],
)
def test_the_delimiter_is_found(lines: str, delimiter: str) -> None:
    assert opened(lines + "\n").head.delimiter == delimiter


def test_the_delimiter_may_be_named() -> None:
    assert read("a\tb\n1\t2\n", delimiter="tab") == read("a\tb\n1\t2\n", delimiter="\\t") == [["1", "2"]]
    assert read("a:b\n1:2\n", delimiter=":") == [["1", "2"]]
    assert read('a   b c\n1 \t "x  y" "z"\n5" 6 "\n"a"" "b"c d\n', delimiter="whitespace") == [
        ["1", "x  y", "z"], ['5"', "6", '"'], ['"a""', '"b"c', "d"]
    ]  # fmt: skip


def test_names_that_are_not_as_many_as_the_columns_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"line 1: 2 columns, but data\.names has 1"):
        opened("a,b\n1,2\n", names=("c",))


@pytest.mark.parametrize(
    ("text", "form", "names", "rows"),
    [
        ("1,2\n3,4\n", {}, ("c1", "c2"), 2),
        ("1,NA\n3,4\n", {"missing_values": ("NA",)}, ("c1", "c2"), 2),
        ("1,x\n3,4\n", {}, ("1", "x"), 1),
        ("1,x\n3,4\n", {"header": False}, ("c1", "c2"), 2),
        ("1,2\n3,4\n", {"header": True}, ("1", "2"), 1),
        ("a,b\n3,4\n", {"names": ("a", "b")}, ("a", "b"), 1),
        ("a,b\n3,4\n", {"names": ("x", "y")}, ("x", "y"), 2),
        ("a,b\n3,4\n", {"names": ("x", "y"), "header": True}, ("x", "y"), 1),
        ("b,a\n3,4\n", {"names": ("a", "b")}, ("b", "a"), 1),
        ("b,a\n3,4\n", {"names": ("a", "b"), "header": True}, ("b", "a"), 1),
        ("b,a\n3,4\n", {"names": ("a", "b"), "header": False}, ("a", "b"), 2),
        (" b\n3\n", {"names": ("a", "b")}, ("b",), 1),
        ("a,a\n3,4\n", {"names": ("a", "b")}, ("a", "b"), 2),
        ("2020,2019\n3,4\n", {"known_names": frozenset({"2019", "2020"})}, ("2020", "2019"), 1),
        ("2020,7,2019\n3,4,5\n", {"known_names": frozenset({"2019", "2020"})}, ("2020", "7", "2019"), 1),
        ("2020\n3\n", {"known_names": frozenset({"2019", "2020"})}, ("2020",), 1),
        ("2020,7\n3,4\n", {"known_names": frozenset({"2019", "2020"})}, ("c1", "c2"), 2),
        ("2020,2019\n3,4\n", {"known_names": frozenset({"2020"}), "header": False}, ("c1", "c2"), 2),
        ("3,4\n", {"names": ("x", "t", "y"), "absent_names": (("t",),)}, ("x", "y"), 1),
        ('" a ","b\nc"\n3,4\n', {}, ("a", "b\nc"), 1),
        ('# x\n\n# y\na,b\n#,"\n3,4\n#z\n', {"comment": "#"}, ("a", "b"), 1),
        (",a\n3,4\n", {}, ("column 1", "a"), 1),
        ("a,b,\n3,4,\n", {}, ("a", "b", "column 3"), 1),
        ("a,b\n3,4,\n5,6,\n", {}, ("a", "b", "column 3"), 2),
    ],
)
def test_the_header_is_found(text: str, form: dict[str, Any], names: tuple[str, ...], rows: int) -> None:
    for size in (5, 1 << 20):
        with small_blocks(size):
            file = opened(text, **form)
            assert (file.head.names, len(cells_of(file))) == (names, rows)
            assert file.unnamed == {name for name in names if name.startswith("column")}
