"""What helps with masks in colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnkit.data.mask_faults import hint_at_colours
from tests.data.pictures import made, write_picture


def mask_of(*colours: tuple[int, int, int]) -> Any:
    return np.array([colours], np.uint8)


@pytest.mark.parametrize(
    ("colours", "told"),
    [
        ([(0, 0, 0), (200, 0, 0)], 'getchannel("R")'),
        ([(0, 0, 0), (0, 9, 0), (0, 5, 0)], 'getchannel("G")'),
        ([(0, 0, 0), (0, 0, 9)], 'getchannel("B")'),
        ([(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)], "give each one a number, the same in all files"),
    ],
)
def test_a_channel_that_tells_all_colours_apart_is_named(colours: list[tuple[int, int, int]], told: str) -> None:
    path = write_picture(Path("m.png"), mask_of(*colours))
    hint = hint_at_colours([str(path)])
    assert told in hint
    assert all(str(colour) in hint for colour in colours)


def test_colours_of_several_files_count_together() -> None:
    one = write_picture(Path("1.png"), mask_of((0, 0, 0), (200, 0, 0)))
    two = write_picture(Path("2.png"), mask_of((0, 0, 0), (200, 9, 0)))
    Path("3.png").write_bytes(b"no picture")
    assert "(0, 0, 0), (200, 0, 0), (200, 9, 0); give each one" in hint_at_colours([str(one), str(two), "3.png"])


def test_photos_in_the_place_of_masks_are_known() -> None:
    path = write_picture(Path("m.png"), made(12, 12))
    assert "is data.masks the right folder?" in hint_at_colours([str(path)])
