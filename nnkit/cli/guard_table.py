"""What the data guard found, on standard error: one line, a table of the columns, and a line a warning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnkit.cli.messages import note, warn

if TYPE_CHECKING:
    from rich.table import Table

    from nnkit.data.profile import ColumnFacts
    from nnkit.data.report import Report

MOST_SHOWN = 30
WIDEST = 48  # of what a column holds


def show_report(report: Report, *, columns: bool = True, classes: bool = True, more_in: str = "data.json") -> None:
    """Print a report.

    Args:
        report: what the guard found.
        columns: whether the columns are shown one by one.
        classes: whether the classes or labels are.
        more_in: where to look for columns beyond the first MOST_SHOWN.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False, markup=False)
    if not console.is_terminal:
        console.width = 120
    console.print(headline(report), soft_wrap=True)
    if columns:
        console.print(_columns(report))
        if len(report.columns) > MOST_SHOWN:
            console.print(f"… and {len(report.columns) - MOST_SHOWN:,} more, see {more_in}")
    if classes and report.target is not None and report.target.counts:
        console.print(_classes(report))
        if len(report.target.counts) > MOST_SHOWN:
            console.print(f"… and {len(report.target.counts) - MOST_SHOWN:,} more, see {more_in}")
    for text in report.notes:
        note(text)
    for _, text in report.warnings:
        warn(text)


def headline(report: Report) -> str:
    """Return where the rows went, and what is to be learned, in one line."""
    rows = report.rows
    text = f"data: {rows.used:,} rows"
    if rows.dropped:
        text += f" of {rows.read:,} ({', '.join(f'{count:,} {reason}' for reason, count in rows.dropped.items())})"
    if rows.train is not None:
        text += f": {rows.train:,} train, {rows.val:,} val, {rows.test:,} test"
    return "; ".join([text, *_of_target(report), *_of_repeats(report)])


def _of_target(report: Report) -> Iterator[str]:
    target = report.target
    if target is None:
        yield f"{len(report.columns)} columns, no target named"
    elif target.imbalance is not None:
        yield f"{len(target.counts)} classes (imbalance {target.imbalance:.1f})"
    elif target.counts:
        yield f"{len(target.counts)} labels"
    elif report.task == "language":
        yield f"{report.columns[0].distinct_of:,} tokens"
    else:
        shown = [f"{name} {_number(q['min'])} … {_number(q['max'])}" for name, q in target.quantiles.items()]
        yield ", ".join(shown[:3]) + (f", … ({len(shown)} values)" if len(shown) > 3 else "")


def _of_repeats(report: Report) -> Iterator[str]:
    """Yield how many rows equal a training row, where that is too few for a warning."""
    repeats, warned = report.repeats, {code for code, _ in report.warnings}
    if repeats is not None and "duplicates" not in warned and (repeats.val or repeats.test):
        yield f"{repeats.val:,} val and {repeats.test:,} test rows equal a training row"


def _columns(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("column", "kind"):
        table.add_column(name)
    for name in ("missing", "distinct"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("values")
    table.add_column("")
    for column in report.columns[:MOST_SHOWN]:
        remark = column.left_out or ("target" if column.role == "target" else "constant" if column.constant else "")
        cells = (
            column.name,
            column.kind,
            _missing(column),
            _distinct(column, report.rows.used),
            _values(column),
            remark,
        )
        table.add_row(*(Text(cell, overflow="ellipsis") for cell in cells))
    return table


def _classes(report: Report) -> Table:
    from rich.table import Table
    from rich.text import Text

    assert report.target is not None
    table = Table(box=None, pad_edge=False)
    table.add_column("label" if report.task == "multilabel" else "class")
    for part in ("train", "val", "test"):
        table.add_column(part, justify="right")
    for name, counts in list(report.target.counts.items())[:MOST_SHOWN]:
        table.add_row(Text(name), *(f"{count:,}" for count in counts.values()))
    return table


def _missing(column: ColumnFacts) -> str:
    return "" if column.missing is None else f"{column.missing:,}"


def _distinct(column: ColumnFacts, num_rows: int) -> str:
    if column.distinct is None or column.distinct_of is None:
        return ""
    of = "" if column.distinct_of == num_rows else f" of {column.distinct_of:,}"
    return f"{column.distinct:,}{of}"


def _values(column: ColumnFacts) -> str:
    if column.top:
        text = ", ".join(f"{name} {count:,}" for name, count in column.top)
        if (column.distinct or 0) > len(column.top):
            text += ", …"
        return text if len(text) <= WIDEST else text[: WIDEST - 1].rstrip() + "…"
    if column.low is None:
        return ""
    low, high, mean = (_number(value) for value in (column.low, column.high, column.mean))
    return low if low == high else f"{low} … {high}, mean {mean}"


def _number(value: float | str | None) -> str:
    if not isinstance(value, float):
        return str(value)
    is_long = value.is_integer() or abs(value) >= 10_000
    return f"{value:,.0f}" if is_long and abs(value) < 1e15 else f"{value:.4g}"
