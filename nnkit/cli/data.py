"""`nnkit data PATH|data=…`: what is in the data, and what looks wrong with it, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.cli.messages import show_usage
from nnkit.cli.words import read_command
from nnkit.errors import ConfigError, DataError, Problem

if TYPE_CHECKING:
    from nnkit.config.origin import Composed
    from nnkit.config.sections.data import TableConfig
    from nnkit.data.report import Report

USAGE = """\
usage: nnkit data PATH|data=… [section.setting=value ...] [--target COLUMN] [--json]

Reads the data as train would, and says where its rows went, what each column holds, and what looks wrong: leaks of
the target, rows that stand in two parts, ids, constants, missing values, rare classes. Nothing is trained or written.

  nnkit data my.csv                   kinds, missing values, constants, ids
  nnkit data my.csv --target y        all of it
  nnkit data photos/                  a folder of pictures, one folder a class
  nnkit data my.npz                   arrays x and y
  nnkit data data=iris                any option of data, or a file of settings: nnkit data my.yaml

  --target COLUMN  the same as data.target=COLUMN
  --json           everything as JSON on standard output, and nothing else"""

KIND_OF_SUFFIX = {".npz": "array", ".npy": "array", ".ts": "ts"}
# Settings of a table that mean something before its target is known.
WITHOUT_TARGET = frozenset(
    f"data.{name}"
    for name in (
        *("path", "val_path", "test_path", "numeric", "categorical", "drop", "id", "delimiter", "header", "names"),
        *("missing_values", "strip", "comment", "encoding", "on_bad"),
    )
)
_NO_TARGET = "\x00"  # stands for the target that a table's settings need; no column has this name


def command(argv: list[str]) -> int:
    """Look at the data as the words say, and return the exit code."""
    if not argv or "--help" in argv or "-h" in argv:
        return show_usage(USAGE, argv)
    read = read_command(argv, command="data", flags=("json",), valued=("target",), short={"-t": "target"})
    words = composable(read.words, read.values.get("target"))
    report = look(words)
    if "json" in read.flags:
        print(json.dumps(report.to_plain(), indent=2, allow_nan=False))
        return 0
    from nnkit.cli.guard_table import show_report

    show_report(report, more_in="--json")
    return 0


def composable(words: list[str], target: str | None) -> list[str]:
    """Return words for `compose`: a path becomes the option that reads it.

    Raises:
        ConfigError: there are two paths.
        DataError: there is nothing at the path.
    """
    paths = [word for word in words if _is_path(word)]
    if len(paths) > 1:
        raise ConfigError(
            f"data takes one path, got {', '.join(paths)}", hint="several files: 'data.path=[a.csv,b.csv]'"
        )
    rest = [word for word in words if word not in paths]
    first = [word for path in paths for word in (f"data={_kind(path)}", f"data.path={path}")]
    return [*first, *rest, *([] if target is None else [f"data.target={_as_text(target)}"])]


def _is_path(word: str) -> bool:
    if word.endswith((".yaml", ".yml")):
        return False
    return Path(word).expanduser().exists() or ("=" not in word and bool(set(word) & set("./*~")))


def _kind(word: str) -> str:
    path = Path(word).expanduser()
    if not path.exists() and not set(word) & set("*?["):
        raise DataError(f"{word} is not there", hint="nnkit data FILE, FOLDER or data=OPTION")
    return "images" if path.is_dir() else KIND_OF_SUFFIX.get(path.suffix.lower(), "table")


def _as_text(value: str) -> str:
    """Return a value that Hydra's grammar takes for text, whatever it looks like."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def look(words: list[str]) -> Report:
    """Return what the guard finds in the data that the words name.

    Raises:
        ConfigError: wrong words.
        DataError: the data cannot be read.
    """
    from nnkit.config.check import check
    from nnkit.config.compose import compose

    composed = compose(words)
    values = composed.values.get("data")
    if isinstance(values, dict) and values.get("kind") == "table" and "target" not in values:
        values["target"] = _NO_TARGET
        section = check(composed).data
        return _without_target(section, composed)  # type: ignore[arg-type]
    config = check(composed)
    from nnkit import data
    from nnkit.assemble import fitted
    from nnkit.data.guard import examine

    source = data.read(config.data)
    splits = data.split_by(config.data, source)
    return examine(source, splits, fitted(config.data, source, splits.train, target_scaling="none"))


def _without_target(section: TableConfig, composed: Composed) -> Report:
    """Return what is in a table when nobody has said which column is to be predicted."""
    needless = [k for k in composed.typed if k.startswith("data.") and k not in WITHOUT_TARGET]
    if needless:
        raise ConfigError(*(Problem(f"{key} says nothing without a target", "data.target=COLUMN") for key in needless))
    from nnkit.data.guard import examine_table
    from nnkit.data.table import read_contents

    found = read_contents(section, targets=())
    if not found.frame.columns:
        raise DataError(f"{found.name} has no column of numbers, dates or categories", hint="is it the right file?")
    return examine_table(found.name, found.frame, found.account)
