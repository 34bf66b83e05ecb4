"""Files of series and of texts, right and broken, as the world has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# the words of a right header, by their names
HEADER = {
    "problemName": "Toy",
    "timeStamps": "false",
    "missing": "false",
    "univariate": "false",
    "dimensions": "2",
    "equalLength": "false",
    "classLabel": "true a b",
}


def ts_text(cases: Sequence[str], **header: str | None) -> str:
    """The text of a .ts file; a header word of None is left out."""
    words = {key: value for key, value in {**HEADER, **header}.items() if value is not None}
    return "\n".join(["# a toy", *(f"@{key} {value}" for key, value in words.items()), "@data", *cases, ""])


def write_ts(path: str, cases: Sequence[str], **header: str | None) -> Path:
    """Write a .ts file."""
    Path(path).write_text(ts_text(cases, **header), encoding="utf-8")
    return Path(path)


def line_of(case: Any, label: str = "") -> str:
    """The line of one case (T, C), as a writer that keeps all digits writes it."""
    dimensions = [",".join(repr(float(value)) for value in channel) for channel in np.asarray(case).T]
    return ":".join([*dimensions, label] if label else dimensions)


def write_folder(root: str, files: dict[str, str], encoding: str = "utf-8") -> Path:
    """Write texts by their paths in a folder."""
    for name, text in files.items():
        path = Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
    return Path(root)
