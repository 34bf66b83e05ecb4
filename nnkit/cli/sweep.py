"""What `nnkit train -m` does once the combinations are known: check all, train all, one table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.config.check import check
from nnkit.config.compose import foreign_code
from nnkit.config.cross import better_at, monitors
from nnkit.config.options import find_groups
from nnkit.config.schema import Config
from nnkit.config.space import Combination, Space
from nnkit.config.synonyms import nearest
from nnkit.errors import ConfigError, NnkitError, Problem, SweepError
from nnkit.runs import default_name, timestamp
from nnkit.storage import make_folder
from nnkit.usercode import check_code

if TYPE_CHECKING:
    from nnkit.sweep.run import SweepResult
    from nnkit.sweep.trials import Group, Outcome


class InterruptedSweepError(NnkitError):
    """A signal ended the sweep; the trials so far are complete."""

    def __init__(self, number: int, text: str) -> None:
        """Take the signal's number and what to tell."""
        super().__init__(text)
        self.exit_code = 128 + number  # type: ignore[misc]


def sweep(kind: str, settings: Mapping[str, Any], config: Any, arguments: Sequence[str]) -> None:
    """Check every trial, train them, print the table, and the sweep's folder as the last line.

    Args:
        kind: of the sweeper: grid or random.
        settings: of hydra.sweeper, not checked yet.
        config: Hydra's, with the node `hydra`, while it is open.
        arguments: the overrides.

    Raises:
        ConfigError: with the problems of all trials, before the first one starts.
        SweepError: a trial failed; the others are complete.
    """
    from nnkit.config.points import SWEEPERS, points
    from nnkit.config.sweeper import sweeper_of

    sweeper = sweeper_of(SWEEPERS[kind], settings)
    combinations = points(_space(config.hydra, arguments), sweeper)
    configs = _checked(combinations)
    objective = _objective(sweeper.objective, configs)
    from nnkit.sweep.executor import InProcess
    from nnkit.sweep.run import Rules, run_sweep
    from nnkit.sweep.trials import Trial
    from nnkit.train.stopping import catching_signals

    trials = [
        Trial(number, one.changed, config)
        for number, (one, config) in enumerate(zip(combinations, configs, strict=True))
    ]
    folder = sweep_folder(configs)
    with catching_signals() as signals:
        rules = Rules(objective, sweeper.most_failures, sweeper.timeout_s)
        tell = partial(_tell, count=len(trials), objective=objective)
        result = run_sweep(trials, folder, InProcess(), signals, tell, rules)
    _show(result)
    if result.ended:
        print(f"ended after {len(result.outcomes)} of {len(trials)} trials: {result.ended}", file=sys.stderr)
    print(result.folder)
    if signals.number:
        raise InterruptedSweepError(signals.number, f"stopped after {len(result.outcomes)} of {len(trials)} trials")
    failed = [outcome for outcome in result.outcomes if outcome.status == "failed"]
    problems = [Problem(f"trial {o.trial.number} ({_words(o.trial.changed)}) failed: {o.error}") for o in failed]
    if result.problem:
        problems.append(Problem(f"the winner could not be tested: {result.problem}"))
    if problems:
        raise SweepError(*problems)


def _space(node: Any, arguments: Sequence[str]) -> Space:
    """Return the space that the words span. Code in the primary config was refused before, unless it is trusted."""
    places = [Path(source.path) for source in node.runtime.config_sources if source.schema == "file"]
    search_path = [word for word in node.overrides.hydra if word.startswith("hydra.searchpath=")]
    trust = bool(foreign_code(node))
    return Space([*arguments, *search_path], node.job.config_name, find_groups(places), trust=trust)


def _objective(name: str, configs: Sequence[Config]) -> tuple[str, str] | None:
    """Return what ranks the trials, None for the metric of their task. Raises: ConfigError."""
    if name == "auto":
        return None
    for config in configs:
        if better_at(config, name) is None:
            text = f"hydra.sweeper.objective must be one of auto, {', '.join(monitors(config))}, got '{name}'"
            near = nearest(name, monitors(config))
            raise ConfigError(Problem(text, f"hydra.sweeper.objective={near or 'auto'}"))
    mode = better_at(configs[0], name)
    assert mode is not None
    return name, mode


def _checked(combinations: Sequence[Combination]) -> list[Config]:
    configs: list[Config] = []
    problems: dict[str, Problem] = {}
    for combination in combinations:
        try:
            configs.append(check(combination.composed))
            check_code(combination.composed.values)
        except ConfigError as error:
            for problem in error.problems:
                where = f" (with {_words(combination.changed)})" if combination.changed else ""
                problems.setdefault(problem.text, Problem(problem.text + where, problem.hint))
    if problems:
        raise ConfigError(*problems.values())
    return configs


def sweep_folder(configs: Sequence[Config]) -> Path:
    """Make the folder of a new sweep: <output_dir>/<name>/sweep-<time>; name is "sweep" where the trials' names differ.

    Raises:
        StorageError: the file system refused.
    """
    names = {default_name(config) for config in configs}
    name = names.pop() if len(names) == 1 else "sweep"
    folder = (Path(configs[0].output_dir).expanduser() / name / f"sweep-{timestamp()}").absolute()
    make_folder(folder)
    return folder


def _words(changed: object) -> str:
    return " ".join(f"{key}={value}" for key, value in dict(changed).items()) or "no change"  # type: ignore[call-overload]


def _tell(outcome: Outcome, *, count: int, objective: tuple[str, str] | None) -> None:
    """Print one line a trial, on standard error, as soon as it has ended."""
    from nnkit.sweep.trials import objective as ranking

    name, _ = ranking([outcome], objective)
    said = (
        outcome.error or f"{name} {outcome.metrics.get(name, float('nan')):.4g}"
        if outcome.metrics or outcome.error
        else ""
    )
    head = f"[{outcome.trial.number + 1}/{count}] {_words(outcome.trial.changed)}"
    print(f"{head}: {outcome.status}, {outcome.epochs} epochs, {outcome.seconds:.1f} s  {said}", file=sys.stderr)


def _show(result: SweepResult) -> None:
    from rich.console import Console
    from rich.table import Table

    keys = list(dict.fromkeys(key for group in result.groups for key in group.changed))
    table = Table()
    for name in ("rank", "trial", *keys, result.objective, "val/loss", "epochs", "seconds"):
        table.add_column(name, justify="left" if name in keys else "right")
    for rank, group in enumerate(result.groups, 1):
        table.add_row(str(rank), *_cells(group, keys, result.objective))
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 140)
    console.print(f"{len(result.outcomes)} trials, ranked by {result.objective}", style="bold", highlight=False)
    console.print(table)
    if result.test:
        name = result.objective.replace("val/", "test/")
        console.print(
            f"the winner on the test set: {name.removeprefix('test/')} {result.test[name]:.4f}", highlight=False
        )


def _cells(group: Group, keys: Sequence[str], metric: str) -> list[str]:
    name = "" if group.metric == metric else f"{group.metric} "
    score = f"{name}{group.score:.4f}" + (f" ± {group.deviation:.4f}" if group.deviation is not None else "")
    numbers = ",".join(str(outcome.trial.number) for outcome in group.outcomes)
    epochs = sum(outcome.epochs for outcome in group.outcomes) / len(group.outcomes)
    seconds = sum(outcome.seconds for outcome in group.outcomes)
    changed = [group.changed.get(key, "") for key in keys]
    return [numbers, *changed, score, f"{group.tie:.4f}", f"{epochs:.0f}", f"{seconds:.1f}"]
