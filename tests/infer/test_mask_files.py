"""An answer is known by its seal, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnkit.data.picture import mask_values
from nnkit.infer.mask_files import SEAL, is_answer, png_of
from tests.data.mask_pairs import square
from tests.data.pictures import png_of_size, write_picture

ANSWER = Path("a.png")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_written_is_an_answer_with_its_values(dtype: type[np.unsignedinteger]) -> None:
    values = square(1).astype(dtype) * (300 if dtype is np.uint16 else 1)
    ANSWER.write_bytes(png_of(values))
    assert is_answer(ANSWER)
    assert np.array_equal(mask_values("a.png"), values)


def test_a_seal_on_other_values_is_none() -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    ANSWER.write_bytes(png_of(square(1)))
    with Image.open(ANSWER) as picture:
        seal = PngInfo()
        seal.add_text(SEAL, picture.info[SEAL])
    write_picture(ANSWER, square(1), pnginfo=seal)
    assert is_answer(ANSWER)
    write_picture(ANSWER, square(2), pnginfo=seal)
    assert not is_answer(ANSWER)


def test_other_files_are_no_answers() -> None:
    whole = png_of(square(1))
    for content in (b"", b"text", whole[:-40], png_of_size(50_000, 50_000)):
        ANSWER.write_bytes(content)
        assert not is_answer(ANSWER)
    assert not is_answer(write_picture(Path("a.jpg"), square(1)))
    assert not is_answer(write_picture(Path("b.png"), square(1)))
    assert not is_answer(Path("gone.png"))
