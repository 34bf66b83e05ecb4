"""What `nnkit train -m` does once the combinations are known: check all, train all, one table."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nnkit.config.check import check
from nnkit.config.schema import Config
from nnkit.config.space import Combination
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


def sweep(combinations: Sequence[Combination]) -> None:
    """Check every combination, train them, print the table, and the sweep's folder as the last line.

    Raises:
        ConfigError: with the problems of all combinations, before the first one starts.
        SweepError: a trial failed; the others are complete.
    """
    configs = _checked(combinations)
    from nnkit.sweep.executor import InProcess
    from nnkit.sweep.run import run_sweep
    from nnkit.sweep.trials import Trial
    from nnkit.train.stopping import catching_signals

    trials = [
        Trial(number, one.changed, config)
        for number, (one, config) in enumerate(zip(combinations, configs, strict=True))
    ]
    folder = sweep_folder(configs)
    with catching_signals() as signals:
        result = run_sweep(trials, folder, InProcess(), signals, lambda outcome: _tell(outcome, len(trials)))
    _show(result)
    print(result.folder)
    if signals.number:
        raise InterruptedSweepError(signals.number, f"stopped after {len(result.outcomes)} of {len(trials)} trials")
    failed = [outcome for outcome in result.outcomes if outcome.status == "failed"]
    problems = [Problem(f"trial {o.trial.number} ({_words(o.trial.changed)}) failed: {o.error}") for o in failed]
    if result.problem:
        problems.append(Problem(f"the winner could not be tested: {result.problem}"))
    if problems:
        raise SweepError(*problems)


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


def _tell(outcome: Outcome, count: int) -> None:
    """Print one line a trial, on standard error, as soon as it has ended."""
    from nnkit.sweep.trials import objective

    name, _ = objective([outcome])
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
