"""Texts with their labels, by the way that files are laid out: lines, tables, folders, or a file a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, final

from nnkit.config.sections.sequences import TextConfig
from nnkit.data.cells import as_text, plain
from nnkit.data.head import TextFormat
from nnkit.data.images import PARTS, report
from nnkit.data.tables import (
    PARQUET,
    BadCell,
    TableFile,
    found_files,
    missing_columns,
    name_of_all,
    names_of,
    open_table,
)
from nnkit.data.text_lines import (
    entries_of,
    is_text_file,
    left_out,
    read_whole,
    text_files,
    text_files_of,
    unpacked_name,
)
from nnkit.errors import DataError, Problem

if TYPE_CHECKING:
    import pyarrow as pa

Layout = Literal["lines", "table", "folders", "files"]
_TABLES = (".csv", ".tsv", ".tab", *PARQUET)
_MOST_LABELS = 20  # more first words than this, and few texts each, are no labels
_BLANK = re.compile("[ \t]+")


@final
@dataclass(frozen=True, slots=True)
class Labelled:
    """Texts of one part.

    Attributes:
        name: of the files, for messages.
        texts: N of them, each in one line.
        labels: N names of classes.
        notes: what was left out.
    """

    name: str
    texts: list[str]
    labels: list[str]
    notes: tuple[str, ...] = ()


def read_labelled(config: TextConfig, word: str) -> Labelled:
    """Return the texts of the files that a path of the section names.

    Raises:
        DataError: the files are missing or broken, or a text has no label (with the line).
        ConfigError: a column or an encoding is not known.
    """
    layout = layout_of(word) if config.layout == "auto" else config.layout
    match layout:
        case "lines":
            return _of_lines(word, config.encoding)
        case "table":
            return _of_tables(word, config)
        case "folders":
            return _of_folders(word, config.encoding)
        case "files":
            return _of_files(word, config.encoding)


def layout_of(word: str) -> Layout:
    """Return the layout that a path suggests. Raises: DataError where it does not exist."""
    path = found_files(word)[0]
    if not path.is_dir():
        return "table" if Path(unpacked_name(path)).suffix.lower() in _TABLES else "lines"
    return "files" if any(is_text_file(entry) for entry in entries_of(path)) else "folders"


def one_line(text: str) -> str:
    """Return a text without line ends, which mean nothing in a text that has a label, and without blanks around it."""
    return text.replace("\r\n", " ").replace("\n", " ").replace("\r", " ").strip()


def _of_lines(word: str, encoding: str) -> Labelled:
    """Return the texts of lines "label text"; empty lines are none."""
    paths, others = text_files(word)
    texts, labels = [], []
    problems: list[Problem] = []
    for path in paths:
        for number, line in enumerate(read_whole(path, encoding).split("\n"), 1):
            if not line.strip():
                continue
            label, *rest = _BLANK.split(line, 1)
            if not label:
                problems.append(Problem(f"{path}, line {number}: a blank where the label is expected", "label text"))
            labels.append(label)
            texts.append(one_line("".join(rest)))
    report(problems)
    name = name_of_all(paths)
    if len(set(labels)) > max(_MOST_LABELS, len(labels) // 2):
        rare = next(label for label, count in Counter(labels).items() if count == 1)
        raise DataError(
            f"{name}: {len(set(labels))} different words begin its {len(labels)} lines, such as '{rare[:60]}': these "
            "are no labels",
            hint="data.layout=table for a CSV, data.layout=files for a file a class, data.task=language for one text",
        )
    return Labelled(name, texts, labels, _noted(others))


def _of_tables(word: str, config: TextConfig) -> Labelled:
    """Return the texts of a column, and the labels of another one."""
    paths = found_files(word)
    texts: list[str] = []
    labels: list[str] = []
    for path in paths:
        file = open_table(path, TextFormat(delimiter=config.delimiter, encoding=config.encoding))
        names = names_of(file)
        if absent := [name for name in (config.text, config.target) if name not in names]:
            raise missing_columns(absent, file)
        file.unread = frozenset(names) - {config.text, config.target}
        _add_rows(file, config, texts, labels)
    return Labelled(name_of_all(paths), texts, labels)


def _add_rows(file: TableFile, config: TextConfig, texts: list[str], labels: list[str]) -> None:
    """Add a table's rows. Raises: DataError, naming rows of another length, or without a label."""
    bad: list[BadCell] = []
    row = 0
    for batch in file.batches(skips_ragged=True):
        texts += [one_line(text or "") for text in _strings(batch, config.text, file)]
        for label in _strings(batch, config.target, file):
            labels.append((label or "").strip())
            if not labels[-1]:
                bad.append(BadCell(row, config.target, "", "missing"))
            row += 1
    hint = "quote cells that hold the delimiter: is data.delimiter right?"
    report([Problem(f"{file.name}, {told}", hint) for told in file.ragged])
    report([Problem(cell.worded(file)) for cell in bad])


def _strings(batch: pa.RecordBatch, name: str, file: TableFile) -> list[str | None]:
    column = as_text(plain(batch.column(name)))
    if column is None:
        raise DataError(f"{file.name}: column {name} holds {batch.column(name).type}, not text")
    found: list[str | None] = column.to_pylist()
    return found


def _of_folders(word: str, encoding: str) -> Labelled:
    """Return the texts of the .txt files in the folders of a folder; each folder is a class."""
    root = _folder(word)
    entries = entries_of(root)
    folders = [path for path in entries if path.is_dir() and not path.name.startswith(".")]
    parts = [path.name for path in folders if path.name.lower() in PARTS]
    if not folders:
        raise DataError(f"{root} has no class folders", hint="expected is FOLDER/<class>/1.txt")
    if parts and len(parts) == len(folders):
        raise DataError(
            f"{root} has the parts {', '.join(parts)}, not classes",
            hint=f"data.path={root / parts[-1]} data.test_path={root / parts[0]}",
        )
    class_folders = set(folders)
    others = [path.name for path in entries if path not in class_folders]
    texts, labels = [], []
    problems: list[Problem] = []
    for folder in folders:
        files, beside = text_files_of(folder)
        others += [f"{folder.name}/{name}" for name in beside]
        if not files:
            problems.append(Problem(f"class folder {folder} has no .txt file", "remove it, or fill it"))
        texts += [one_line(read_whole(path, encoding)) for path in files]
        labels += [folder.name] * len(files)
    report(problems)
    return Labelled(str(root), texts, labels, _noted(others))


def _of_files(word: str, encoding: str) -> Labelled:
    """Return the lines of files; each file is a class. Empty lines are no texts."""
    paths, others = text_files(word)
    texts: list[str] = []
    labels: list[str] = []
    problems: list[Problem] = []
    seen: set[str] = set()
    for path in paths:
        label = Path(unpacked_name(path)).stem
        if label in seen:
            problems.append(Problem(f"{path}: another file is of the class {label}, too", "rename one of them"))
        seen.add(label)
        lines = [line.strip() for line in read_whole(path, encoding).split("\n") if line.strip()]
        if not lines:
            problems.append(Problem(f"{path}, of the class {label}, has no text", "remove it, or fill it"))
        texts += lines
        labels += [label] * len(lines)
    report(problems)
    name = str(paths[0].parent) if len(paths) > 1 else str(paths[0])
    return Labelled(name, texts, labels, _noted(others))


def _folder(word: str) -> Path:
    """Return the one folder that a path names. Raises: DataError."""
    paths = found_files(word)
    if len(paths) > 1 or not paths[0].is_dir():
        what = "is no folder" if paths[0].exists() else "is not there"
        raise DataError(f"{paths[0]} {what}, but data.layout=folders", hint="data.path=FOLDER")
    return paths[0]


def _noted(names: Iterable[str]) -> tuple[str, ...]:
    return left_out(list(names), "file is no .txt file", "files are no .txt files")
