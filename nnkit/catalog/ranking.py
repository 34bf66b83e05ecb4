"""Which of several runs are better, or come first; and what runs that are equal but for their seed have in common."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

from nnkit.catalog.entry import SEED, Entry, runs_in_words
from nnkit.catalog.filters import TIMES, key_problem
from nnkit.config.cross import BETTER_AT, DEFAULT_MONITOR, task_objective
from nnkit.config.identity import LIMITS, decisive
from nnkit.errors import ConfigError
from nnkit.runs import FINISHED

T = TypeVar("T")


def mode_of(metric: str, entries: Iterable[Entry]) -> str | None:
    """Return whether a metric is better at its "max" or its "min"; None for what is no metric."""
    _, slash, name = metric.partition("/")
    if not slash:
        return None
    for entry in entries:
        if entry.setting("metric.name") == name and entry.setting("metric.mode") in ("min", "max"):
            return str(entry.setting("metric.mode"))
    return BETTER_AT.get(f"val/{name}")


def in_order(entries: Sequence[Entry], key: str, *, reverse: bool = False) -> list[Entry]:
    """Return runs sorted: the newest first, the best metric first, everything else ascending; those without it last.

    Args:
        entries: the runs.
        key: a column, a metric or a setting.
        reverse: the other way round.
    """
    return _ordered(entries, lambda entry: entry.value(key), descends=_descends(key, entries) != reverse)


def _descends(key: str, entries: Iterable[Entry]) -> bool:
    return key in TIMES or mode_of(key, entries) == "max"


def _ordered(items: Sequence[T], value: Callable[[T], Any], *, descends: bool) -> list[T]:
    valued = [(value(item), item) for item in items]
    there = [pair for pair in valued if pair[0] is not None]
    there.sort(key=lambda pair: _sortable(pair[0]), reverse=descends)
    return [item for _, item in there] + [item for found, item in valued if found is None]


def _sortable(value: Any) -> tuple[bool, float, str]:
    is_number = isinstance(value, (int, float))
    return not is_number, float(value) if is_number else 0.0, "" if is_number else json.dumps(value)


def best_of(entries: Sequence[Entry], metric: str | None = None) -> tuple[Entry, str]:
    """Return the best finished run, and the metric that decided; the loss breaks ties, then the newest wins.

    Args:
        entries: runs of one data set.
        metric: that decides; None for the one of their task.

    Raises:
        ConfigError: none is finished, none has the metric, or they are of several data sets.
    """
    finished = [entry for entry in entries if entry.status in FINISHED and entry.metrics]
    if not finished:
        raise ConfigError(f"none of {runs_in_words(len(entries))} has finished", hint="nnkit runs ls")
    _refuse_several_data_sets(finished)
    name = metric or task_objective({name for entry in finished for name in entry.metrics})[0]
    mode = mode_of(name, finished)
    measured = [entry for entry in finished if name in entry.metrics]
    if mode is None or not measured:
        known = dict.fromkeys(name for entry in finished for name in entry.metrics if mode_of(name, finished))
        raise ConfigError(key_problem(name, known, "a metric of these runs"))
    sign = -1 if mode == "max" else 1
    newest_first = in_order(measured, "started")
    loss = {entry.run: entry.metrics.get(DEFAULT_MONITOR, 0.0) for entry in measured}
    return min(newest_first, key=lambda entry: (sign * entry.metrics[name], loss[entry.run])), name


def _refuse_several_data_sets(entries: Sequence[Entry]) -> None:
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        key = (str(entry.setting("data.kind")), str(entry.facts.get("data_fingerprint")))
        found.setdefault(key, []).append(entry)
    if len(found) == 1:
        return
    kinds = [kind for kind, _ in found]
    first = next(iter(found.values()))[0]
    hint = f"data={kinds[0]}"
    if kinds.count(kinds[0]) > 1:
        paths = {str(group[0].setting("data.path")) for group in found.values()}
        hint += (
            f" data.path={first.setting('data.path')}" if len(paths) > 1 else f" 'started>={first.value('started')}'"
        )
    named = ", ".join(f"{kind} ({runs_in_words(len(group))})" for (kind, _), group in found.items())
    raise ConfigError(f"the runs are of several data sets, whose scores do not compare: {named}", hint=hint)


@final
@dataclass(frozen=True, slots=True)
class Group:
    """Runs that are equal but for their seed, one for each seed.

    Attributes:
        entries: the newest finished run of each seed, one that has looked at the test set before others; at least one.
        metric: of their task.
        settings: those in which they differ from other groups of the same model and data.
    """

    entries: Sequence[Entry]
    metric: str
    settings: Mapping[str, Any]

    @property
    def test(self) -> str:
        """The same metric on the test set."""
        return self.metric.replace("val/", "test/")

    def mean(self, key: str) -> float | None:
        """Return the mean of a metric or of a number; None unless all runs have it."""
        found = self._values(key)
        return statistics.fmean(found) if len(found) == len(self.entries) else None

    def deviation(self, key: str) -> float | None:
        """Return the standard deviation (n - 1) of a metric; None where there is no mean, or one run alone."""
        found = self._values(key)
        return statistics.stdev(found) if len(found) == len(self.entries) > 1 else None

    def _values(self, key: str) -> list[float]:
        return [value for entry in self.entries if isinstance(value := entry.value(key), (int, float))]


def by_seed(entries: Iterable[Entry]) -> list[Group]:
    """Return the finished runs, those together that repeat each other with other seeds, the newest group first."""
    together: dict[str, dict[Any, Entry]] = {}
    finished = [entry for entry in entries if entry.status in FINISHED and entry.metric is not None]
    for entry in in_order(finished, "started"):
        settings = entry.trained_with
        key = {**decisive(settings), **{name: entry.setting(name) for name in LIMITS}, SEED: None}
        text = json.dumps([entry.facts.get("data_fingerprint"), key], sort_keys=True)
        seeds = together.setdefault(text, {})
        if settings.get(SEED) not in seeds or (_is_tested(entry) and not _is_tested(seeds[settings.get(SEED)])):
            seeds[settings.get(SEED)] = entry
    found = [list(seeds.values()) for seeds in together.values()]
    varying = _varying([members[0] for members in found])
    return [_group(members, varying) for members in found]


def _is_tested(entry: Entry) -> bool:
    return any(name.startswith("test/") for name in entry.metrics)


def groups_in_order(groups: Sequence[Group], key: str, *, reverse: bool = False) -> list[Group]:
    """Return groups sorted as `in_order` sorts runs, by the mean of what is a number."""
    everyone = [entry for group in groups for entry in group.entries]

    def value(group: Group) -> Any:
        mean = group.mean(key)
        return in_order(group.entries, key)[0].value(key) if mean is None else mean

    return _ordered(groups, value, descends=_descends(key, everyone) != reverse)


def _group(members: Sequence[Entry], varying: Mapping[tuple[Any, Any], Mapping[str, Any]]) -> Group:
    settings, first = members[0].trained_with, members[0]
    keys = varying[_family(first)]
    ordered = sorted(members, key=lambda entry: _sortable(entry.setting(SEED)))
    return Group(ordered, first.metric or "", {key: settings[key] for key in keys if key in settings})


def _family(entry: Entry) -> tuple[Any, Any]:
    return entry.setting("model.kind"), entry.setting("data.kind")


def _varying(entries: Sequence[Entry]) -> dict[tuple[Any, Any], dict[str, None]]:
    """Return the settings that differ between runs of the same model and data, by these two."""
    first: dict[tuple[Any, Any], dict[str, Any]] = {}
    found: dict[tuple[Any, Any], dict[str, None]] = {}
    for entry in entries:
        settings = {**decisive(entry.trained_with), **{name: entry.setting(name) for name in (*LIMITS, "data.path")}}
        reference = first.setdefault(_family(entry), settings)
        differing = found.setdefault(_family(entry), {})
        keys = dict.fromkeys([*reference, *settings])
        differing.update({key: None for key in keys if settings.get(key) != reference.get(key) and key != SEED})
    return found
