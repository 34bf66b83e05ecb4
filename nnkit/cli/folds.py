"""A cross-validation on the terminal: a line a fold, a table at the end, all on standard error."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnkit.config.cross import METRICS

if TYPE_CHECKING:
    from nnkit.command import Command
    from nnkit.config.schema import Config
    from nnkit.final import Result
    from nnkit.folds import Fold
    from nnkit.train.sink import Sink
    from nnkit.train.stopping import Signals

MOST_SHOWN = 20  # folds of a dry run


def train_folds(
    config: Config,
    folder: Path,
    sinks: Sequence[Sink],
    signals: Signals,
    *,
    changes: Mapping[str, Any] | None = None,
    command: Command | None = None,
) -> Result:
    """Cross-validate in a run folder, anew or from where it stopped. Raises: as `nnkit.folds.cross_validate`."""
    from nnkit.cli.guard_table import show_report
    from nnkit.folds import Watch, cross_validate
    from nnkit.track.console import ProgressBar

    show = partial(show_report, columns=config.data.kind == "table", classes=False)
    tell = partial(_tell, folds=config.cv.folds or 0, repeats=config.cv.repeats)
    watch = Watch(show, tell, [ProgressBar()])
    return cross_validate(config, folder, sinks, signals, watch=watch, changes=changes, command=command)


def _tell(fold: Fold, *, folds: int, repeats: int) -> None:
    """Print one line a fold, as soon as it has ended."""
    held_out, facts = fold.held_out, fold.facts
    name = next(name for names in METRICS.values() for name in names if name in held_out)
    number, repeat = fold.number % folds + 1, fold.number // folds + 1
    which = f"fold {number}/{folds}" + (f", repeat {repeat}/{repeats}" if repeats > 1 else "")
    ended = f"{facts['epochs']} epochs, {facts['seconds']:.1f} s"
    print(f"[{which}] {name} {held_out[name]:.4f}, {ended}", file=sys.stderr)


def show_folds(folder: Path) -> None:
    """Print what the folds of a run say together; nothing where they have not ended."""
    from rich.console import Console
    from rich.table import Table

    from nnkit.folds import read_cv

    found = read_cv(folder)
    if found is None:
        return
    table = Table("")
    for title in ("mean ± sd", "least", "most", "baseline"):
        table.add_column(title, justify="right")
    for name, values in found["metrics"].items():
        mean = f"{_number(values['mean'])} ± {_number(values['sd'])}"
        others = (values["least"], values["most"], _baseline(found["each"], name))
        table.add_row(name, mean, *(_number(value) for value in others))
    repeats = f" x {found['repeats']} repeats" if found["repeats"] > 1 else ""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 100)
    title = f"{found['folds']} folds{repeats} ({found['kind']}), on the rows held out"
    console.print(title, style="bold", highlight=False)
    console.print(table)


def _baseline(each: Sequence[Mapping[str, Any]], name: str) -> float | None:
    """Return the mean of what knowing nothing is worth."""
    values = [fold["metrics"].get(f"baseline/{name}") for fold in each]
    return None if None in values else sum(values) / len(values)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if abs(value) < 1000 else f"{value:.5g}"


def print_sizes(config: Config) -> None:
    """Print how many rows each fold has. Raises: as `nnkit.folds.cross_validate`."""
    from nnkit.folds import fold_sizes

    sizes = fold_sizes(config)
    for number, (train, val, held) in enumerate(sizes[:MOST_SHOWN]):
        print(f"{f'fold {number}':<12}{train} train, {val} validation, {held} held out")
    if len(sizes) > MOST_SHOWN:
        print(f"{'':<12}… and {len(sizes) - MOST_SHOWN} more")
