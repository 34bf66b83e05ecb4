"""Whether rows for an evaluation are those that a run was trained on, whose figures flatter."""

from __future__ import annotations

from pathlib import Path

from nnkit.config.sections.data import DataConfig
from nnkit.data.images import PARTS
from nnkit.data.tables import found_files
from nnkit.errors import DataError, NnkitError
from nnkit.infer.finished import Finished
from nnkit.infer.labelled import own_rows, section_for


def was_learned(run: Finished, path: Path) -> bool:
    """Tell whether files are of the data that a run has learned from, which has not changed since.

    They are known by their places, through whatever links; of a copy elsewhere nothing is known. A folder train of the
    run's pictures was learned, its neighbours val and test were not.

    Args:
        run: opened.
        path: files for `new_rows`; they need not be there.

    Raises:
        ConfigError: the run's data has no form that files could have.
    """
    if run.facts.get("reason") == "nothing_to_learn":
        return False
    given = section_for(run, path)
    try:
        kept = _places(run.config.data)
        return any(_is_of(place, own) for place in _places(given) for own in kept) and _is_unchanged(run)
    except DataError:  # a glob that matches nothing
        return False


def _places(section: DataConfig) -> list[Path]:
    """Return the files and folders that a section reads training rows from. Raises: DataError."""
    words = (getattr(section, key, None) for key in ("path", "images", "root"))
    return [place.resolve() for word in words if word is not None for place in found_files(word)]


def _is_of(place: Path, own: Path) -> bool:
    inside = place.relative_to(own).parts if place.is_relative_to(own) else None
    return inside == () or (inside is not None and PARTS.get(inside[0]) == "train")


def _is_unchanged(run: Finished) -> bool:
    try:
        own_rows(run, "all")
    except NnkitError:
        return False
    return True
