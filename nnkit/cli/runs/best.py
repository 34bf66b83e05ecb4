"""`nnkit runs best`: the folder of the best run, so that `nnkit eval "$(nnkit runs best data=iris)"` works."""

from __future__ import annotations

from nnkit.catalog.filters import key_problem, known_keys
from nnkit.catalog.ranking import best_of, mode_of
from nnkit.cli.messages import note, warn
from nnkit.cli.report import shown
from nnkit.cli.runs.table import plain, show_json
from nnkit.cli.runs.words import Asked
from nnkit.cli.words import read_command
from nnkit.errors import ConfigError
from nnkit.runs import FINISHED


def command(argv: list[str]) -> int:
    """Print the best run's folder, and return the exit code."""
    read = read_command(argv, command="runs best", flags=("json",), valued=("by",), short={})
    asked = Asked.of(read)
    catalog = asked.catalog()
    entries = asked.filtered(catalog, asked.words)
    if not entries:
        raise ConfigError("there is no run to choose from", hint="nnkit runs ls")
    by = read.values.get("by")
    if by is not None and mode_of(by, entries) is None:
        known = [key for key in known_keys(entries) if mode_of(key, entries) is not None]
        raise ConfigError(key_problem(by, known, "a metric"))
    best, metric = best_of(entries, by)
    if metric.startswith("test/"):
        warn(f"chosen by {metric}, which is then no longer an honest estimate; val/ is there to choose by")
    if "json" in read.flags:
        show_json(plain(best, catalog.root))
    else:
        count = sum(entry.status in FINISHED and metric in entry.metrics for entry in entries)
        note(f"{metric} {shown(best.metrics[metric])}, the best of {count} finished runs")
        print(catalog.root / best.run)
    return 0
