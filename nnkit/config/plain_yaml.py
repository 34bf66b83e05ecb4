"""YAML of a stranger, read as plain data: small, shallow, and no larger than it looks."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from nnkit.errors import Problem

LARGEST = 2**20  # bytes of a config; a table with 20,000 columns, each of them named, has half of it
DEEPEST = 50
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # eight times as fast, where PyYAML has it
# One line that opens so many nested lists or mappings takes PyYAML all of the memory there is.
_TOO_DEEP = re.compile(rb"(?:[-?:][ \t]+){%d}" % DEEPEST)


def parsed(data: bytes) -> Any:
    """Return plain YAML of our own making. We write no aliases.

    Raises:
        ValueError, yaml.YAMLError, RecursionError: it is not plain, or no YAML at all.
    """
    _check(data)
    if b"*" in data and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(data, Loader=_Loader)):
        raise ValueError("it has aliases")
    return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader


def checked(data: bytes, most_values: int) -> Any:
    """Return plain YAML that somebody has written by hand, perhaps with aliases.

    Args:
        data: the file's.
        most_values: keys and values, with every alias written out.

    Raises:
        ValueError, yaml.YAMLError, RecursionError: it is not plain, stands for too much, or is no YAML at all.
    """
    _check(data)
    sizes: dict[int, int] = {}
    root = yaml.compose(data, Loader=_Loader)
    if root is not None and _size(root, sizes, 0) > most_values:
        raise ValueError(f"it stands for more than {most_values:,} values")
    return yaml.load(data, Loader=_Loader)  # noqa: S506 - a safe loader


def _check(data: bytes) -> None:
    if len(data) > LARGEST:
        raise ValueError(f"it has {len(data):,} bytes, more than {LARGEST:,}")
    if _TOO_DEEP.search(data):
        raise ValueError("it is nested too deeply")


def _size(node: yaml.Node, sizes: dict[int, int], depth: int) -> int:
    """Return how many values a node stands for. Raises: ValueError, where it lies too deep, or within itself."""
    if depth > DEEPEST:
        raise ValueError("it is nested too deeply")
    if id(node) not in sizes:
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for each in inner for part in (each if isinstance(each, tuple) else (each,))]
        sizes[id(node)] = 1 + sum(_size(part, sizes, depth + 1) for part in parts)
    return sizes[id(node)]


def unread(path: Path, error: Exception) -> Problem:
    """Word why a YAML file cannot be read, with the line where YAML gives up."""
    mark = getattr(error, "problem_mark", None)
    if mark is None:
        return Problem(f"{path} cannot be read: {one_line(error)}")
    said = ", ".join(text for name in ("context", "problem") if (text := getattr(error, name, None)))
    text = f"{path} cannot be read: line {mark.line + 1}, column {mark.column + 1}: {said}"
    return Problem(text, "a setting is `name: value`; those of a section stand below it, two spaces further in")


def one_line(error: BaseException) -> str:
    """Return what an error says, without line ends."""
    return " ".join(str(error).split())
