"""Pairs by name: suffixes that are there but not said, and like faults in one line."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnkit.config.sections.data import ImagesConfig
from nnkit.data.mask_pairs import likely_suffix
from nnkit.data.masks import read_masks
from nnkit.data.pictures import read_pictures
from nnkit.errors import DataError, Problem
from tests.data.mask_pairs import picture_of, section, square, write_pairs
from tests.data.pictures import made, write_classes, write_picture


def problems_of(root: Path, **changes: str) -> list[Problem]:
    with pytest.raises(DataError) as raised:
        read_masks(section(root, **changes))
    return list(raised.value.problems)


@pytest.mark.parametrize(
    ("suffix", "hint"),
    [
        ("_mask", "data.mask_suffix=_mask"),
        ("_seg", "data.mask_suffix=_seg"),
        (".png", "data.mask_suffix=.png"),
        (" (mask)", "\"data.mask_suffix=' (mask)'\""),
    ],
)
def test_a_suffix_that_the_masks_have_is_named_in_one_line(suffix: str, hint: str) -> None:
    root = write_pairs(Path("a").absolute(), 30, suffix=suffix)
    (problem,) = problems_of(root)
    told = f"30 masks in {root}/masks have {suffix} behind the name of their picture: p00{suffix}.png, p01{suffix}.png"
    assert problem.text.startswith(told)
    assert problem.hint == hint


def test_what_else_is_wrong_is_told_beside_the_suffix() -> None:
    root = write_pairs(Path("a").absolute(), 6, suffix="_mask")
    (root / "masks" / "p03_mask.png").unlink()
    write_picture(root / "masks" / "p04_mask.png", square(4, side=11))
    first, *others = problems_of(root)
    assert first.hint == "data.mask_suffix=_mask"
    assert [problem.text.split()[0] for problem in others] == [
        f"{root}/images/p03.png",
        f"{root}/masks/p04_mask.png",
    ]
    assert others[0].hint == f"put one there: {root}/masks/p03_mask.png"


def test_a_suffix_that_no_mask_has_is_to_be_left_out() -> None:
    (problem,) = problems_of(write_pairs(Path("a").absolute(), 3), mask_suffix="_m")
    assert "p00.png does not end with _m, as data.mask_suffix has it; the 3 masks have the names" in problem.text
    assert problem.hint == "leave it out"


def test_one_mask_with_another_name_does_not_make_a_suffix() -> None:
    root = write_pairs(Path("a{b}").absolute(), 6)
    (root / "masks" / "p03.png").rename(root / "masks" / "p03_old.png")
    assert problems_of(root) == [
        Problem(f"{root}/images/p03.png has no mask", f"put one there: {root}/masks/p03.png"),
        Problem(
            f"{root}/masks/p03_old.png is the mask of no picture",
            f"put its picture there: {root}/images/p03_old.png, or take it away",
        ),
    ]


def test_like_faults_are_one_line_with_their_number_and_the_first_names() -> None:
    root = write_pairs(Path("a").absolute(), 12)
    for row in range(2, 12):
        write_picture(root / "masks" / f"p{row:02}.png", picture_of(square(row), row))
    (problem,) = problems_of(root)
    assert problem.text.startswith(f"{root}/masks/p02.png is in colours")
    assert problem.text.endswith("; likewise 9 more: p03.png, p04.png, p05.png, …")


@pytest.mark.parametrize(("names", "suffix"), [(("images", "masks"), ""), (("Imgs", "Labels"), "_seg")])
def test_pictures_and_their_masks_are_not_taken_for_classes(names: tuple[str, str], suffix: str) -> None:
    root = write_pairs(Path("a").absolute(), 4, suffix=suffix)
    for old, new in zip(("images", "masks"), names, strict=True):
        (root / old).rename(root / new)
    with pytest.raises(DataError, match=f"{names[1]} has a mask for 4 of the 4 pictures in {names[0]}") as raised:
        read_pictures(classes_in(root))
    hint = raised.value.problems[0].hint
    assert hint.startswith(f"data=masks data.images={root}/{names[0]} data.masks={root}/{names[1]}")
    assert (f" data.mask_suffix={suffix}" in hint) == bool(suffix)


def test_the_hint_at_masks_can_be_pasted_where_the_folder_has_a_blank() -> None:
    root = write_pairs(Path("my set").absolute(), 4)
    with pytest.raises(DataError) as raised:
        read_pictures(classes_in(root))
    words = ["data=masks", f"data.images={root}/images", f"data.masks={root}/masks", "model=unet"]
    assert shlex.split(raised.value.hint) == words


def test_classes_with_such_names_stay_classes() -> None:
    write_classes(Path("a"), {"images": 3, "masks": 3, "other": 3})
    assert read_pictures(classes_in(Path("a"))).classes == ("images", "masks", "other")
    write_classes(Path("b"), {"images": 3})
    for row in range(3):
        write_picture(Path("b/masks") / f"m{row}.png", made(5, 4, 1, seed=row))
    assert read_pictures(classes_in(Path("b"))).classes == ("images", "masks")
    shutil.rmtree("b/masks")
    Path("b/masks").mkdir()
    with pytest.raises(DataError, match=r"class folder .*masks has no picture"):
        read_pictures(classes_in(Path("b")))


def classes_in(root: Path) -> ImagesConfig:
    return ImagesConfig(kind="images", path=str(root), cache=None, val_fraction=0.1, test_fraction=0.1)


NAMES = st.sets(st.text("ab1", min_size=1, max_size=4), min_size=1, max_size=8)


@given(NAMES, st.text("_xyz", max_size=4))
def test_the_suffix_of_all_masks_is_found_whatever_the_names(names: set[str], suffix: str) -> None:
    assert likely_suffix(names, [f"{name}{suffix}" for name in sorted(names)], suffix) == suffix
    if suffix:
        assert likely_suffix(names, [f"{name}{suffix}" for name in sorted(names)], "") == suffix


def test_without_masks_or_a_likeness_the_suffix_stays() -> None:
    assert likely_suffix({"a"}, [], "_m") == "_m"
    assert likely_suffix({"a", "b"}, ["c", "d"], "") == ""
