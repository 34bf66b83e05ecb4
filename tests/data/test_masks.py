"""Pictures and their masks: pairs by name, sizes, values, and what is wrong with them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.data import read, split_by
from nnkit.data.masks import read_masks
from nnkit.data.source import IGNORED
from nnkit.errors import ConfigError, DataError
from tests.data.mask_pairs import picture_of, section, square, write_pairs
from tests.data.pictures import made, write_picture


def npz(**arrays: Any) -> Path:
    path = Path("x.npz").absolute()
    np.savez(path, **arrays)
    return path


def test_pictures_and_masks_are_paired_by_name_and_values_become_classes() -> None:
    source = read_masks(section(write_pairs(Path("a").absolute(), 5)))
    assert (source.task, source.classes, source.names) == (
        "segmentation",
        ("0", "200"),
        tuple(f"p{k:02}" for k in range(5)),
    )
    assert np.array_equal(source.row_target, np.stack([square(k) > 0 for k in range(5)]))
    assert np.array_equal(source.inputs[0][3], picture_of(square(3), 3).transpose(2, 0, 1))
    assert source.rows.names == ("0", "200")


def test_a_suffix_pairs_and_another_ending_does_not_matter() -> None:
    root = write_pairs(Path("a").absolute(), 3, suffix="_mask")
    (root / "images" / "p01.png").unlink()
    write_picture(root / "images" / "p01.bmp", picture_of(square(1), 1))
    assert read_masks(section(root, mask_suffix="_mask")).names == ("p00", "p01", "p02")


def test_each_file_without_a_partner_is_named() -> None:
    root = write_pairs(Path("a").absolute(), 4)
    (root / "masks" / "p01.png").unlink()
    (root / "images" / "p02.png").unlink()
    write_picture(root / "images" / "p03.bmp", made(12, 12))
    with pytest.raises(DataError) as raised:
        read_masks(section(root))
    told = [problem.text for problem in raised.value.problems]
    assert f"{root}/images/p01.png has no mask" in told
    assert f"{root}/masks/p02.png is the mask of no picture" in told
    assert any("p03.bmp" in text and "p03.png" in text and "have the same name" in text for text in told)


def test_a_mask_without_the_suffix_is_named() -> None:
    with pytest.raises(DataError, match=r"p00\.png does not end with _m, as data.mask_suffix has it"):
        read_masks(section(write_pairs(Path("a").absolute(), 3), mask_suffix="_m"))


def test_what_cannot_be_a_mask_is_named_file_by_file() -> None:
    root = write_pairs(Path("a").absolute(), 6)
    write_picture(root / "masks" / "p00.png", square(0, side=11))
    write_picture(root / "masks" / "p01.png", made(12, 12))
    (root / "masks" / "p02.png").write_bytes(b"no picture")
    (root / "masks" / "p03.png").unlink()
    write_picture(root / "masks" / "p03.jpg", square(3))
    (root / "images" / "p04.png").write_bytes(b"")
    with pytest.raises(DataError) as raised:
        read_masks(section(root))
    told = "\n".join(problem.text for problem in raised.value.problems)
    for text in (
        "masks/p00.png has 11 x 11 pixels, but its picture p00.png has 12 x 12",
        "masks/p01.png is in colours, but a mask has one number a pixel",
        "masks/p02.png is no picture",
        "masks/p03.jpg is a JPEG, which changes values",
        "images/p04.png is empty",
    ):
        assert text in told
    assert "p05" not in told
    assert "masks/p04.png" not in told  # the picture is at fault, not its mask


def test_all_that_is_wrong_is_told_in_one_look_with_what_helps() -> None:
    root = write_pairs(Path("a").absolute(), 8)
    (root / "masks" / "p00.png").unlink()
    (root / "images" / "p01.png").unlink()
    write_picture(root / "masks" / "p02.png", square(2, side=11))
    write_picture(root / "masks" / "p03.png", np.stack([square(3), square(3) * 0, square(3) * 0], 2))
    (root / "images" / "p04.png").write_bytes(b"")
    write_picture(root / "masks" / "p05.png", square(5, value=7))
    with pytest.raises(DataError) as raised:
        read_masks(section(root, values=[0, 200]))
    told = {Path(problem.text.split()[0]).parts[-2:]: problem for problem in raised.value.problems}
    assert set(told) == {
        *(("images", name) for name in ("p00.png", "p04.png")),
        *(("masks", name) for name in ("p01.png", "p02.png", "p03.png", "p05.png")),
    }
    assert all(problem.hint for problem in told.values())
    assert told["masks", "p05.png"].hint.startswith("data.ignore=7, or mend the mask, or")
    assert 'getchannel("R")' in told["masks", "p03.png"].hint


def test_pictures_that_cannot_be_read_hide_no_missing_mask() -> None:
    root = write_pairs(Path("a").absolute(), 3)
    (root / "masks" / "p00.png").unlink()
    for row in (1, 2):
        (root / "images" / f"p{row:02}.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"p00.png has no mask; none of the pictures can be read"):
        read_masks(section(root))


def test_a_value_of_a_few_pixels_is_told_with_its_file_and_the_ways_out() -> None:
    root = write_pairs(Path("a").absolute(), 4)
    mask = square(2)
    mask[0, 0] = 7
    write_picture(root / "masks" / "p02.png", mask)
    source = read_masks(section(root))
    assert source.classes == ("0", "7", "200")
    (told,) = source.rows.notes
    assert told.startswith("the value 7, in 1 pixel of all masks, the first of them p02.png, is taken for a class")
    assert "data.ignore=7 leaves it out, 'data.values=[0,200]' refuses" in told
    assert read_masks(section(root, ignore=7)).classes == ("0", "200")
    assert "data.ignore" not in read_masks(section(root, ignore=9)).rows.notes[0]  # which takes one value
    with pytest.raises(DataError) as raised:
        read_masks(section(root, values=[0, 200], ignore=9))
    assert raised.value.problems[0].hint == "mend the mask, or take it for a class: 'data.values=[0,200,7]'"


def test_masks_may_be_grey_in_colours_in_a_palette_or_of_16_bits() -> None:
    from PIL import Image

    root = write_pairs(Path("a").absolute(), 4)
    write_picture(root / "masks" / "p01.png", np.repeat(square(1)[..., None], 3, 2))
    palette = Image.fromarray(square(2), "P")
    palette.putpalette([200, 0, 0] * 256)
    palette.save(root / "masks" / "p02.png")
    write_picture(root / "masks" / "p03.png", square(3).astype(np.uint16))
    assert np.array_equal(read_masks(section(root)).row_target, np.stack([square(k) > 0 for k in range(4)]))


def test_values_that_are_named_are_classes_in_their_order_and_others_are_refused() -> None:
    root = write_pairs(Path("a").absolute(), 3)
    source = read_masks(section(root, values=[200, 0], names=["cell", "rest"]))
    assert source.classes == ("cell", "rest")
    assert np.array_equal(source.row_target[0], square(0) == 0)
    with pytest.raises(
        DataError, match=r"p00.png has the value 200, which is neither among data.values=0, 1 nor ignored"
    ):
        read_masks(section(root, values=[0, 1]))


def test_any_value_is_foreground_and_an_ignored_one_counts_nothing() -> None:
    root = write_pairs(Path("a").absolute(), 3)
    mask = square(0)
    mask[0], mask[11] = 7, 255
    write_picture(root / "masks" / "p00.png", mask)
    source = read_masks(section(root, values="any", ignore=255))
    assert source.classes == ("background", "foreground")
    assert source.row_target[0, 0].tolist() == [1] * 12
    assert source.row_target[0, 11].tolist() == [IGNORED] * 12
    assert any("2.8% of the pixels do not count" in note for note in source.rows.notes)
    told = read_masks(section(write_pairs(Path("b").absolute(), 3), ignore=9)).rows.notes
    assert told == ("no mask has a pixel of data.ignore=9",)


def test_names_must_fit_the_values_that_occur() -> None:
    with pytest.raises(DataError, match=r"data\.names has 3 names, but .* has 2 classes: 0, 200"):
        read_masks(section(write_pairs(Path("a").absolute(), 3), names=["a", "b", "c"]))


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_masks_go_with_their_pictures_without_new_values(resize: str) -> None:
    root = Path("a").absolute()
    mask = np.zeros((12, 24), np.uint8)
    mask[3:9, 6:18] = 90
    for row in range(3):
        write_picture(root / "images" / f"{row}.png", np.where(mask, 255, 0).astype(np.uint8))
        write_picture(root / "masks" / f"{row}.png", mask)
    source = read_masks(section(root, size=[8, 8], resize=resize))
    picture, found = source.inputs[0][0, 0], source.row_target[0]
    counts = found != IGNORED
    assert counts.all() == (resize != "pad")
    assert set(np.unique(found[counts])) == {0, 1}
    assert ((picture > 127) == (found == 1))[counts].mean() > 0.9  # edges are blurred in the picture alone
    assert not picture[~counts].any()


def test_folders_of_parts_are_the_parts() -> None:
    root = Path("a").absolute()
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        for row in range(count):
            write_picture(root / "images" / part / f"{row}.png", picture_of(square(row), row))
            write_picture(root / "masks" / part / f"{row}.png", square(row))
    config = section(root)
    source = read(config)
    parts = split_by(config, source)
    assert [source.names[row] for row in parts.test] == ["test/0", "test/1", "test/2"]
    assert (len(parts.train), len(parts.val)) == (4, 2)


def test_arrays_of_one_file_with_names_of_their_own() -> None:
    masks = np.stack([square(k) for k in range(4)]).astype(np.int32)
    pictures = np.stack([picture_of(mask, k) for k, mask in enumerate(masks)])
    path = npz(image=pictures, mask=masks, id=np.array(list("abcd")))
    config = section(
        Path(), images=str(path), masks=None, image_array="image", mask_array="mask", name_array="id", size=[6, 6]
    )
    source = read_masks(config)
    assert (source.inputs[0].shape, source.row_target.shape, source.names) == ((4, 3, 6, 6), (4, 6, 6), tuple("abcd"))
    assert np.array_equal(source.row_target[1], masks[1][1::2, 1::2] > 0)


def test_arrays_of_other_names_are_told_with_the_settings_that_name_them() -> None:
    path = npz(Images=made(8, 8)[None], mask=made(8, 8, 1)[None])
    with pytest.raises(DataError, match=r"no array data\.image_array=x and data\.mask_array=y, only Images, mask") as e:
        read_masks(section(Path(), images=str(path), masks=None))
    assert e.value.hint == "data.image_array=Images data.mask_array=mask"
    path = npz(x=made(8, 8)[None], z=made(8, 8, 1)[None])
    with pytest.raises(DataError, match=r"has no array data\.mask_array=y, only x, z") as e:
        read_masks(section(Path(), images=str(path), masks=None))
    assert e.value.hint == "data.image_array=x data.mask_array=NAME"


@pytest.mark.parametrize(
    ("arrays", "changes", "told"),
    [
        ({"x": made(8, 8)[None], "z": made(8, 8, 1)[None]}, {}, "has no array data.mask_array=y, only x, z"),
        ({"x": made(8, 8)[None], "y": made(8, 7, 1)[None]}, {}, r"y has shape \(1, 8, 7\), but the pictures need"),
        ({"x": made(8, 8)[None], "y": np.ones((1, 8, 8))}, {}, "y must be whole numbers, got float64"),
        ({"x": made(8, 8)[None], "y": np.full((1, 8, 8), -1)}, {}, "y, row 1, has the value -1"),
        ({"x": made(8, 8)[None], "y": made(8, 8, 1)[None], "n": np.array(["a", "b"])}, {"name_array": "n"}, "2 names"),
        (
            {"x": made(40, 40)[None], "y": np.kron(np.arange(400).reshape(1, 20, 20), np.ones((1, 2, 2), int))},
            {},
            "more values than 255: data.values=any",
        ),
        (
            {"x": made(20, 20)[None], "y": np.arange(400).reshape(1, 20, 20)},
            {},
            "brings more values than 255, and looks like a picture, not like a mask",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_told(arrays: dict[str, Any], changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_masks(section(Path(), images=str(npz(**arrays)), masks=None, **changes))


def test_numbers_take_no_other_size() -> None:
    path = npz(x=np.zeros((3, 1, 8, 8), np.float32), y=np.zeros((3, 8, 8), int))
    with pytest.raises(ConfigError, match="only bytes of 1, 3 or 4 channels take another size"):
        read_masks(section(Path(), images=str(path), masks=None, size=[4, 4]))


@pytest.mark.parametrize(
    ("changes", "told"), [({"images": "no"}, "data.images: .*no is not there"), ({"masks": "f"}, "is no folder")]
)
def test_folders_that_are_none_are_told(changes: dict[str, str], told: str) -> None:
    Path("f").write_text("")
    with pytest.raises(DataError, match=told):
        read_masks(section(write_pairs(Path("a").absolute(), 3), **changes))


def test_pictures_in_the_place_of_masks_are_known() -> None:
    root = write_pairs(Path("a b").absolute(), 3)
    Path("link").symlink_to(root / "images")
    with pytest.raises(ConfigError, match=r"data\.images and data\.masks are the same folder, .*/images") as raised:
        read_masks(section(root, masks=str(Path("link").absolute())))
    hint = raised.value.problems[0].hint
    assert shlex.split(hint) == [f"data.images={root}/images", f"data.masks={root}/masks"]
    for row in range(3):
        write_picture(root / "masks" / f"p{row:02}.png", made(12, 12, 1, seed=row))
    noted = read_masks(section(root)).account.notes  # type: ignore[union-attr]
    told = r"the masks have \d+ values, and look like pictures, not like masks: is data\.masks the right folder\? Else"
    assert re.match(told, noted[0])


def test_a_picture_that_is_added_moves_no_other_to_another_part() -> None:
    root = write_pairs(Path("a").absolute(), 40)
    config = section(root)

    def parts_by_name() -> dict[str, str]:
        source = read(config)
        parts = split_by(config, source)
        return {source.names[row]: part for part in ("train", "val", "test") for row in getattr(parts, part)}

    before = parts_by_name()
    assert {part: list(before.values()).count(part) > 2 for part in ("train", "val", "test")} == dict.fromkeys(
        ("train", "val", "test"), True
    )
    for name in ("a", "p005", "z"):
        write_picture(root / "images" / f"{name}.png", picture_of(square(1), 1))
        write_picture(root / "masks" / f"{name}.png", square(1))
    after = parts_by_name()
    assert {name: after[name] for name in before} == before


def test_parts_of_few_pictures_are_not_empty() -> None:
    config = section(write_pairs(Path("a").absolute(), 3))
    parts = split_by(config, read(config))
    assert [len(parts.train), len(parts.val), len(parts.test)] == [1, 1, 1]


def test_a_class_that_no_training_picture_shows_is_told() -> None:
    root = write_pairs(Path("a").absolute(), 12)
    config = section(root)
    source = read(config)
    row = split_by(config, source).test[0]
    mask = square(int(row))
    mask[0, 0] = 99
    write_picture(root / "masks" / f"{source.names[row]}.png", mask)
    with pytest.raises(DataError, match=r"class 99 of .* has no pixel in a training picture of this size") as raised:
        split_by(config, read(config))
    assert raised.value.problems[0].hint.endswith("or data.ignore=99 for a slip of the pen")
