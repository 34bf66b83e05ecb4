"""`nnkit runs diff A B`: the settings, metrics, versions and data in which two runs differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnkit.catalog.compare import differences
from nnkit.catalog.entry import kept
from nnkit.cli.messages import printable
from nnkit.cli.report import shown
from nnkit.cli.runs.table import show_json, show_table, spelled
from nnkit.cli.runs.words import Asked
from nnkit.cli.words import read_command
from nnkit.errors import ConfigError
from nnkit.runs import read_config, read_run

FACTS = ("status", "versions", "git_commit", "data_fingerprint", "rows", "parameters", "epochs", "steps", "seconds")
LONGEST = 12  # letters of a fingerprint or commit that are shown


def command(argv: list[str]) -> int:
    """Compare two runs, and return the exit code."""
    read = read_command(argv, command="runs diff", flags=("json",), valued=(), short={})
    asked = Asked.of(read)
    if len(asked.words) != 2:
        text = f"diff takes two runs, got {' '.join(asked.words) or 'none'}"
        raise ConfigError(text, hint="nnkit runs diff RUN last")
    first, second = (asked.run(word) for word in asked.words)
    a, b = read_run(first), read_run(second)
    settings = differences(read_config(first), read_config(second))
    facts = differences({key: a.get(key) for key in FACTS}, {key: b.get(key) for key in FACTS})
    metrics = {key: (x.get(key), y.get(key)) for x, y in [_metrics(a, b)] for key in dict.fromkeys([*x, *y])}
    if "json" in read.flags:
        show_json({"a": str(first), "b": str(second), "settings": settings, "facts": facts, "metrics": metrics})
        return 0
    print(f"a  {printable(str(first))}\nb  {printable(str(second))}")
    _show("setting", settings)
    _show("fact", facts)
    if not settings and not facts:
        print("\nno setting, version or data differs")
    if metrics:
        print()
        rows = [[printable(key), shown(x), shown(y), _change(x, y)] for key, (x, y) in metrics.items()]
        show_table(["metric", "a", "b", "b - a"], rows, left=("metric",))
    return 0


def _metrics(*facts: Mapping[str, Any]) -> tuple[dict[str, float], ...]:
    return tuple(kept(each).get("metrics", {}) for each in facts)


def _change(a: float | None, b: float | None) -> str:
    return "" if a is None or b is None else f"{b - a:+.4f}" if abs(b - a) < 1000 else f"{b - a:+.5g}"


def _show(what: str, found: Mapping[str, tuple[Any, Any]]) -> None:
    """Print what differs, where something does; a missing value stays empty."""
    if found:
        print()
        rows = [[printable(key), *(_short(key, value) for value in pair)] for key, pair in found.items()]
        show_table([what, "a", "b"], rows, left=(what, "a", "b"))


def _short(key: str, value: Any) -> str:
    text = spelled(value)
    return f"{text[:LONGEST]}…" if key in ("data_fingerprint", "git_commit") and len(text) > LONGEST else text
