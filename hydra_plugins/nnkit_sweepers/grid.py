"""Hydra's sweeper `grid`: every combination of the listed values. The work is done in nnkit.sweep."""

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class GridSweeper(Sweeper):
    """Trains one run a combination, one after the other, and prints one table."""

    def __init__(self) -> None:
        """Take no settings: the values stand in the overrides."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:  # noqa: ARG002
        """Keep what the sweep was started with; the trials are trained by nnkit, not by Hydra's task."""
        self.config = config

    def sweep(self, arguments: list[str]) -> Any:
        """Compose and check all trials, then train them. Raises: NnkitError."""
        from pathlib import Path

        from nnkit.cli.sweep import sweep
        from nnkit.config.compose import foreign_code
        from nnkit.config.options import find_groups
        from nnkit.config.space import Space, grid

        assert self.config is not None
        node = self.config.hydra
        places = [Path(source.path) for source in node.runtime.config_sources if source.schema == "file"]
        groups = find_groups(places)
        search_path = [word for word in node.overrides.hydra if word.startswith("hydra.searchpath=")]
        # Code in the primary config was refused before Hydra started, unless the user trusts it.
        words = [*arguments, *search_path]
        space = Space(words, node.job.config_name, groups, trust=bool(foreign_code(node)))
        return sweep(list(grid(space)))
