"""A name in a run folder belongs to one input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnkit.infer.places import ANSWERS, free_name, identity, is_within, remember

FORMS = ("predictions-of-{}.csv", "masks-of-{}")
RUN = Path("run")


@pytest.fixture(autouse=True)
def _run() -> None:
    RUN.mkdir()


def write(name: str, source: str) -> None:
    path = RUN / f"predictions-of-{name}.csv"
    path.write_text(source)
    remember(RUN, [path, None], source)


def test_an_input_keeps_its_name_and_another_one_gets_a_number() -> None:
    assert free_name(RUN, "x", "/a/x", FORMS) == "x"
    write("x", "/a/x")
    assert free_name(RUN, "x", "/a/x", FORMS) == "x"
    assert free_name(RUN, "x", "/b/x", FORMS) == "x-2"
    write("x-2", "/b/x")
    assert [free_name(RUN, "x", source, FORMS) for source in ("/a/x", "/b/x", "/c/x")] == ["x", "x-2", "x-3"]


def test_a_folder_of_masks_takes_the_name_too_and_what_nobody_noted_is_anothers() -> None:
    (RUN / "masks-of-x").mkdir()
    assert free_name(RUN, "x", "/a/x", FORMS) == "x-2"
    remember(RUN, [RUN / "masks-of-x", Path("elsewhere.csv")], "/a/x")
    assert free_name(RUN, "x", "/a/x", FORMS) == "x"
    assert json.loads((RUN / ANSWERS).read_text()) == {"files": {"masks-of-x": "/a/x"}}


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"files": {"predictions-of-x.csv": 3}}', "{}"])
def test_a_damaged_list_costs_a_number_and_no_answer(text: str) -> None:
    write("x", "/a/x")
    (RUN / ANSWERS).write_text(text)
    assert free_name(RUN, "x", "/a/x", FORMS) == "x-2"
    write("x-2", "/a/x")
    assert free_name(RUN, "x", "/a/x", FORMS) == "x-2"


def test_nothing_is_noted_of_what_lies_elsewhere() -> None:
    remember(RUN, [Path("out.csv"), None], "/a/x")
    assert not (RUN / ANSWERS).exists()


def test_an_input_is_known_by_its_whole_path_and_a_stream_as_one() -> None:
    assert identity("a.csv") == identity(str(Path("a.csv").absolute())) != identity("b/a.csv")
    Path("b").mkdir()
    Path("a.csv").write_text("")
    Path("link.csv").symlink_to("a.csv")
    assert len({identity(each) for each in ("a.csv", "b/../a.csv", "./a.csv", "link.csv")}) == 1
    assert "hunter2" not in identity("https://me:hunter2@host/a.csv")
    assert identity("-") == "-"


def test_a_place_is_within_a_folder_whatever_links_lead_there() -> None:
    Path("a/b").mkdir(parents=True)
    Path("link").symlink_to(Path("a").absolute())
    assert is_within(Path("link/b"), Path("a"))
    assert is_within(Path("a/b/../c"), Path("link"))
    assert not is_within(Path("a"), Path("a/b"))
    assert not is_within(Path("ab"), Path("a"))
