"""Schema of the group `tracker`: other programs that a run is told to. Each has a section of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Live, Name

Wait = Annotated[float, Field(gt=0, le=3600)]


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TensorboardConfig:
    """Event files in the run folder."""

    use: Live[bool] = False
    wait_s: Live[Wait] = 30.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class WandbConfig:
    """Weights & Biases; `entity=None` is the user's own."""

    use: Live[bool] = False
    project: Live[Name] = "nnkit"
    entity: Live[Name | None] = None
    mode: Live[Literal["auto", "offline", "online"]] = "auto"
    wait_s: Live[Wait] = 30.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class MlflowConfig:
    """MLflow; `uri=None` is that of the environment, else a folder beside the runs."""

    use: Live[bool] = False
    experiment: Live[Name] = "nnkit"
    uri: Live[Name | None] = None
    wait_s: Live[Wait] = 30.0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TrackerConfig:
    """Any of them at once."""

    tensorboard: TensorboardConfig = field(default_factory=TensorboardConfig)
    wandb: WandbConfig = field(default_factory=WandbConfig)
    mlflow: MlflowConfig = field(default_factory=MlflowConfig)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of those that are used."""
        return tuple(name for name in self.__slots__ if getattr(self, name).use)
