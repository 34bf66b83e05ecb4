"""Tables, JSON and CSV on standard output: here they are the result. Drawn by rich on a terminal, else plain text."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nnkit.catalog.entry import Entry
from nnkit.cli.messages import printable
from nnkit.config.suggest import spell
from nnkit.errors import ConfigError


def spelled(value: Any) -> str:
    """Return a setting or a fact as it is shown; nothing for None."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return "" if value is None else printable(spell(value))


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: Collection[str]) -> None:
    """Print a table.

    Args:
        heads: of the columns.
        rows: their cells.
        left: heads of the columns of words; numbers stand on the right.
    """
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table()
        for head in heads:
            is_left = head in left
            table.add_column(Text(head), justify="left" if is_left else "right", overflow="fold", no_wrap=not is_left)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        Console().print(table)
        return
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        cells = [c.ljust(w) if h in left else c.rjust(w) for c, w, h in zip(row, widths, heads, strict=True)]
        print("  ".join(cells).rstrip())


def show_pairs(pairs: Mapping[str, str]) -> None:
    """Print names and what stands behind them, those with something behind them."""
    width = max(len(name) for name in pairs)
    for name, text in pairs.items():
        if text:
            print(f"{name.ljust(width)}  {text}")


def show_json(value: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(value, indent=2))


def show_csv(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table as CSV, numbers in full."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([printable(head) for head in heads])
    writer.writerows(
        [value if isinstance(value, float) else "" if value is None else printable(spell(value)) for value in row]
        for row in rows
    )


def refuse_both(flags: Collection[str]) -> None:
    """Raise: ConfigError, where JSON and CSV are asked for together."""
    if "json" in flags and "csv" in flags:
        raise ConfigError("--json and --csv are two forms of the same", hint="leave one out")


def plain(entry: Entry, root: Any) -> dict[str, Any]:
    """Return a run as plain data, for JSON."""
    columns = (
        "kind",
        "status",
        "name",
        "started",
        "ended",
        "reason",
        "epochs",
        "steps",
        "seconds",
        "parameters",
        "error",
    )
    found = {
        "run": entry.run,
        "folder": str(root / entry.run),
        **{key: entry.value(key) for key in columns},
        "model": entry.value("model"),
        "data": entry.value("data"),
        "metric": entry.metric,
        "metrics": dict(entry.metrics),
        "settings": entry.settings,
    }
    return {**found, "trials": dict(entry.trials)} if entry.kind == "sweep" else found
