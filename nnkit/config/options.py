"""The config folders: which groups and options there are, and in which file each stands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnkit.errors import ConfigError, Problem

PRIMARY = "train.yaml"
Groups = dict[str, dict[str, Path]]


def config_dir() -> Path:
    """Return the folder of nnkit's own configs: inside the package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def search_dirs(extra: Sequence[Path] = ()) -> list[Path]:
    """Return the folders that options come from: nnkit's own, the user's ./configs, then `extra`.

    A ./configs that is nnkit's own (the same folder, or a copy with an identical primary config) is left out.

    Raises:
        ConfigError: a folder in `extra` is not there.
    """
    own = config_dir()
    users = Path("configs").resolve()
    found = [own]
    if users.is_dir() and not _is_copy(users, own):
        found.append(users)
    missing = [path for path in extra if not path.is_dir()]
    if missing:
        raise ConfigError(*(Problem(f"--config-dir {path} is not a folder") for path in missing))
    return found + [path.resolve() for path in extra if not _is_copy(path.resolve(), own)]


def _is_copy(folder: Path, own: Path) -> bool:
    mine, theirs = own / PRIMARY, folder / PRIMARY
    return folder == own or (theirs.is_file() and theirs.read_bytes() == mine.read_bytes())


def find_groups(dirs: Sequence[Path]) -> Groups:
    """Return the file of each option by group, such as {"model": {"mlp": .../model/mlp.yaml}}.

    Raises:
        ConfigError: one option stands in two folders.
    """
    groups: Groups = {}
    problems = []
    for folder in dirs:
        for path in sorted(folder.glob("*/**/*.yaml")):
            group, option = path.parent.relative_to(folder).as_posix(), path.stem
            first = groups.setdefault(group, {}).setdefault(option, path)
            if first != path:
                problems.append(
                    Problem(f"{group}={option} stands in two files: {first} and {path}", "rename one of them")
                )
    if problems:
        raise ConfigError(*problems)
    return groups
