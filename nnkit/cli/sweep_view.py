"""What one sees of a sweep: a line a trial, or a live table on a terminal; the ranked table at the end."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, final

from nnkit.config.beside import words_of
from nnkit.config.cross import Objective
from nnkit.sweep.failures import cause
from nnkit.sweep.trials import Group, Outcome, Trial, objective, ranked

if TYPE_CHECKING:
    from rich.table import Table

    from nnkit.sweep.run import SweepResult
    from nnkit.sweep.work import Score

SHOWN = 10  # ranks of the live table
WIDTH = 140  # of a table that is not on a terminal
MOST_ROWS = 40  # of the table at the end
ENDLESS = 10_000  # trials that only the time ends
MOST_LONG = 4  # swept settings with their full names


@final
class View:
    """Tells what happens while trials run. Use it in a `with` block."""

    def __init__(self, planned: int, given: Objective | None) -> None:
        """Take how many trials there are in all, and what ranks them; None for the metric of their task."""
        from rich.console import Console

        self._planned, self._given = planned, given
        self._console = Console(stderr=True)
        self._running: dict[int, tuple[Trial, Score | None]] = {}
        self._groups: Sequence[Group] = ()
        self._done = 0
        self._causes: dict[str, int] = {}  # of failures, and the first trial of each
        self._live: object | None = None

    def __enter__(self) -> View:
        """Open the live table, on a terminal."""
        if self._console.is_terminal:
            from rich.live import Live

            live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4, transient=True)
            live.start()
            self._live = live
        return self

    def __exit__(self, *_: object) -> None:
        """Close the live table."""
        if self._live is not None:
            self._live.stop()  # type: ignore[attr-defined]

    def began(self, outcomes: Sequence[Outcome], planned: int) -> None:
        """Tell what an earlier process of the sweep has left."""
        self._planned, self._done = planned, len(outcomes)
        if outcomes:
            self._groups = ranked(outcomes, self._given)
            failed = sum(outcome.status == "failed" for outcome in outcomes)
            known = f", {failed} of them failed (hydra.sweeper.retry_failed=true)" if failed else ""
            self._say(f"{len(outcomes)} of {planned} trials have ended before{known}")

    def started(self, trial: Trial) -> None:
        """Note a trial that runs."""
        self._running[trial.number] = (trial, None)

    def scored(self, score: Score) -> None:
        """Note a validation."""
        if score.trial in self._running:
            self._running[score.trial] = (self._running[score.trial][0], score)

    def ended(self, outcome: Outcome, outcomes: Sequence[Outcome]) -> None:
        """Tell a trial's end; on a terminal only a failure has a line of its own."""
        self._running.pop(outcome.trial.number, None)
        self._done = len(outcomes)
        if self._live is None:
            self._say(self._line(outcome))
            return
        self._groups = ranked(outcomes, self._given)
        if outcome.status == "failed":
            self._say(self._line(outcome))

    def _line(self, outcome: Outcome) -> str:
        name, _ = objective([outcome], self._given)
        said = self._why(outcome) or (f"{name} {outcome.metrics[name]:.4g}" if name in outcome.metrics else "")
        of = f"/{self._planned}" if self._planned < ENDLESS else ""
        head = f"[{self._done}{of}] trial {outcome.trial.number}: {words_of(outcome.trial.changed)}"
        return f"{head}: {outcome.status}, {outcome.epochs} epochs, {outcome.seconds:.1f} s  {said}".rstrip()

    def _why(self, outcome: Outcome) -> str:
        """Return why a trial failed; of a cause that was told before, the trial it was told of."""
        if not outcome.error:
            return ""
        first = self._causes.setdefault(cause(outcome), outcome.trial.number)
        return outcome.error if first == outcome.trial.number else f"as trial {first}"

    def _say(self, text: str) -> None:
        if self._live is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._console.print(text, highlight=False, markup=False)

    def _table(self) -> Table:
        name = self._groups[0].metric if self._groups else "score"
        table = _empty_table(self._groups, name, state=True)
        keys = _keys(self._groups)
        table.title = f"{self._done} of {self._planned} trials have ended"
        for rank, group in enumerate(self._groups[:SHOWN], 1):
            table.add_row(str(rank), *_cells(group, keys, name), "pruned" if group.is_pruned else "done")
        for trial, score in list(self._running.values()):  # Rich asks from a thread of its own
            shown = ("", "0") if score is None else (f"{score.value:.4f}", str(score.epoch))
            values = [trial.changed.get(key, "") for key in keys]
            table.add_row("", str(trial.number), *values, shown[0], "", shown[1], "", "runs")
        return table


def show(result: SweepResult) -> None:
    """Print the ranked table, and what the winner is worth on the test set; nothing where no trial has a rank."""
    from rich.console import Console

    if not result.groups:
        return
    name, _ = result.objective
    keys = _keys(result.groups)
    has_state = any(group.is_pruned for group in result.groups)
    table = _empty_table(result.groups, name, state=has_state)
    for rank, group in enumerate(result.groups[:MOST_ROWS], 1):
        state = ["pruned" if group.is_pruned else ""] if has_state else []
        table.add_row(str(rank), *_cells(group, keys, name), *state)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    folds = {outcome.trial.config.cv.folds for outcome in result.outcomes} - {None}
    said = f" over {folds.pop()} folds" if len(folds) == 1 else ""
    console.print(f"{len(result.outcomes)} trials, ranked by {name}{said}", style="bold", highlight=False)
    console.print(table)
    if len(result.groups) > MOST_ROWS:
        console.print(f"… and {len(result.groups) - MOST_ROWS} more, in trials.csv", highlight=False)
    if result.test and name.replace("val/", "test/") in result.test:
        tested = name.replace("val/", "test/")
        worth = f"{tested.removeprefix('test/')} {result.test[tested]:.4f}"
        count = len(result.groups[0].outcomes)
        console.print(
            f"the winner on the test set: {worth}{f' (mean of {count} seeds)' if count > 1 else ''}", highlight=False
        )


def _keys(groups: Sequence[Group]) -> list[str]:
    return list(dict.fromkeys(key for group in groups for key in group.changed))


def _empty_table(groups: Sequence[Group], metric: str, *, state: bool) -> Table:
    from rich.table import Table

    table, keys = Table(), _keys(groups)
    for name in ("rank", "trial"):
        table.add_column(name, justify="right")
    for key in keys:
        table.add_column(key if len(keys) <= MOST_LONG else key.rpartition(".")[2])
    for name in (metric, "val/loss", "epochs", "seconds"):
        table.add_column(name, justify="right")
    if state:
        table.add_column("state")
    return table


def _cells(group: Group, keys: Sequence[str], metric: str) -> list[str]:
    name = "" if group.metric == metric else f"{group.metric} "
    score = f"{name}{group.score:.4f}" + (f" ± {group.deviation:.4f}" if group.deviation is not None else "")
    numbers = ",".join(str(outcome.trial.number) for outcome in group.outcomes)
    epochs = sum(outcome.epochs for outcome in group.outcomes) / len(group.outcomes)
    seconds = sum(outcome.seconds for outcome in group.outcomes)
    changed = [group.changed.get(key, "") for key in keys]
    return [numbers, *changed, score, f"{group.tie:.4f}", f"{epochs:.0f}", f"{seconds:.1f}"]
