"""Words behind `nnkit runs …`: output_dir=FOLDER, filters, folders; and the runs that they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from nnkit.catalog.entry import Entry, runs_in_words
from nnkit.catalog.filters import chosen, read_filters
from nnkit.catalog.index import Catalog, load
from nnkit.cli.messages import note
from nnkit.cli.words import OUTPUT_DIR, Read
from nnkit.errors import ConfigError
from nnkit.runs import JOURNAL, SWEEP, SWEEPS, find_run

DEFAULT = "outputs"


def is_folder(word: str, output_dir: Path = Path(DEFAULT)) -> bool:
    """Tell whether a word names a folder, here or below `output_dir`."""
    try:
        return Path(word).expanduser().is_dir() or (output_dir / word).is_dir()
    except (OSError, ValueError):  # a name that is too long
        return False


@final
@dataclass(frozen=True, slots=True)
class Asked:
    """Which runs are asked for.

    Attributes:
        output_dir: where they are looked for.
        is_given: whether the user named it.
        words: the others: runs, folders, filters.
    """

    output_dir: Path
    is_given: bool
    words: Sequence[str]

    @classmethod
    def of(cls, read: Read) -> Asked:
        """Sort the words of a command."""
        folders = [word.removeprefix(OUTPUT_DIR) for word in read.words if word.startswith(OUTPUT_DIR)]
        words = [word for word in read.words if not word.startswith(OUTPUT_DIR)]
        return cls(Path(folders[-1] if folders else DEFAULT).expanduser().absolute(), bool(folders), words)

    def run(self, word: str) -> Path:
        """Return the run folder that a word names. Raises: ConfigError."""
        return find_run(word, self.output_dir, links="followed")  # it is looked at alone

    def catalog(self) -> Catalog:
        """Return all runs below output_dir. Raises: ConfigError, where the user named one that is not there."""
        if self.output_dir.is_dir():
            return load(self.output_dir)
        if self.is_given:
            raise ConfigError(f"{self.output_dir} is not a folder", hint=f"{OUTPUT_DIR}FOLDER")
        return Catalog(self.output_dir, [], {})

    def filtered(self, catalog: Catalog, words: Sequence[str]) -> list[Entry]:
        """Return the runs that fulfil the filters, folds left out; it is noted when there are none.

        Raises:
            ConfigError: a word is no filter.
        """
        found = chosen(
            (entry for entry in catalog.entries if entry.kind != "fold"), read_filters(words, catalog.entries)
        )
        if not found:
            note_none(catalog)
        return found


def note_none(catalog: Catalog) -> None:
    """Note that nothing was found, and what there is."""
    count = len(catalog.entries)
    note(
        f"none of {runs_in_words(count)} in {catalog.root} is meant"
        if count
        else f"there is no run in {catalog.root} yet"
    )


def sweep_of(folder: Path) -> Path | None:
    """Return the sweep that a folder is a trial of; None for one that stands for itself."""
    above = folder.parent
    return (
        above if above.name.startswith(SWEEPS) or any((above / name).is_file() for name in (SWEEP, JOURNAL)) else None
    )
