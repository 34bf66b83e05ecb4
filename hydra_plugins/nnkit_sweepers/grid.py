"""Hydra's sweeper `grid`: every combination of the listed values. The work is done in nnkit."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Trains one run a combination, and prints one table."""

    def __init__(self, **settings: Any) -> None:
        """Take the settings of hydra.sweeper as they are; they are checked when the sweep starts."""
        self.settings = settings

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Keep what the sweep was started with; the trials are trained by nnkit, not by Hydra's task."""
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check all trials, then train them. Raises: NnkitError."""
        from nnkit.cli.sweep import sweep

        return sweep("grid", self.settings, self.config, arguments)
