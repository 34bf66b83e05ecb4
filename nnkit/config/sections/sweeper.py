"""Schema of hydra/sweeper: how the trials of a sweep are found, and when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import ConfigDict, Field

from nnkit.config.marks import Count, Fixed, Live, Name, Positive, WholeNumber


@dataclass(kw_only=True, slots=True, frozen=True)
class SweepConfig:
    """What every sweeper has. What is `live` may change when a sweep goes on; `params` are compared with the space."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    params: Live[dict[str, Any]] = field(default_factory=dict)
    seeds: Fixed[Count] = 1
    objective: Fixed[Name] = "auto"
    pruner: Fixed[Literal["none", "median", "asha", "hyperband"]] = "none"
    min_epochs: Fixed[Count] = 1
    reduction: Fixed[Annotated[int, Field(ge=2)]] = 3
    jobs: Live[Count] = 1
    timeout_s: Live[Positive | None] = None
    fail_fast: Live[bool] = False
    max_failures: Live[WholeNumber | None] = None
    retry_failed: Live[bool] = False

    @property
    def most_failures(self) -> int | None:
        """After how many failed trials no other starts; None for never."""
        return 0 if self.fail_fast else self.max_failures


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class GridConfig(SweepConfig):
    """Every combination of the listed values."""


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class RandomConfig(SweepConfig):
    """Points drawn by chance (Bergstra & Bengio 2012)."""

    trials: Live[Count] = 20
    seed: Fixed[WholeNumber] = 0


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class BayesConfig(SweepConfig):
    """Points that a model of the scores so far proposes (Bergstra et al. 2011 for tpe)."""

    trials: Live[Count] = 20
    seed: Fixed[WholeNumber] = 0
    sampler: Fixed[Literal["tpe", "gp", "cmaes"]] = "tpe"
    startup_trials: Fixed[Count] = 10


OFTEN_CHANGED = ("trials", "jobs", "timeout_s")
SWEEPERS: Mapping[str, type[SweepConfig]] = {"grid": GridConfig, "random": RandomConfig, "bayes": BayesConfig}


def often_changed(kind: str) -> list[str]:
    """Return what a sweeper has of the settings that are changed most often when a sweep goes on."""
    return [name for name in OFTEN_CHANGED if name in SWEEPERS.get(kind, SweepConfig).__dataclass_fields__]
