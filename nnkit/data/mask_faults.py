"""What is wrong with mask files: like faults in one line, and what would help."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from nnkit.data.mask_codes import RIGHT_FOLDER
from nnkit.data.picture import IN_COLOURS, UNREADABLE, quiet
from nnkit.errors import Problem

MOST_NAMED = 3
MOST_LOOKED_AT = 5  # files whose colours are counted
MANY_COLOURS = 20  # more are a photo's
HINTS = (
    (IN_COLOURS, ""),  # what helps depends on the colours
    (
        "is a JPEG",
        "the masks as they were before, as PNG; of black and white alone, with Pillow: "
        'Image.open(FILE).convert("L").point(lambda v: 255 * (v > 127)).save("FILE.png")',
    ),
    ("is empty", "copy it anew, or take it away with its partner"),
    ("is no picture", "copy it anew, or take it away with its partner"),
    ("cannot be decoded", "copy it anew, or take it away with its partner"),
)


@final
@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one file.

    Attributes:
        place: the whole path of the file.
        name: the short one.
        reason: what follows the path in a message.
        hint: what would help.
        kind: faults of one kind are told in one line; "" where the reason says it.
    """

    place: str
    name: str
    reason: str
    hint: str = ""
    kind: str = ""


def folded(faults: Iterable[Fault]) -> list[Problem]:
    """Return a problem for each kind of fault: the first file, how many more there are, and some of their names."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind or fault.reason.partition(":")[0], []).append(fault)
    return [_problem(alike) for alike in kinds.values()]


def _problem(alike: Sequence[Fault]) -> Problem:
    first, *others = alike
    named = ", ".join(fault.name for fault in others[:MOST_NAMED]) + (", …" if len(others) > MOST_NAMED else "")
    more = f"; likewise {len(others)} more: {named}" if others else ""
    hint = first.hint or next((hint for start, hint in HINTS if first.reason.startswith(start)), "")
    if first.reason == IN_COLOURS:
        hint = hint_at_colours([fault.place for fault in alike[:MOST_LOOKED_AT]])
    return Problem(f"{first.place} {first.reason}{more}", hint)


def hint_at_colours(paths: Sequence[str]) -> str:
    """Return which colours some masks have, and how they become numbers.

    Where one channel tells all of them apart, it is the mask: the same in each file, as places in palettes that are
    made file by file would not be.
    """
    colours = _colours(paths)
    if not 1 <= len(colours) <= MANY_COLOURS:
        return f"these look like pictures, not like masks: {RIGHT_FOLDER}"
    shown = ", ".join(str(colour) for colour in colours)
    for channel, name in enumerate("RGB"):
        if len({colour[channel] for colour in colours}) == len(colours):
            how = f'Image.open(FILE).convert("RGB").getchannel("{name}").save(NEW)'
            return f"the colours are {shown}; with Pillow, {how} gives each a number of its own"
    return f"the colours are {shown}; give each one a number, the same in all files, and save those as a grey PNG"


def _colours(paths: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the colours of some files that can be read, at most one more than a mask may have."""
    from PIL import Image

    found: set[int] = set()
    for path in paths:
        try:
            with quiet(), open(path, "rb") as file, Image.open(file) as picture:
                pixels = np.asarray(picture.convert("RGB")).astype(np.uint32)
        except UNREADABLE:
            continue
        found |= set(np.unique(pixels @ np.array([1 << 16, 1 << 8, 1], np.uint32))[: MANY_COLOURS + 1].tolist())
        if len(found) > MANY_COLOURS:
            break
    return [(colour >> 16, colour >> 8 & 0xFF, colour & 0xFF) for colour in sorted(found)]
