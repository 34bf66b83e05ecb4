"""The table at the end of a run, on standard error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnkit.cli.messages import note

if TYPE_CHECKING:
    from nnkit.final import Result

WORDS = {"completed": "completed", "stopped_early": "stopped early", "interrupted": "interrupted, resumable"}
WORDS |= {"pruned": "pruned"}


def show_result(result: Result) -> None:
    """Print status, metrics of each part, and what the user should know."""
    from rich.console import Console
    from rich.table import Table

    for text in result.notes:
        note(text)
    table = Table()
    rows = [
        part for part in ("train", "val", "test", "baseline") if any(k.startswith(part + "/") for k in result.metrics)
    ]
    names = list(dict.fromkeys(key.partition("/")[2] for key in result.metrics if not key.startswith("cv/")))
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for part in rows:
        table.add_row(part, *(shown(result.metrics.get(f"{part}/{name}")) for name in names))
    console = Console(stderr=True, width=None if Console(stderr=True).is_terminal else 100)
    console.print(_title(result), style="bold", highlight=False)
    if rows:
        console.print(table)
    console.print(_caption(result), highlight=False)


def _title(result: Result) -> str:
    best = (
        f", best epoch {result.best['epoch']} ({result.best['monitor']} {result.best['value']:.4g})"
        if result.best
        else ""
    )
    return f"{WORDS[result.status]} ({result.reason}) after {result.epochs} epochs{best}"


def _caption(result: Result) -> str:
    speed = f", {result.samples_per_second:,.0f} samples/s" if result.samples_per_second else ""
    again = f"\nnnkit resume {result.folder}" if result.status == "interrupted" else ""
    tuned = f"\ndecision threshold {result.threshold:.3f}" if result.threshold != 0.5 else ""
    return f"{result.steps} steps in {result.seconds:.1f} s{speed}{tuned}{again}"


def shown(value: float | None) -> str:
    """Return a metric as tables show it; nothing where there is none."""
    return "" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"
