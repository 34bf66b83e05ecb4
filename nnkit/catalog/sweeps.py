"""A sweep as one line: how its trials ended, and the figures of the best one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nnkit.catalog.entry import Entry
from nnkit.catalog.index import Catalog
from nnkit.catalog.ranking import in_order
from nnkit.config.cross import task_objective
from nnkit.runs import FINISHED


def summarised(catalog: Catalog, entries: Sequence[Entry]) -> list[Entry]:
    """Return single runs as they are, and in place of the trials of a sweep one entry; folds are left out.

    Args:
        catalog: where the sweeps are known.
        entries: some of its runs; a sweep stands for those of its trials that are among them.
    """
    trials: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.kind == "trial":
            trials.setdefault(entry.above, []).append(entry)
    everything = Counter(entry.above for entry in catalog.entries if entry.kind == "trial")
    sweeps = [_sweep(name, found, everything[name], catalog.sweeps.get(name, {})) for name, found in trials.items()]
    return [entry for entry in entries if entry.kind == "run"] + sweeps


def _sweep(name: str, trials: Sequence[Entry], count: int, facts: Mapping[str, Any]) -> Entry:
    best = _best(name, trials, facts)
    planned = facts.get("planned", count)
    statuses = Counter(entry.status for entry in trials)
    kept = {
        **(best.facts if best else {}),
        "started": min((str(at) for entry in trials if (at := entry.value("started"))), default=""),
        "seconds": sum(entry.value("seconds") or 0.0 for entry in trials),
        "ended": max((str(entry.value("ended") or "") for entry in trials), default=""),
    }
    told = {
        "count": len(trials),
        "of": count,
        "planned": planned,
        "statuses": dict(statuses),
        "best": best.run if best else None,
    }
    parts = best.parts if best else trials[0].parts
    return Entry(
        name, "sweep", _status(statuses, unstarted=0 if facts.get("ended") else planned - count), kept, parts, "", told
    )


def _status(statuses: Mapping[str, int], *, unstarted: int) -> str:
    """Return how a sweep has ended: as its trials did, where all of them ended well."""
    for status in ("running", "damaged", "lost", "failed", "interrupted"):
        if statuses.get(status):
            return status
    return "interrupted" if unstarted > 0 else "completed"


def _best(name: str, trials: Sequence[Entry], facts: Mapping[str, Any]) -> Entry | None:
    """Return the best trial: the one that sweep.json names, where it is there, or by the metric of the task."""
    ended = [entry for entry in trials if entry.status in FINISHED and entry.metrics]
    named = next((entry for entry in ended if entry.run == f"{name}/{facts.get('best')}"), None)
    if named is not None or not ended:
        return named
    metric = facts.get("objective") or task_objective({metric for entry in ended for metric in entry.metrics})[0]
    return in_order(ended, metric)[0]
