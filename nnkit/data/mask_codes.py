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
RIGHT_FOLDER = "is data.masks the right folder?"
ANY = "data.values=any makes one class of all that is not 0, as where instances are numbered"


FEW_PIXELS = 10  # a value that has fewer, in all masks together, may be a slip of the pen


@final
class MaskValueError(ValueError):
    """A value that is no class, in words that follow the mask's name."""

    def __init__(self, told: str, hint: str = "") -> None:
        """Take what is wrong, and what would help."""
        super().__init__(told)
        self.hint = hint


@final
class MaskCodes:
    """The classes of some masks, found while they are read, on several threads."""

    def __init__(self, values: Literal["auto", "any"] | Sequence[int], ignore: int | None) -> None:
        """Take which values are classes, and the one that is none."""
        self._any, self._free = values == "any", values == "auto"
        self._of = {} if isinstance(values, str) else {int(value): code for code, value in enumerate(values)}
        self._ignore = ignore
        self._pixels: dict[int, int] = {}  # of each value that became a class by itself
        self._first: dict[int, str] = {}
        self._lock = Lock()

    def of(self, mask: npt.NDArray[Any], name: str) -> Codes:
        """Return a mask (H, W), called by a name, with a number for each value, IGNORED where it does not count.

        Raises:
            MaskValueError: a value is no class.
        """
        low, high = int(mask.min()), int(mask.max())
        if low < 0 or high > LARGEST_VALUE:
            wrong = low if low < 0 else high
            raise MaskValueError(f"has the value {wrong}, but those of a mask are 0 to {LARGEST_VALUE}")
        counts = np.bincount(mask.ravel(), minlength=1)
        table = np.full(high + 1, IGNORED, np.uint8)
        for value in np.flatnonzero(counts).tolist():
            if value != self._ignore:
                table[value] = int(value != 0) if self._any else self._number(value, int(counts[value]), name, mask)
        return table.take(mask)

    def _number(self, value: int, pixels: int, name: str, mask: npt.NDArray[Any]) -> int:
        with self._lock:
            if value not in self._of:
                if not self._free:
                    raise self._no_class(value)
                if len(self._of) == MOST_CLASSES:
                    raise _too_many(mask)
                self._of[value] = len(self._of)
            if self._free:
                self._pixels[value] = self._pixels.get(value, 0) + pixels
                self._first[value] = min(name, self._first.get(value, name))
            return self._of[value]

    def strays(self) -> tuple[str, ...]:
        """Return which values became classes by very few pixels, where those are, and what to do, in words."""
        often = sorted(value for value, pixels in self._pixels.items() if pixels >= FEW_PIXELS)
        rare = sorted(self._pixels.keys() - set(often))
        if len(often) < 2 or len(self._pixels) > MANY_CLASSES:
            return ()
        known = ",".join(map(str, often))
        refused = f"'data.values=[{known}]' refuses such masks by name"
        ways = refused if self._ignore is not None else f"data.ignore={{}} leaves it out, {refused}"
        return tuple(
            f"the value {value}, in {_pixels(self._pixels[value])} of all masks, the first of them "
            f"{self._first[value]}, is taken for a class: {ways.format(value)}"
            for value in rare
        )

    def _no_class(self, value: int) -> MaskValueError:
        known = list(self._of)
        told = f"has the value {value}, which is neither among data.values={', '.join(map(str, known))} nor ignored"
        as_class = f"or take it for a class: 'data.values=[{','.join(map(str, [*known, value]))}]'"
        ignored = "" if self._ignore is not None else f"data.ignore={value}, or "
        return MaskValueError(told, f"{ignored}mend the mask, {as_class}")

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


def _too_many(mask: npt.NDArray[Any]) -> MaskValueError:
    told = f"brings more values than {MOST_CLASSES}"
    if _is_mottled(mask):
        return MaskValueError(f"{told}, and looks like a picture, not like a mask", f"{RIGHT_FOLDER} Else {ANY}")
    return MaskValueError(f"{told}: {ANY}")


def _is_mottled(masks: npt.NDArray[Any]) -> bool:
    """Tell whether most pixels (…, H, W) have another value than their neighbour: objects of a mask have areas."""
    return masks.shape[-1] > 1 and float((masks[..., 1:] != masks[..., :-1]).mean()) > 0.5


def _pixels(count: int) -> str:
    return f"{count} pixel{'' if count == 1 else 's'}"


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
    notes = []
    if len(values) > MANY_CLASSES:
        doubt = f", and look like pictures, not like masks: {RIGHT_FOLDER} Else" if _is_mottled(codes) else ":"
        notes.append(f"the masks have {len(values)} values{doubt} {ANY}")
    unseen = np.count_nonzero(codes == IGNORED)
    if unseen:
        what = "around padded pictures" if ignore is None else f"of data.ignore={ignore}, or around padded pictures"
        notes.append(f"{unseen / codes.size:.1%} of the pixels do not count: those {what}")
    elif ignore is not None:
        notes.append(f"no mask has a pixel of data.ignore={ignore}")
    return notes
