"""Which pictures a CSV file names, with their labels. No picture is opened here."""

# N pictures

from __future__ import annotations

import csv
import os
import stat
from pathlib import Path
from typing import final

from nnkit.data.images import PARTS, Found, ImageList, finish
from nnkit.errors import ConfigError, DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
_ENDS = "data.path=FILE.csv, with a header and the columns path and label"


def list_csv(
    path: Path, *, path_column: str, target: str, root: Path | None = None, split_column: str | None = None
) -> ImageList:
    """Return the pictures that a CSV file names.

    Args:
        path: the file, UTF-8, with a header; separated by tabs if its name ends in .tsv or .tab, else by commas.
        path_column: the column of paths, relative to `root`.
        target: the column of class names.
        root: the folder that all pictures lie in; None is the file's own.
        split_column: the column that says train, val, test, or nothing; None where no part is fixed.

    Returns:
        Pictures in the order of the file.

    Raises:
        ConfigError: there is no such column.
        DataError: all that is wrong, together, each with its line: a path that leaves root or is not there, one that
            is listed twice, or a label that is missing.
    """
    root = path.parent if root is None else root
    (_, header), *records = _records(path)
    wanted = {"data.path_column": path_column, "data.target": target, "data.split_column": split_column}
    at = {key: _position(path, header, key, name) for key, name in wanted.items() if name is not None}
    found, places = Found(), _Places(root)
    for line, record in records:
        where = f"{path}, line {line}"
        if len(record) != len(header):
            found.problem(_of_another_length(where, record, header))
            continue
        if reason := places.add(record[at["data.path_column"]], line, found):
            found.problem(f"{where}, column {path_column}: {reason}")
        found.labels.append(record[at["data.target"]].strip())
        if not found.labels[-1]:
            found.problem(f"{where}, column {target}: the label is missing")
        if split_column is not None:
            cell = record[at["data.split_column"]].strip()
            found.parts.append(PARTS.get(cell.lower(), ""))
            if cell and not found.parts[-1]:
                found.problem(f"{where}, column {split_column}: '{cell}' is none of {', '.join(PARTS)}")
    if not records:
        found.problem(f"{path} has a header, but no rows")
    return finish(root, str(path), found)


def list_unlabelled(path: Path, *, path_column: str) -> ImageList:
    """Return the pictures that a CSV file names, with the cells of all of its columns.

    Args:
        path: the file, as for `list_csv`.
        path_column: the column of paths, relative to the file's folder.

    Returns:
        Pictures in the order of the file, a row each; one that is not there has the size -1.

    Raises:
        ConfigError: there is no such column.
        DataError: all that is wrong, together, each with its line: a path that leaves the file's folder, or a row of
            another length.
    """
    (_, header), *records = _records(path)
    at = _position(path, header, "data.path_column", path_column)
    found, places = Found(), _Places(path.parent)
    for name in header:
        _position(path, header, "", name)
    for line, record in records:
        where = f"{path}, line {line}"
        if len(record) != len(header):
            found.problem(_of_another_length(where, record, header))
        elif reason := places.ask(record[at], found):
            found.problem(f"{where}, column {path_column}: {reason}")
    found.columns = {name: [record[k] for _, record in records if k < len(record)] for k, name in enumerate(header)}
    return finish(path.parent, str(path), found)


def _records(path: Path) -> list[tuple[int, list[str]]]:
    """Return the header and all rows, each with the line where it starts: a quoted cell may span several lines."""
    records, start = [], 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter="\t" if path.suffix.lower() in (".tsv", ".tab") else ",", strict=True)
            for record in reader:
                if record:
                    records.append((start, record))
                start = reader.line_num + 1
    except FileNotFoundError:
        raise DataError(f"{path} is not there", hint="data.path=FILE.csv") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a CSV file, in line {start}: {error}", hint=_ENDS) from error
    if not records:
        raise DataError(f"{path} is empty", hint=_ENDS)
    return records


def _of_another_length(where: str, record: list[str], header: list[str]) -> str:
    return f"{where}: {len(record)} values, but the header has {len(header)} names"


def _position(path: Path, header: list[str], key: str, name: str) -> int:
    if name not in header:
        raise ConfigError(f"{path} has no column {name}", hint=f"{key}=COLUMN; columns: {', '.join(header)}")
    if header.count(name) > 1:
        raise DataError(f"{path} has {header.count(name)} columns called {name}")
    return header.index(name)


@final
class _Places:
    """From the paths in a table to files below one folder; no link and no `..` leads out of it."""

    def __init__(self, root: Path) -> None:
        self._given = root
        self._root = os.path.realpath(root)
        self._real: dict[str, str] = {}  # by folder as written: resolving each path anew would cost more than its file
        self._lines: dict[str, int] = {}

    def add(self, cell: str, line: int, found: Found) -> str:
        """Add a file that is there, and was not named before, or return what is wrong with it."""
        where = self._located(cell)
        if isinstance(where, str):
            return where
        relative, facts = where
        if facts is None or not stat.S_ISREG(facts.st_mode):
            return f"'{cell}' is {'not there' if facts is None else 'no file'}"
        first = self._lines.setdefault(relative, line)
        if first != line:
            return f"'{cell}' stands in line {first} already, so that it could be trained on and tested with"
        found.add(relative, facts)
        return ""

    def ask(self, cell: str, found: Found) -> str:
        """Add what may not be there, or return why it must not be opened."""
        where = self._located(cell)
        if isinstance(where, str):
            return where
        relative, facts = where
        if facts is not None and stat.S_ISREG(facts.st_mode):
            found.add(relative, facts)
        else:
            found.add_absent(relative)
        return ""

    def _located(self, cell: str) -> tuple[str, os.stat_result | None] | str:
        """Return the path below the folder and the facts of what lies there, or what is wrong with the cell."""
        if not cell.strip() or "\0" in cell:
            return "the path is missing" if not cell.strip() else "the path has a zero byte"
        folder, name = os.path.split(cell)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(self._given / folder)
        full = os.path.join(self._real[folder], name)  # noqa: PTH118 - a Path costs more than the look at its file
        try:
            facts = os.lstat(full)
            is_link = stat.S_ISLNK(facts.st_mode)
        except OSError:
            facts, is_link = None, False
        target = os.path.realpath(full) if is_link or name in ("", ".", "..") else full
        if not self._holds(target):
            return f"'{cell}' leaves the folder {self._given}"
        if is_link:
            facts = Path(target).stat() if Path(target).exists() else None
        return full.removeprefix(self._root).lstrip("/"), facts

    def _holds(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root.rstrip("/") + "/")
