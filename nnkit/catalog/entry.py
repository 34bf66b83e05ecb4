"""What is known of one run without opening it: a part of its run.json, its settings, where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from nnkit.config.cross import task_objective
from nnkit.config.suggest import spell
from nnkit.runs import FINISHED

STATUSES = (*FINISHED, "running", "interrupted", "failed", "lost", "damaged")
WORDS = ("status", "started", "ended", "reason", "error", "data_fingerprint")
NUMBERS = ("epochs", "steps", "seconds", "parameters")
SEED = "seed"


def kept(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the catalog keeps of a run.json; whatever is not of the type it should be is left out."""
    found: dict[str, Any] = {key: facts[key] for key in WORDS if isinstance(facts.get(key), str)}
    found.update({key: facts[key] for key in NUMBERS if _is_number(facts.get(key))})
    metrics = facts.get("metrics")
    if isinstance(metrics, dict):
        found["metrics"] = {str(name): value for name, value in metrics.items() if _is_number(value)}
    if told := changed(facts):
        found["changed"] = told
    return found


def changed(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that changed while a run went on, by key: `0.001 until step 95, then 0.1`."""
    found: dict[str, str] = {}
    resumed = facts.get("resumed")
    for entry in resumed if isinstance(resumed, list) else ():
        step, after, before = (_member(entry, name) for name in ("step", "changes", "before"))
        for key, value in after.items() if isinstance(after, dict) and step else ():
            old = f"{spell(before[key])} " if isinstance(before, dict) and key in before else ""
            found[key] = f"{found.get(key, old)}until step {step}, then {spell(value)} "
    return {key: text.strip() for key, text in found.items()}


def _member(entry: Any, name: str) -> Any:
    return entry.get(name) if isinstance(entry, dict) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def runs_in_words(count: int) -> str:
    """Return a number of runs as it is said."""
    return "1 run" if count == 1 else f"{count:,} runs"


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """A run, or a sweep with the figures of its best trial.

    Attributes:
        run: its folder, relative to the one that was looked through.
        kind: run, trial, fold or sweep.
        status: "lost" for a run that should be alive, "damaged" for one whose files cannot be read.
        facts: as `kept` returns them.
        parts: its settings by full key, section by section; equal sections are one object in all runs.
        above: the sweep or run that it is part of, relative as well; empty for one that stands for itself.
        trials: of a sweep: how many there are, are planned, and ended how; and its best one.
    """

    run: str
    kind: str
    status: str
    facts: Mapping[str, Any]
    parts: Sequence[Mapping[str, Any]] = ()
    above: str = ""
    trials: Mapping[str, Any] = field(default_factory=dict)

    @property
    def metrics(self) -> Mapping[str, float]:
        """The final metrics: train/…, val/…, test/… and baseline/…; none of a run that has not ended."""
        found: Mapping[str, float] = self.facts.get("metrics", {})
        return found

    @property
    def settings(self) -> dict[str, Any]:
        """All settings by full key."""
        return {key: value for part in self.parts for key, value in part.items()}

    @property
    def trained_with(self) -> dict[str, Any]:
        """All settings by full key; of one that changed on the way, its values in turn, as one text."""
        return {**self.settings, **self.facts.get("changed", {})}

    @property
    def metric(self) -> str | None:
        """The metric of its task, such as val/accuracy; None where it has no metrics."""
        name = task_objective(self.metrics)[0]
        return name if name in self.metrics else None

    @property
    def name(self) -> str | None:
        """The run's name: the user's, or <model>-<data>."""
        given, model, data = self.setting("name"), self.setting("model.kind"), self.setting("data.kind")
        return str(given) if given else f"{model}-{data}" if model and data else None

    def setting(self, key: str) -> Any:
        """Return a setting, the kind of a section that is named alone; None where it has none."""
        for part in self.parts:
            if key in part:
                return part[key]
            if f"{key}.kind" in part:
                return part[f"{key}.kind"]
        return None

    def value(self, key: str) -> Any:
        """Return what the run has under a column's, metric's or setting's name; None where it has none."""
        if key in COLUMNS:
            return COLUMNS[key](self)
        return self.metrics[key] if key in self.metrics else self.setting(key)


def _fact(key: str) -> Callable[[Entry], Any]:
    return lambda entry: entry.facts.get(key)


# What a run has beside its settings and metrics.
COLUMNS: Mapping[str, Callable[[Entry], Any]] = {
    "run": lambda entry: entry.run,
    "kind": lambda entry: entry.kind,
    "name": lambda entry: entry.name,
    "status": lambda entry: entry.status,
    **{key: _fact(key) for key in ("started", "ended", "reason", "error", *NUMBERS)},
}
