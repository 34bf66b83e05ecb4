"""From one picture file to pixels.

A picture is turned as its EXIF says, laid on white where it is transparent, and made grey or RGB. Of a file with
several frames the first is taken. 16 bits become 8.
"""

# C channels, H height, W width

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.data.images import FORMATS
from nnkit.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from PIL.Image import Resampling

MOST_PIXELS = 40_000_000
_MOST = f"{MOST_PIXELS // 1_000_000} megapixels"
LONGEST_SIDE = 65_535  # resizing goes by one side first: a strip of one pixel's width would become a bomb in between
_GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N"})
_ORIENTATION = 0x0112  # the EXIF tag
# What Pillow's readers raise at broken files.
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
)

IN_COLOURS = "is in colours, but a mask has one number a pixel: grey, or a palette"
Pixels = npt.NDArray[np.uint8]
Channels = Literal[1, 3]
Resize = Literal["squash", "crop", "pad"]


@final
class BadPictureError(DataError):
    """A file that cannot be decoded."""

    def __init__(self, path: str, reason: str) -> None:
        """Take the file, and why it cannot be decoded."""
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


@final
@dataclass(frozen=True, slots=True)
class ImageFormat:
    """What every picture is made to be.

    Attributes:
        height: H.
        width: W.
        channels: 1 (grey) or 3 (RGB).
        resize: squash (both sides, whatever the proportions), crop (fill the frame, and cut off what stands out on
            both sides) or pad (fit into the frame, black around it). A picture of the right size stays as it is.
    """

    height: int
    width: int
    channels: Channels
    resize: Resize

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return self.channels, self.height, self.width


def decode(path: Path | str, form: ImageFormat) -> Pixels:
    """Return the pixels of a file, (C, H, W) uint8. One thread at a time. Raises: BadPictureError."""
    with quiet():
        return decode_quietly(str(path), form)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what Pillow says about pictures that it reads nevertheless; the filters belong to all threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(path: str) -> Iterator[Picture]:
    """Open a file whose header promises no more than can be decoded; whatever Pillow raises is a BadPictureError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with open(path, "rb") as file, Image.open(file, formats=FORMATS) as picture:
            if picture.height * picture.width > MOST_PIXELS or max(picture.size) > LONGEST_SIDE:
                most = f"{LONGEST_SIDE} a side" if max(picture.size) > LONGEST_SIDE else _MOST
                text = f"is too large: {picture.width} x {picture.height} pixels, more than {most}"
                raise BadPictureError(path, text)
            if picture.mode == "F":
                raise BadPictureError(path, "has floating-point values, which have no white")
            yield picture
    except BadPictureError:
        raise
    except Image.DecompressionBombError:
        raise BadPictureError(path, f"is too large: far more than {_MOST}") from None
    except UnidentifiedImageError:
        empty = Path(path).stat().st_size == 0
        raise BadPictureError(path, "is empty" if empty else "is no picture, whatever its name says") from None
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadPictureError(path, f"cannot be decoded: {' '.join(reason.split()) or type(error).__name__}") from error


def read_header(path: str) -> tuple[int, int, bool]:
    """Return height and width of the picture once it stands upright, and whether it is grey, on any thread.

    Some thread must hold `quiet`. Raises: BadPictureError, for what the header tells.
    """
    with _opened(path) as picture:
        height, width = picture.height, picture.width
        # PNG decodes the picture to look for EXIF behind it; TIFF has turned its size already.
        looks_ahead = picture.format == "PNG" and "exif" not in picture.info
        if picture.format != "TIFF" and not looks_ahead and _orientation(picture) >= 5:
            height, width = width, height
        return height, width, is_grey(picture)


def upright_size(picture: Picture) -> tuple[int, int]:
    """Return height and width of a picture that Pillow has loaded, once it stands upright."""
    width, height = picture.size
    return (width, height) if _orientation(picture) >= 5 else (height, width)


def decode_quietly(path: str, form: ImageFormat) -> Pixels:
    """Return what `decode` returns, on any thread; some thread must hold `quiet`. Raises: BadPictureError."""
    with _opened(path) as picture:
        picture.load()
        return pixels_of(picture, form)


def pixels_of(picture: Picture, form: ImageFormat) -> Pixels:
    """Return the pixels of a picture that Pillow has loaded, (C, H, W) uint8. Raises: ValueError."""
    from PIL import Image

    plain = _flattened(_turned(picture), form.channels)
    # Augmentation has its place here: the picture is upright and plain, and not yet cut to its size.
    array = np.asarray(_resized(plain, form, Image.Resampling.BILINEAR))
    return np.array(array[None] if array.ndim == 2 else array.transpose(2, 0, 1), order="C")  # (C, H, W)


def mask_values(path: str) -> npt.NDArray[np.int64]:
    """Return the whole numbers of a mask (H, W), upright: grey values, or places in a palette; on any thread.

    Some thread must hold `quiet`. Raises: BadPictureError.
    """
    with _opened(path) as picture:
        if picture.format == "JPEG":
            raise BadPictureError(path, "is a JPEG, which changes values: a mask is a picture without loss, as PNG is")
        picture.load()
        found = np.asarray(_turned(picture)).astype(np.int64)
        if found.ndim == 3:  # (H, W, colours), with or without opacity
            colours = found[..., : 1 if picture.mode in ("LA", "La", "PA") else 3]
            if (colours != colours[..., :1]).any():
                raise BadPictureError(path, IN_COLOURS)
            found = colours[..., 0]
        return found


def mask_in(codes: Pixels, form: ImageFormat, *, around: int) -> Pixels:
    """Return class numbers (H, W) uint8 as `pixels_of` makes their picture: no value is mixed with another.

    Args:
        codes: of a mask.
        form: of its picture.
        around: what stands around it where the picture is padded.
    """
    from PIL import Image

    return np.array(_resized(Image.fromarray(codes), form, Image.Resampling.NEAREST, around))


def mask_out(codes: Pixels, form: ImageFormat, height: int, width: int) -> Pixels:
    """Return class numbers of a picture's own size (height, width), from those of its format: what `mask_in` undoes.

    What a crop has cut off is of the first class.
    """
    from PIL import Image

    mask, nearest = Image.fromarray(codes), Image.Resampling.NEAREST
    if mask.size == (width, height):
        return codes
    if form.resize == "squash":
        return np.array(mask.resize((width, height), nearest))
    if form.resize == "pad":
        (inner_width, inner_height), (left, top) = _inside(form, width, height)
        box = (left, top, left + inner_width, top + inner_height)
        return np.array(mask.resize((width, height), nearest, box=box))
    left, top, right, bottom = (round(edge) for edge in _box(form, width, height))
    framed = Image.new("L", (width, height))
    framed.paste(mask.resize((right - left, bottom - top), nearest), (left, top))
    return np.array(framed)


def is_grey(picture: Picture) -> bool:
    """Tell whether a picture has no colours."""
    return picture.mode in _GREY


def _orientation(picture: Picture) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except UNREADABLE:
        return 1  # broken EXIF says nothing about the pixels
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _turned(picture: Picture) -> Picture:
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(picture))
    return picture if turn is None else picture.transpose(turn)


def _flattened(picture: Picture, channels: Channels) -> Picture:
    """Return the picture in mode L or RGB, on white where it is transparent."""
    from PIL import Image

    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ValueError(f"values from {values.min()} to {values.max()}, which 16 bits do not hold")
        picture = Image.fromarray(((values + 128) // 257).astype(np.uint8))  # 65535 = 257 * 255
    if picture.has_transparency_data:
        over = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    mode = "L" if channels == 1 else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _resized(picture: Picture, form: ImageFormat, by: Resampling, around: int = 0) -> Picture:
    """Return the picture in the format's size; bilinear weights are over all pixels that shrink into one."""
    from PIL import Image

    width, height = picture.size
    size = (form.width, form.height)
    if picture.size == size:
        return picture
    if form.resize == "squash":
        return picture.resize(size, by)
    if form.resize == "crop":
        return picture.resize(size, by, box=_box(form, width, height))
    inner, corner = _inside(form, width, height)
    framed = Image.new(picture.mode, size, around)
    framed.paste(picture if inner == picture.size else picture.resize(inner, by), corner)
    return framed


def _box(form: ImageFormat, width: int, height: int) -> tuple[float, float, float, float]:
    """Return which part of a picture fills the frame: left, top, right, bottom."""
    ratios = form.width / width, form.height / height
    cut_width, cut_height = form.width / max(ratios), form.height / max(ratios)
    left, top = max(0.0, (width - cut_width) / 2), max(0.0, (height - cut_height) / 2)
    if max(ratios) == 1:
        left, top = left // 1, top // 1  # between two pixels, a cut alone would blur
    return left, top, min(width, left + cut_width), min(height, top + cut_height)


def _inside(form: ImageFormat, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the size to which a picture fits into the frame, and where its corner lies in it."""
    ratio = min(form.width / width, form.height / height)
    inner = max(1, round(width * ratio)), max(1, round(height * ratio))
    return inner, ((form.width - inner[0]) // 2, (form.height - inner[1]) // 2)
