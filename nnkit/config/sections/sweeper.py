"""Schema of hydra/sweeper: how the trials of a sweep are found, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from pydantic import ConfigDict

from nnkit.config.marks import Count, Name, Positive, WholeNumber


@dataclass(kw_only=True, slots=True, frozen=True)
class SweepConfig:
    """What every sweeper has."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    seeds: Count = 1
    objective: Name = "auto"
    timeout_s: Positive | None = None
    fail_fast: bool = False
    max_failures: WholeNumber | None = None

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

    trials: Count = 20
    seed: WholeNumber = 0
