"""Trials that one of Hydra's launchers starts (joblib, submitit): in whatever process, each in a folder of its own."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, final

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig

from nnkit.sweep.executor import ended
from nnkit.sweep.trials import Outcome, Trial
from nnkit.sweep.work import Terms
from nnkit.train.stopping import Signals

ALL = 1_000_000


@final
class Launched:
    """Gives the trials to the launcher in batches; how each ended stands in its folder."""

    def __init__(
        self, config: DictConfig, hydra_context: HydraContext, signals: Signals, terms: Terms, batch: int
    ) -> None:
        """Take Hydra's config and context, and how many trials the launcher gets at once; 0 for all."""
        self._config, self._context = config, hydra_context
        self._signals, self._terms, self._batch = signals, terms, batch or ALL
        self._waiting: list[tuple[Trial, Path]] = []
        self._ended: deque[Outcome] = deque()

    def free(self) -> int:
        """How many trials can start now."""
        return 0 if self._ended else self._batch - len(self._waiting)

    def start(self, trial: Trial, folder: Path) -> None:
        """Let a trial wait for the launcher."""
        self._waiting.append((trial, folder))

    def wait(self) -> Outcome | None:
        """Return how the next trial ended; the first call of a batch trains all of it."""
        if self._waiting and not self._ended and not self._signals.number:
            self._launch()
        return self._ended.popleft() if self._ended else None

    def _launch(self) -> None:
        task = _Task(dict(enumerate(self._waiting)), self._terms)
        place = self._waiting[0][1].parent
        self._config.hydra.sweep.dir = str(place)  # where a launcher puts files of its own
        words = [f"hydra.sweep.dir='{place}'", "hydra.sweep.subdir=."]
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=self._context, task_function=task, config=self._config
        )
        launcher.launch([words for _ in self._waiting], 0)
        self._ended.extend(ended(trial, folder, "its process ended") for trial, folder in self._waiting)
        self._waiting = []

    def close(self) -> None:
        """The launcher has no processes of its own between two batches."""


@final
class _Task:
    """What the launcher calls in its processes, with the config of Hydra that names the job."""

    def __init__(self, trials: dict[int, tuple[Trial, Path]], terms: Terms) -> None:
        self._trials, self._terms = trials, terms

    def __call__(self, _: Any) -> None:
        """Train one trial."""
        from hydra.core.hydra_config import HydraConfig

        from nnkit.sweep.work import Score, run_trial
        from nnkit.train.stopping import catching_signals

        def judge(_: Score) -> bool:
            return False

        trial, folder = self._trials[HydraConfig.get().job.num]
        with catching_signals() as signals:
            run_trial(trial, folder, signals, self._terms, judge)
