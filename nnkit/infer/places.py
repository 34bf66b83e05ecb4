"""Under which names answers lie in a folder: a name belongs to the input, and the run, that it answers for.

Many folders are called images, and many files test.csv: the answers to one would replace those to another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from glob import glob
from hashlib import sha256
from itertools import chain, count
from pathlib import Path

from nnkit.errors import StorageError
from nnkit.storage import read_json, write_json

ANSWERS = "answers.json"  # {"files": {name in the run folder: identity of the input}}
STREAM = "-"


def free_name(folder: Path, name: str, source: str, forms: Sequence[str]) -> str:
    """Return what the answers to an input are called after: its name, with a number where another input has it.

    Args:
        folder: of the run.
        name: of the input, as in the names of files.
        source: the input, as `identity` has it.
        forms: names of what will be written, with {} for the name; each is free, or holds answers to the same input.
    """
    known = _known(folder)

    def is_free(end: str) -> bool:
        names = [form.format(end) for form in forms]
        return all(not os.path.lexists(folder / each) or known.get(each) == source for each in names)

    return next(filter(is_free, chain([name], (f"{name}-{number}" for number in count(2)))))


def identity(*sources: str) -> str:
    """Return what inputs are known by in any folder: the SHA-256 of their paths, which may hold a secret, or -.

    However a path is spelled, and through whatever links it leads, it is the same one.
    """
    if sources == (STREAM,):
        return STREAM
    paths = (os.fsencode(os.path.realpath(Path(source).expanduser())) for source in sources)
    return sha256(b"\0".join(paths)).hexdigest()


def is_within(place: Path, folder: Path) -> bool:
    """Tell whether a place is a folder, or lies in it, whatever links lead there."""
    inner, outer = place.resolve(), folder.resolve()
    return inner == outer or outer in inner.parents


def is_there(source: str) -> bool:
    """Tell whether there is an input at all: of another, whose name may hold a secret, nothing is noted."""
    if source == STREAM or os.path.lexists(Path(source).expanduser()):
        return True
    return bool(glob(source, recursive=True))  # noqa: PTH207 - it may be absolute


def remember(folder: Path, places: Sequence[Path | None], source: str) -> None:
    """Note which input files and folders answer; those elsewhere are the user's own to name. Raises: StorageError."""
    ours = {place.name: source for place in places if place is not None and place.parent == folder}
    known = _known(folder)
    if ours.items() <= known.items():
        return
    write_json(folder / ANSWERS, {"files": {**known, **ours}})


def _known(folder: Path) -> Mapping[str, str]:
    """Return which input each name answers; of a damaged file nothing, so that all names count as taken."""
    if not os.path.lexists(folder / ANSWERS):
        return {}
    try:
        found = read_json(folder / ANSWERS)["files"]
        return {name: source for name, source in found.items() if isinstance(source, str)}
    except (StorageError, ValueError, LookupError, TypeError, AttributeError):
        return {}
