"""What one sees on the terminal: what was picked, and a bar over the epochs; the table comes at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, final

from tqdm import tqdm

from nnkit.data.report import Report
from nnkit.train.sink import RunInfo
from nnkit.train.state import Record


@final
class Picks:
    """What was picked, in words, and what is in the data."""

    def __init__(self, show_data: Callable[[Report], None] | None = None) -> None:
        """Take the function that prints what is in the data; None prints nothing of it."""
        self._show_data = show_data

    def start(self, info: RunInfo) -> None:
        """Say what was picked."""
        if info.picks:
            print(f"{info.title}: {info.picks}", file=sys.stderr)
        if info.step:
            print(f"it goes on from step {info.step}, after {info.epoch} whole epochs", file=sys.stderr)
        for note in info.notes:
            print(f"note: {note}", file=sys.stderr)
        if info.report is not None and self._show_data is not None:
            self._show_data(info.report)

    def write(self, record: Record) -> None:
        """Nothing to say of it."""

    def sync(self) -> None:
        """Nothing to do: a terminal keeps nothing."""

    def warn(self, text: str) -> None:
        """Nothing to do: the bar stands in the line, and prints above itself."""

    def go_back(self, records: int) -> None:
        """Nothing to do: the table shows what came of it."""

    def close(self, status: str) -> None:
        """Nothing to do: the table says how it ended."""


@final
class ProgressBar:
    """A tqdm bar over epochs on standard error, with the values that matter."""

    def __init__(self) -> None:
        """Start without a bar; `start` draws it."""
        self._bar: tqdm[Any] | None = None
        self._steps_per_epoch = 1
        self._told: set[str] = set()

    def start(self, info: RunInfo) -> None:
        """Draw the bar when standard error is a terminal."""
        self._steps_per_epoch = info.steps_per_epoch
        self._bar = tqdm(
            total=info.max_epochs,
            initial=info.epoch,
            desc=info.title,
            unit="epoch",
            disable=None,  # silent when it is not a terminal
            file=sys.stderr,
            dynamic_ncols=True,
            leave=False,
        )

    def write(self, record: Record) -> None:
        """Move the bar to the record's epoch and show its losses and metrics."""
        bar = self._bar
        if bar is None or bar.disable:
            return
        bar.n = record.step // self._steps_per_epoch
        shown = [
            f"{name} {value:.4g}"
            for name, value in record.values.items()
            if name in ("train/loss", "val/loss", "val/accuracy", "val/rmse", "val/r2", "val/perplexity")
        ]
        with suppress(OSError):  # a terminal that is gone ends no training
            bar.set_postfix_str("  ".join(shown), refresh=False)
            bar.update(0)

    def sync(self) -> None:
        """Nothing to do: a terminal keeps nothing."""

    def warn(self, text: str) -> None:
        """Print a warning that was not printed yet, above the bar where there is one: folds say the same one by one."""
        if text in self._told:
            return
        self._told.add(text)
        with suppress(OSError):
            tqdm.write(f"warning: {text}", file=sys.stderr)

    def go_back(self, records: int) -> None:
        """Nothing to do: the next event moves the bar."""

    def close(self, status: str) -> None:  # noqa: ARG002 - the table says it
        """Take the bar away."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()
