"""`nnkit runs ls`: one line a run, a sweep, or a group of runs that are equal but for their seed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nnkit.catalog.entry import Entry
from nnkit.catalog.filters import chosen, key_problem, known_keys, looks_like_filter, read_filters
from nnkit.catalog.index import Catalog, load
from nnkit.catalog.ranking import Group, by_seed, groups_in_order, in_order
from nnkit.catalog.sweeps import summarised
from nnkit.cli.messages import note, printable
from nnkit.cli.report import shown
from nnkit.cli.runs.table import plain, refuse_both, show_csv, show_json, show_table, spelled
from nnkit.cli.runs.words import Asked, is_folder, note_none
from nnkit.cli.words import Read, read_command
from nnkit.errors import ConfigError

ON_A_TERMINAL = 40  # lines, unless --limit says otherwise
BASE = ("run", "started", "status", "model", "data", "epochs", "seconds")
FLAGS = ("reverse", "by-seed", "all", "json", "csv")


def command(argv: list[str]) -> int:
    """List runs as the words say, and return the exit code."""
    short = {"-n": "limit", "-a": "all", "-r": "reverse"}
    read = read_command(argv, command="runs ls", flags=FLAGS, valued=("sort", "limit"), short=short)
    refuse_both(read.flags)
    limit = _limit(read)
    asked = Asked.of(read)
    words = [word for word in asked.words if looks_like_filter(word) or not is_folder(word, asked.output_dir)]
    folders = [word for word in asked.words if word not in words]
    if len(folders) > 1:
        raise ConfigError(f"ls takes one folder, got {' '.join(folders)}", hint=f"nnkit runs ls {folders[0]}")
    catalog, entries, is_whole = _scope(asked, folders[0] if folders else None)
    filters = read_filters(words, catalog.entries)
    sort = read.values.get("sort", "started")
    if "sort" in read.values and sort not in (known := known_keys(catalog.entries)):
        raise ConfigError(key_problem(sort, known, "a key to sort by"))
    found = chosen(entries, filters)
    if not found:
        note_none(catalog)
    extra = dict.fromkeys(key for key in (*(condition.key for condition in filters), sort))
    if "by-seed" in read.flags:
        alone = [entry for entry in found if entry.kind != "fold" or "all" in read.flags]  # a fold is a part of its run
        _show_groups(alone, sort, limit, read.flags)
        return 0
    lines = found if is_whole or "all" in read.flags else summarised(catalog, found)
    ordered = in_order(lines, sort, reverse="reverse" in read.flags)
    _show_lines(_cut(ordered, limit), catalog.root, list(extra), read.flags)
    return 0


def _limit(read: Read) -> int:
    """Return how many lines are shown; 0 for all. Raises: ConfigError."""
    text = read.values.get("limit")
    if text is None:
        is_short = sys.stdout.isatty() and not read.flags & {"json", "csv"}
        return ON_A_TERMINAL if is_short else 0
    if not text.isdecimal():
        raise ConfigError(f"--limit must be a whole number, got '{text}'", hint="--limit 20, or --limit 0 for all")
    return int(text)


def _scope(asked: Asked, word: str | None) -> tuple[Catalog, Sequence[Entry], bool]:
    """Return all runs, those in the folder that a word names, and whether its trials are meant one by one."""
    if word is None:
        catalog = asked.catalog()
        return catalog, catalog.entries, False
    folder = Path(word).expanduser()
    folder = (folder if folder.is_dir() else asked.output_dir / word).absolute()
    if not folder.is_relative_to(asked.output_dir) or folder == asked.output_dir:
        catalog = load(folder, keeps_index=False)
        return catalog, catalog.entries, "." in catalog.sweeps or any(entry.run == "." for entry in catalog.entries)
    catalog, name = asked.catalog(), folder.relative_to(asked.output_dir).as_posix()
    entries = [entry for entry in catalog.entries if f"{entry.run}/".startswith(f"{name}/")]
    return catalog, entries, name in catalog.sweeps or any(entry.run == name for entry in entries)


def _cut(lines: Sequence[Any], limit: int) -> Sequence[Any]:
    if limit and len(lines) > limit:
        note(f"{limit} of {len(lines):,} lines; --limit 0 shows all")
        return lines[:limit]
    return lines


def _show_lines(lines: Sequence[Entry], root: Path, extra: Sequence[str], flags: set[str]) -> None:
    if "json" in flags:
        show_json([plain(entry, root) for entry in lines])
        return
    if "csv" in flags:
        heads = _csv_heads(lines, extra)
        show_csv(heads, [[_csv_value(entry, head) for head in heads] for entry in lines])
        return
    if not lines:
        return
    sweeps = ["trials"] if any(entry.trials for entry in lines) else []
    metrics = dict.fromkeys(entry.metric for entry in lines if entry.metric)
    scores = [name for metric in metrics for name in (metric, _test(metric))] if len(metrics) == 1 else []
    scores = scores or (["metric", "val", "test"] if metrics else [])
    more = [key for key in extra if key not in (*BASE, *scores)]
    heads = [*BASE[:3], *sweeps, *BASE[3:6], *scores, *more, "seconds"]
    rows = [[_cell(entry, head) for head in heads] for entry in lines]
    words = [key for key in more if any(isinstance(entry.value(key), (str, list)) for entry in lines)]
    show_table(heads, rows, left=(*BASE[:5], "trials", "metric", *words))


def _test(metric: str) -> str:
    return metric.replace("val/", "test/")


def _cell(entry: Entry, head: str) -> str:
    if head == "started":
        return printable(str(entry.value(head) or "")[:16].replace("T", " "))
    if head == "trials":
        count, whole = entry.trials.get("count"), entry.trials.get("of")
        return "" if count is None else f"{count}" if count == whole else f"{count} of {whole}"
    if head == "seconds":
        return "" if (found := entry.value(head)) is None else f"{found:.1f}"
    if head == "metric":
        return printable((entry.metric or "").removeprefix("val/"))
    if head in ("val", "test"):
        name = entry.metric or ""
        return shown(entry.metrics.get(name if head == "val" else _test(name)))
    return shown(entry.metrics[head]) if head in entry.metrics else spelled(entry.value(head))


def _csv_heads(lines: Sequence[Entry], extra: Sequence[str]) -> list[str]:
    """Return the columns, every metric, and the settings in which the runs differ."""
    metrics = [name for entry in lines for name in entry.metrics]
    parts = {id(part): part for entry in lines for part in entry.parts}
    values: dict[str, set[str]] = {}
    for part in parts.values():
        for key, value in part.items():
            values.setdefault(key, set()).add(repr(value))
    differing = [key for key, found in values.items() if len(found) > 1]
    wanted = ["run", "kind", *BASE[1:], "seed", *metrics, *extra, *differing, "error"]
    return list(dict.fromkeys(wanted))


def _csv_value(entry: Entry, head: str) -> Any:
    return entry.trials.get("count") if head == "trials" else entry.value(head)


def _show_groups(entries: Sequence[Entry], sort: str, limit: int, flags: set[str]) -> None:
    groups = groups_in_order(by_seed(entries), sort, reverse="reverse" in flags)
    used = sum(len(group.entries) for group in groups)
    if used < len(entries):
        note(f"{len(entries) - used:,} left out: not finished, or with settings and seed of another run")
    groups = list(_cut(groups, limit))
    if "json" in flags:
        show_json([_plain_group(group) for group in groups])
        return
    metrics = dict.fromkeys(group.metric for group in groups)
    extra = [sort] if "/" in sort and sort not in (*metrics, *map(_test, metrics)) else []
    if "csv" in flags:
        heads = [
            "model",
            "data",
            "n",
            "seeds",
            "metric",
            "val",
            "val_sd",
            "test",
            "test_sd",
            "epochs",
            "settings",
            "run",
        ]
        show_csv(heads, [_group_values(group) for group in groups])
    elif groups:
        rows = [_group_cells(group, extra) for group in groups]
        heads = ["model", "data", "settings", "n", "metric", "val", "test", *extra, "epochs", "newest"]
        show_table(heads, rows, left=("model", "data", "settings", "metric", "newest"))


def _newest(group: Group) -> Entry:
    return in_order(group.entries, "started")[0]


def _told(group: Group) -> str:
    return " ".join(f"{key}={spelled(value) or 'null'}" for key, value in group.settings.items())


def _group_cells(group: Group, extra: Sequence[str]) -> list[str]:
    first, epochs = group.entries[0], group.mean("epochs")
    scores = [_with_deviation(group, key) for key in (group.metric, group.test, *extra)]
    head = [
        spelled(first.value("model")),
        spelled(first.value("data")),
        printable(_told(group)),
        str(len(group.entries)),
    ]
    metric = group.metric.removeprefix("val/")
    return [*head, metric, *scores, "" if epochs is None else f"{epochs:.0f}", printable(_newest(group).run)]


def _with_deviation(group: Group, key: str) -> str:
    deviation = group.deviation(key)
    return shown(group.mean(key)) + ("" if deviation is None else f" ± {shown(deviation)}")


def _group_values(group: Group) -> list[Any]:
    first = group.entries[0]
    seeds = " ".join(spelled(entry.setting("seed")) for entry in group.entries)
    val, test = ((group.mean(key), group.deviation(key)) for key in (group.metric, group.test))
    head = [first.value("model"), first.value("data"), len(group.entries), seeds, group.metric]
    return [*head, *val, *test, group.mean("epochs"), _told(group), _newest(group).run]


def _plain_group(group: Group) -> dict[str, Any]:
    first = group.entries[0]
    names = dict.fromkeys(name for entry in group.entries for name in entry.metrics)
    metrics = {name: {"mean": group.mean(name), "sd": group.deviation(name)} for name in names}
    return {
        "model": first.value("model"),
        "data": first.value("data"),
        "n": len(group.entries),
        "seeds": [entry.setting("seed") for entry in group.entries],
        "metric": group.metric,
        "metrics": metrics,
        "epochs": group.mean("epochs"),
        "settings": dict(group.settings),
        "runs": [entry.run for entry in group.entries],
    }
