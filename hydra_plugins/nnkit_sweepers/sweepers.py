"""Hydra's sweepers `grid`, `random` and `bayes`. The work is done in nnkit."""

from typing import Any, ClassVar

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


class _NnkitSweeper(Sweeper):
    """Trains one run a point of the space, and prints one table."""

    kind: ClassVar[str]

    def __init__(self, **settings: Any) -> None:
        """Take the settings of hydra.sweeper as they are; they are checked when the sweep starts."""
        self.settings = {
            name: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
            for name, value in settings.items()
        }

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Keep what the sweep was started with; the trials are trained by nnkit, not by Hydra's task."""
        self.config = config
        self.hydra_context = hydra_context

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check all trials, then train them. Raises: NnkitError."""
        from nnkit.cli.sweep import sweep

        return sweep(self.kind, self.settings, self.config, self.hydra_context, arguments)


class GridSweeper(_NnkitSweeper):
    """Every combination of the listed values."""

    kind = "grid"


class RandomSweeper(_NnkitSweeper):
    """Points drawn by chance."""

    kind = "random"


class BayesSweeper(_NnkitSweeper):
    """Points proposed by a model of the scores so far."""

    kind = "bayes"
