"""From the values of masks to class numbers: alike for all masks of a data set, whatever their order."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Literal, final

import numpy as np
import numpy.typing as npt

from nnkit.data.source import IGNORED
from nnkit.errors import DataError

Codes = npt.NDArray[np.uint8]
MOST_CLASSES = IGNORED  # numbers that one byte has left
LARGEST_VALUE = 0xFFFF
MANY_CLASSES = 20
ANY = "data.values=any makes one class of all that is not 0, as where instances are numbered"


@final
class MaskCodes:
    """The classes of some masks, found while they are read, on several threads."""

    def __init__(self, values: Literal["auto", "any"] | Sequence[int], ignore: int | None) -> None:
        """Take which values are classes, and the one that is none."""
        self._any, self._free = values == "any", values == "auto"
        self._of = {} if isinstance(values, str) else {int(value): code for code, value in enumerate(values)}
        self._ignore = ignore
        self._lock = Lock()

    def of(self, mask: npt.NDArray[Any]) -> Codes:
        """Return a mask (H, W) with a number for each value, IGNORED where it does not count.

        Raises:
            ValueError: a value is no class, in words that follow the mask's name.
        """
        low, high = int(mask.min()), int(mask.max())
        if low < 0 or high > LARGEST_VALUE:
            raise ValueError(f"has the value {low if low < 0 else high}, but those of a mask are 0 to {LARGEST_VALUE}")
        found = np.flatnonzero(np.bincount(mask.ravel(), minlength=1)).tolist()
        table = np.full(high + 1, IGNORED, np.uint8)
        for value in found:
            if value != self._ignore:
                table[value] = int(value != 0) if self._any else self._number(value)
        return table.take(mask)

    def _number(self, value: int) -> int:
        with self._lock:
            if value not in self._of:
                if not self._free:
                    known = ", ".join(map(str, self._of))
                    raise ValueError(f"has the value {value}, which is neither among data.values={known} nor ignored")
                if len(self._of) == MOST_CLASSES:
                    raise ValueError(f"brings more values than {MOST_CLASSES}: {ANY}")
                self._of[value] = len(self._of)
            return self._of[value]

    def sort(self, codes: Codes) -> list[int]:
        """Give all masks (N, H, W) their final numbers, in place: classes in the order of their values.

        Returns:
            The value of each class; none where any value is one.
        """
        if self._any:
            return []
        if not self._free:
            return list(self._of)
        values = sorted(self._of)
        table = np.full(IGNORED + 1, IGNORED, np.uint8)
        for number, value in enumerate(values):
            table[self._of[value]] = number
        for mask in codes:
            mask[:] = table[mask]
        return values


def class_names(values: Sequence[int], names: Sequence[str] | None, source: str) -> tuple[str, ...]:
    """Return the names of the classes of these values; of none, where any value is a class. Raises: DataError."""
    plain = tuple(map(str, values)) or ("background", "foreground")
    if names is None:
        return plain
    if len(names) != len(plain):
        shown = ", ".join(plain[:MANY_CLASSES])
        raise DataError(f"data.names has {len(names)} names, but {source} has {len(plain)} classes: {shown}")
    return tuple(names)


def notes_on(values: Sequence[int], codes: Codes, ignore: int | None) -> list[str]:
    """Return what the user should know of the classes."""
    notes = [f"the masks have {len(values)} values: {ANY}"] if len(values) > MANY_CLASSES else []
    unseen = np.count_nonzero(codes == IGNORED)
    if unseen:
        what = "around padded pictures" if ignore is None else f"of data.ignore={ignore}, or around padded pictures"
        notes.append(f"{unseen / codes.size:.1%} of the pixels do not count: those {what}")
    elif ignore is not None:
        notes.append(f"no mask has a pixel of data.ignore={ignore}")
    return notes
