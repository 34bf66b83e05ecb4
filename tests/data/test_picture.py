"""One picture file: formats, modes, orientation, sizes, and files that are none."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnkit.data.picture import BadPictureError, Channels, ImageFormat, Resize, decode, quiet, read_header
from tests.data.pictures import made, png_of_size, write_picture

SIZES = st.integers(1, 40)


def as_it_is(pixels: Any, channels: Channels = 3) -> ImageFormat:
    """Return the format that leaves pixels, (H, W) or (H, W, C), at their size."""
    return ImageFormat(*pixels.shape[:2], channels, "squash")


def first_channels(pixels: Any) -> Any:
    """Return (C, H, W) from (H, W) or (H, W, C)."""
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def in_mode(pixels: Any, mode: str) -> Any:
    """Return a Pillow picture in a mode that numpy has no type for."""
    from PIL import Image

    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize(("channels", "ends"), [(1, "png bmp gif tiff"), (3, "png bmp tiff webp ppm tga")])
def test_formats_without_loss_give_the_pixels_that_were_written(channels: Channels, ends: str) -> None:
    pixels = made(9, 7, channels)
    for end in ends.split():
        path = write_picture(Path(f"a.{end}"), pixels, **({"lossless": True} if end == "webp" else {}))
        decoded = decode(path, as_it_is(pixels, channels))
        np.testing.assert_array_equal(decoded, first_channels(pixels), err_msg=end)
        assert (decoded.dtype, decoded.flags.c_contiguous, decoded.flags.writeable) == (np.uint8, True, True)
        assert read_header(str(path)) == (9, 7, channels == 1 and end != "gif")  # which has a palette always


@pytest.mark.parametrize("end", ["jpg", "webp"])
def test_formats_with_loss_give_about_the_pixels_that_were_written(end: str) -> None:
    y, x = np.mgrid[:32, :48]
    pixels = np.stack([5 * x, 8 * y, 255 - 5 * x], axis=-1).astype(np.uint8)
    decoded = decode(write_picture(Path(f"a.{end}"), pixels, quality=95), as_it_is(pixels))
    assert np.abs(decoded.astype(int) - first_channels(pixels)).mean() < 3


def test_grey_becomes_colour_and_colour_becomes_grey() -> None:
    grey, colour = made(4, 5, 1), made(4, 5)
    np.testing.assert_array_equal(decode(write_picture(Path("a.png"), grey), as_it_is(grey)), np.stack([grey] * 3))
    luma = colour @ [0.299, 0.587, 0.114]  # ITU-R BT.601
    np.testing.assert_allclose(decode(write_picture(Path("b.png"), colour), as_it_is(colour, 1))[0], luma, atol=0.51)


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_pixels_lie_on_white(channels: Channels) -> None:
    pixels = np.full((1, 3, 4), 100, np.uint8)
    pixels[0, :, 3] = 0, 51, 255  # transparent, a fifth, opaque
    expected = [255, 0.2 * 100 + 0.8 * 255, 100]
    decoded = decode(write_picture(Path("a.png"), pixels), as_it_is(pixels, channels))
    np.testing.assert_allclose(decoded[:, 0], [expected] * channels, atol=1)
    in_mode(pixels, "LA").save("b.png")
    np.testing.assert_allclose(decode("b.png", as_it_is(pixels, channels))[:, 0], [expected] * channels, atol=1)
    assert (read_header("a.png"), read_header("b.png")) == ((1, 3, False), (1, 3, True))


@pytest.mark.parametrize(("end", "transparency"), [("gif", 1), ("png", 1), ("png", b"\xff\x00\x80")])
def test_a_palette_gives_its_colours(end: str, transparency: int | bytes) -> None:
    from PIL import Image

    picture = Image.new("P", (3, 1))
    picture.putpalette([10, 20, 30, 0, 0, 0, 200, 100, 50])
    picture.putdata([0, 1, 2])
    picture.save(f"plain.{end}")
    picture.save(f"seen.{end}", transparency=transparency)
    form = ImageFormat(1, 3, 3, "squash")
    colours = np.array([[10, 20, 30], [0, 0, 0], [200, 100, 50]])
    np.testing.assert_array_equal(decode(f"plain.{end}", form)[:, 0].T, colours)
    colours[1] = 255
    if isinstance(transparency, bytes):
        colours[2] = np.array([200, 100, 50]) * (128 / 255) + 127
    np.testing.assert_allclose(decode(f"seen.{end}", form)[:, 0].T, colours, atol=1)


def test_black_and_white_becomes_0_and_255() -> None:
    bits = np.array([[True, False, True]])
    assert decode(write_picture(Path("a.png"), bits), as_it_is(bits, 1)).tolist() == [[[255, 0, 255]]]


@pytest.mark.parametrize("end", ["png", "tiff", "pgm"])
def test_sixteen_bits_are_rounded_to_eight(end: str) -> None:
    values = np.array([[0, 128, 129, 257, 1000, 32767, 65406, 65535]], np.uint16)
    path = write_picture(Path(f"a.{end}"), values)
    np.testing.assert_array_equal(decode(path, as_it_is(values, 1))[0], np.rint(values / 257))
    np.testing.assert_array_equal(decode(path, as_it_is(values, 3))[2], np.rint(values / 257))
    assert read_header(str(path))[2]


def test_a_big_endian_tiff_has_the_same_values() -> None:
    from PIL import Image

    Image.frombytes("I;16B", (2, 1), (257 * 5).to_bytes(2, "big") + (257 * 9).to_bytes(2, "big")).save("a.tiff")
    assert decode("a.tiff", ImageFormat(1, 2, 1, "squash")).tolist() == [[[5, 9]]]


def test_other_colour_spaces_become_rgb() -> None:
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    for mode, end in (("CMYK", "jpg"), ("CMYK", "tiff"), ("YCbCr", "jpg")):
        in_mode(red, mode).save(f"a.{end}")
        np.testing.assert_allclose(decode(f"a.{end}", as_it_is(red)), first_channels(red), atol=2)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    from PIL import Image

    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    for end in ("gif", "png", "tiff"):
        frames[0].save(f"a.{end}", save_all=True, append_images=frames[1:])
        assert decode(f"a.{end}", ImageFormat(4, 4, 1, "squash")).max() == 10


STORED: dict[int, Callable[[Any], Any]] = {  # how an upright picture is stored, so that the tag turns it upright
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("end", ["png", "webp", "tiff", "jpg"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_is_turned_as_its_exif_says(orientation: int, end: str) -> None:
    from PIL import Image

    upright = np.zeros((32, 16, 3), np.uint8)
    upright[:16, :8] = 255  # one bright corner, so that each of the eight looks different
    upright[:8, :8] = 128
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    path = write_picture(Path(f"a.{end}"), stored, exif=exif, **({"lossless": True} if end == "webp" else {}))
    assert read_header(str(path)) == (32, 16, False)
    np.testing.assert_allclose(decode(path, as_it_is(upright)), first_channels(upright), atol=4 if end == "jpg" else 0)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0"]
)
def test_exif_that_makes_no_sense_is_ignored(exif: bytes) -> None:
    pixels = made(4, 6)
    path = write_picture(Path("a.png"), pixels, exif=exif)
    with quiet():
        assert read_header(str(path))[:2] == (4, 6)
    np.testing.assert_array_equal(decode(path, as_it_is(pixels)), first_channels(pixels))


# Sizes


@pytest.mark.parametrize(("height", "width"), [(10, 30), (13, 17), (50, 64), (61, 7)])
def test_squash_is_torchs_bilinear_with_antialiasing(height: int, width: int) -> None:
    pixels = made(40, 50)
    decoded = decode(write_picture(Path("a.png"), pixels), ImageFormat(height, width, 3, "squash"))
    x = torch.from_numpy(first_channels(pixels)[None].copy()).float()
    expected = torch.nn.functional.interpolate(x, (height, width), mode="bilinear", antialias=True)
    np.testing.assert_allclose(decoded, expected[0].numpy(), atol=1.01)


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(10, 9, (0, 10), (2, 11)), (7, 12, (1, 8), (0, 12))])
def test_crop_alone_takes_the_middle_as_it_is(
    height: int, width: int, rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    pixels = made(10, 13) if height == 10 else made(10, 12)
    decoded = decode(write_picture(Path("a.png"), pixels), ImageFormat(height, width, 3, "crop"))
    np.testing.assert_array_equal(decoded, first_channels(pixels[slice(*rows), slice(*columns)]))


def test_crop_fills_the_frame_with_the_middle() -> None:
    pixels = np.repeat([0, 0, 100, 100, 200, 200, 50, 50], 10)[None].repeat(40, axis=0).astype(np.uint8)
    decoded = decode(write_picture(Path("a.png"), pixels), ImageFormat(4, 4, 1, "crop"))
    np.testing.assert_allclose(decoded[0], [[100, 100, 200, 200]] * 4, atol=20)  # the borders run into each other


def test_pad_lays_the_whole_picture_on_black() -> None:
    pixels = made(10, 20)
    path = write_picture(Path("a.png"), pixels)
    decoded = decode(path, ImageFormat(15, 20, 3, "pad"))
    np.testing.assert_array_equal(decoded[:, 2:12], first_channels(pixels))
    assert decoded[:, :2].max() == decoded[:, 12:].max() == 0
    small = decode(path, ImageFormat(10, 10, 3, "pad"))
    np.testing.assert_array_equal(small[:, 2:7], decode(path, ImageFormat(5, 10, 3, "squash")))


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, SIZES, SIZES, st.sampled_from(["squash", "crop", "pad"]))
def test_every_size_becomes_every_other(height: int, width: int, to_height: int, to_width: int, resize: Resize) -> None:
    path = write_picture(Path("a.bmp"), np.full((height, width), 200, np.uint8))
    decoded = decode(path, ImageFormat(to_height, to_width, 1, resize))
    assert decoded.shape == (1, to_height, to_width)
    assert set(np.unique(decoded).tolist()) <= ({0, 200} if resize == "pad" else {200})
    assert (decoded == 200).any()


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1)])
def test_a_long_strip_takes_little_memory(shape: tuple[int, int], resize: Resize) -> None:
    path = write_picture(Path("a.png"), np.full(shape, 7, np.uint8))
    assert decode(path, ImageFormat(8, 8, 1, resize)).max() == 7


# Files that cannot be decoded


def cut(path: Path, share: float = 0.5) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def written(data: bytes, name: str = "a.png") -> Path:
    Path(name).write_bytes(data)
    return Path(name)


@pytest.mark.parametrize("end", ["png", "jpg", "bmp", "gif", "tiff", "webp"])
def test_a_truncated_file_is_refused(end: str) -> None:
    path = cut(write_picture(Path(f"a.{end}"), made(40, 40)))
    with pytest.raises(BadPictureError, match=rf"a.{end} (cannot be decoded: \w+|is no picture)"):
        decode(path, ImageFormat(40, 40, 3, "squash"))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: written(b""), "is empty"),
        (lambda: written(b"<html>404</html>"), "is no picture, whatever its name says"),
        (
            lambda: written(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n"),
            "is no picture, whatever its name says",
        ),
        (lambda: Path("gone.png"), "cannot be decoded: No such file or directory"),
        (lambda: Path(), "cannot be decoded: Is a directory"),
        (lambda: written(png_of_size(10_000, 5_000)), "is too large: 10000 x 5000 pixels, more than 40 megapixels"),
        (lambda: written(png_of_size(10_000, 10_000)), "is too large: 10000 x 10000 pixels, more than 40 megapixels"),
        (lambda: written(png_of_size(70_000, 1)), "is too large: 70000 x 1 pixels, more than 65535 a side"),
        (lambda: written(png_of_size(20_000, 20_000)), "is too large: far more than 40 megapixels"),
        (lambda: write_picture(Path("a.tiff"), np.ones((2, 2), np.float32)), "has floating-point values"),
    ],
    ids=["empty", "HTML", "a program", "missing", "folder", "50 MP", "100 MP", "strip", "400 MP", "floats"],
)
def test_a_header_tells_that_a_file_cannot_be_used(make: Callable[[], Path], reason: str) -> None:
    path = make()
    with quiet(), pytest.raises(BadPictureError, match=re.escape(f"{path} {reason}")) as raised:
        read_header(str(path))
    assert raised.value.path == str(path)
    assert raised.value.reason.startswith(reason)
    assert raised.value.exit_code == 3
    with pytest.raises(BadPictureError, match=re.escape(reason)):
        decode(path, ImageFormat(8, 8, 1, "squash"))


def test_fifty_megapixels_are_refused_and_forty_are_not() -> None:
    from PIL import Image

    Image.new("1", (10_000, 5_000)).save("large.png")
    Image.new("1", (8_000, 5_000)).save("fits.png")
    with pytest.raises(BadPictureError, match=r"large.png is too large"):
        decode("large.png", ImageFormat(8, 8, 1, "squash"))
    assert decode("fits.png", ImageFormat(8, 8, 1, "squash")).max() == 0


@pytest.mark.parametrize("values", [[[0, 70_000]], [[-1, 5]]])
def test_values_that_need_more_than_16_bits_are_refused(values: Any) -> None:
    path = write_picture(Path("a.tiff"), np.array(values, np.int32))
    with pytest.raises(BadPictureError, match=r"cannot be decoded: values from \S+ to \S+, which 16 bits do not hold"):
        decode(path, ImageFormat(1, 2, 1, "squash"))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["png", "jpg", "gif", "tiff", "webp", "bmp"]), st.data())
def test_a_damaged_file_is_decoded_or_refused_but_never_crashes(end: str, data: st.DataObject) -> None:
    path = write_picture(Path(f"a.{end}"), made(12, 12))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with suppress(BadPictureError):
        assert decode(path, ImageFormat(12, 12, 3, "squash")).shape == (3, 12, 12)


def test_decoding_leaves_pillows_settings_alone() -> None:
    from PIL import Image, ImageFile

    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    path = cut(write_picture(Path("a.png"), made(40, 40)))
    with pytest.raises(BadPictureError):
        decode(path, ImageFormat(40, 40, 3, "squash"))
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    assert before[1] is False
