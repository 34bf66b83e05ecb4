"""`nnkit runs rm`: remove runs and whole sweeps; never one that is alive, never a part of a sweep."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from nnkit.catalog.filters import looks_like_filter
from nnkit.cli.messages import note, printable
from nnkit.cli.runs.words import Asked, is_folder, sweep_of
from nnkit.cli.words import LAST, read_command
from nnkit.errors import ConfigError, FolderInUseError, Problem
from nnkit.lock import FolderLock, is_locked
from nnkit.runs import FOLDS, Place, find_runs, walk
from nnkit.storage import discard_folder


def command(argv: list[str]) -> int:
    """Remove runs as the words say, and return the exit code."""
    read = read_command(argv, command="runs rm", flags=("yes", "dry-run"), valued=(), short={"-y": "yes"})
    asked = Asked.of(read)
    if not asked.words:
        raise ConfigError("rm needs runs, or filters", hint="nnkit runs rm last, or nnkit runs rm status=failed")
    named = [word for word in asked.words if not looks_like_filter(word) or is_folder(word, asked.output_dir)]
    if named and len(named) < len(asked.words):
        raise ConfigError("rm takes runs or filters, not both", hint=f"nnkit runs rm {named[0]}")
    folders = _named(asked, named) if named else _filtered(asked)
    alive = [place.path for folder in folders for place in _runs_in(folder) if is_locked(Path(place.path))]
    if alive:
        problems = (
            Problem(f"{path} is alive, and nothing was removed", "wait for it, or stop it first") for path in alive
        )
        raise FolderInUseError(*problems)
    if "dry-run" in read.flags:
        note(f"{len(folders)} would be removed")
    elif not folders or not _is_sure(folders, is_sure="yes" in read.flags):
        return 0
    for folder in folders:
        if "dry-run" not in read.flags:
            _remove(folder)
        print(printable(str(folder)))
    return 0


def _named(asked: Asked, words: Sequence[str]) -> list[Path]:
    """Return the folders of the runs and sweeps that words name. Raises: ConfigError, with each that names none."""
    found: dict[Path, None] = {}
    problems: list[Problem] = []
    for word in words:
        folder = _folder(asked, word)
        place = next((place for place in walk(folder) if place.path == str(folder)), None) if folder else None
        if folder is None or place is None:
            problems.append(Problem(f"{word} is not a run or a sweep", "nnkit runs ls"))
        elif folder.is_symlink():
            problems.append(Problem(f"{word} is a link", f"nnkit runs rm {folder.resolve()}"))
        elif place.kind == "run" and (sweep := sweep_of(folder)) is not None:
            problems.append(Problem(f"{word} is a trial of a sweep, whose table needs it", f"nnkit runs rm {sweep}"))
        elif folder.name.startswith(FOLDS) and any(p.path == str(folder.parent) for p in walk(folder.parent)):
            problems.append(Problem(f"{word} is a fold of a run", f"nnkit runs rm {folder.parent}"))
        else:
            found[folder] = None
    if problems:
        raise ConfigError(*problems)
    return list(found)


def _folder(asked: Asked, word: str) -> Path | None:
    """Return the folder that a word names: here, or below output_dir; of last the one that began last, as it is."""
    if word == LAST and not Path(word).exists():
        runs = find_runs(asked.output_dir)
        newest = runs[-1].folder if runs else None
        return newest and (sweep_of(newest) or newest)
    for folder in (Path(word).expanduser().absolute(), asked.output_dir / word):
        if is_folder(str(folder)):
            return folder.resolve() if ".." in folder.parts else folder
    return None


def _filtered(asked: Asked) -> list[Path]:
    """Return the folders of the runs that fulfil the filters, and of the sweeps whose trials all do."""
    catalog = asked.catalog()
    found = asked.filtered(catalog, asked.words)
    names = {entry.run for entry in found}
    trials = [entry for entry in catalog.entries if entry.kind == "trial"]
    partly = {entry.above for entry in trials if entry.run not in names}
    kept = sum(entry.kind == "trial" and entry.above in partly for entry in found)
    if kept:
        note(f"{kept} trials are kept: other trials of their sweeps are not meant")
    whole = [entry.above for entry in found if entry.kind == "trial" and entry.above not in partly]
    chosen = dict.fromkeys([*(entry.run for entry in found if entry.kind == "run"), *whole])
    return [catalog.root / name for name in chosen]


def _runs_in(folder: Path) -> list[Place]:
    return [place for place in walk(folder) if place.kind != "sweep"]


def _is_sure(folders: Sequence[Path], *, is_sure: bool) -> bool:
    """Ask on a terminal. Raises: ConfigError, where there is nobody to ask."""
    if is_sure:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(
            f"rm would remove {len(folders)}: {_listed(folders)}", hint="--yes removes, --dry-run lists all"
        )
    for folder in folders:
        print(printable(str(folder)), file=sys.stderr)
    print(
        f"remove {'these' if len(folders) > 1 else 'this'} {len(folders)}? [y/N] ", end="", file=sys.stderr, flush=True
    )
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _listed(folders: Sequence[Path], most: int = 3) -> str:
    return printable(", ".join(map(str, folders[:most])) + (", …" if len(folders) > most else ""))


def _remove(folder: Path) -> None:
    """Remove a run or a sweep while all of its runs are ours. Raises: FolderInUseError, StorageError."""
    with ExitStack() as held:
        for place in _runs_in(folder):
            held.enter_context(FolderLock(Path(place.path)))
        discard_folder(folder)
