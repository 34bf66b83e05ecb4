"""What a sweep leaves behind beside its trials: a table, the best settings as an experiment, what mattered."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from nnkit.config.cross import Objective
from nnkit.config.domains import Domain
from nnkit.config.origin import Composed
from nnkit.runs import SWEEP
from nnkit.storage import read_bytes, write_bytes, write_json
from nnkit.sweep.trials import Group, Outcome, best_of

TABLE, BEST = "trials.csv", "best.yaml"
NOT_OF_A_RUN = ("name", "output_dir", "tags", "tracker")  # what an experiment leaves to whoever uses it
FEWEST_POINTS = 8  # to tell what mattered


def write_table(folder: Path, groups: Sequence[Group], outcomes: Sequence[Outcome]) -> None:
    """Write trials.csv: one line a trial, the best first, those without a rank behind. Raises: StorageError."""
    rank = {o.trial.number: place for place, group in enumerate(groups, 1) for o in group.outcomes}
    rows = sorted(outcomes, key=lambda o: (rank.get(o.trial.number, len(rank) + 1), o.trial.number))
    keys = list(dict.fromkeys(key for outcome in rows for key in outcome.trial.changed))
    metrics = list(dict.fromkeys(name for outcome in rows for name in outcome.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "trial", "status", *keys, *metrics, "epochs", "seconds", "folder", "error"])
    for outcome in rows:
        trial = outcome.trial
        changed = [trial.changed.get(key, "") for key in keys]
        values = [outcome.metrics.get(name, "") for name in metrics]
        place = rank.get(trial.number, "")
        end = [outcome.epochs, round(outcome.seconds, 3), outcome.folder.name, outcome.error]
        writer.writerow([place, trial.number, outcome.status, *changed, *values, *end])
    write_bytes(folder / TABLE, text.getvalue().encode())


def write_best(folder: Path, winner: Group, objective: Objective, count: int) -> None:
    """Write best.yaml: all that was typed for the best trial, as an experiment. Raises: StorageError."""
    name, mode = objective
    trial = best_of(winner, mode).trial
    assert trial.composed is not None
    deviation = "" if winner.deviation is None else f" ± {winner.deviation:.4f}"
    head = (
        f"# @package _global_\n# The best of {count} trials: {name} {winner.score:.4f}{deviation}. nnkit train {BEST}\n"
    )
    write_bytes(folder / BEST, (head + yaml.safe_dump(experiment(trial.composed), sort_keys=False)).encode())


def experiment(composed: Composed) -> dict[str, Any]:
    """Return what was typed for a config, on the command line or in an experiment, as an experiment's content."""
    groups = [key for key in composed.typed if key in composed.choices and key not in NOT_OF_A_RUN]
    found: dict[str, Any] = {"defaults": [{f"override /{key}": composed.choices[key]} for key in sorted(groups)]}
    for key in composed.typed:
        if key in composed.choices or key.partition(".")[0] in NOT_OF_A_RUN:
            continue
        *above, last = key.split(".")
        place, value = found, composed.values
        for part in above:
            place, value = place.setdefault(part, {}), value.get(part, {})
        if last in value:
            place[last] = value[last]
    return {key: value for key, value in found.items() if value not in ([], {})}


def write_importance(folder: Path, shares: Mapping[str, float]) -> None:
    """Add what mattered to sweep.json. Raises: StorageError."""
    facts = json.loads(read_bytes(folder / SWEEP))
    write_json(folder / SWEEP, {**facts, "importance": dict(shares)})


def importances(domains: Mapping[str, Domain], groups: Sequence[Group], objective: Objective) -> dict[str, float]:
    """Return the share of each swept setting in what makes the scores differ (fANOVA, Hutter et al. 2014), the largest
    first; empty for too few points, without Optuna, and where the scores do not differ.

    Settings that not all trials read are left out.
    """
    name, mode = objective
    scores = [(group, group.score) for group in groups if group.metric == name and not group.is_pruned]
    if len(scores) < FEWEST_POINTS or len({score for _, score in scores}) == 1:
        return {}
    try:
        import optuna
    except ImportError:
        return {}
    from nnkit.sweep.bayes import distribution, param

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize" if mode == "max" else "minimize")
    for group, score in scores:
        values = {key: group.outcomes[0].trial.values[key] for key in group.changed if key in domains and key != "seed"}
        study.add_trial(
            optuna.trial.create_trial(
                value=score,
                params={key: param(domains[key], value) for key, value in values.items()},
                distributions={key: distribution(domains[key]) for key in values},
            )
        )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: round(float(share), 4) for key, share in found.items()}
