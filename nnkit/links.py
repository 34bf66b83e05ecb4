"""Links in run folders: what somebody sent must not lead what is written out of its folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from nnkit.errors import ConfigError, Problem

Links = Literal["refused", "followed"]
DEEPEST = 4  # folders below that of a sweep: trial, fold, checkpoints, step
MOST_TOLD = 5


def refuse_links(folder: Path, links: Links = "refused") -> None:
    """Refuse a run folder that leads elsewhere: what is read and written in it stays in it.

    Args:
        folder: of a run or a sweep; it may be a link itself, or lie behind one, since the user has named it.
        links: whether links that lead out are refused: not where the user trusts them, or where nothing is written.

    Raises:
        ConfigError: a link that leads out, a pipe or a device is among its files, or those of its folders.
    """
    problems: list[Problem] = []
    root, waiting = os.path.realpath(folder), [(str(folder), 0)]
    while waiting:
        path, depth = waiting.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_symlink():
                    problems += _leading_out(entry.path, root) if links == "refused" else []
                elif entry.is_dir(follow_symlinks=False):
                    waiting += [(entry.path, depth + 1)] if depth < DEEPEST else []
                elif not entry.is_file(follow_symlinks=False):
                    problems.append(Problem(f"{entry.path} is no file, which no run has made", "remove it"))
    if problems:
        raise ConfigError(*problems[:MOST_TOLD])


def _leading_out(path: str, root: str) -> list[Problem]:
    place = os.path.realpath(path)
    if place == root or place.startswith(root + os.sep):
        return []
    text = f"{path} is a link out of the run, which no run has made: what is written would land in {place}"
    return [Problem(text, "if it is yours: --trust, or move the whole run there and link its folder; else remove it")]
