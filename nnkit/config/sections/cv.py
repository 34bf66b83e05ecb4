"""Schema of the section `cv`: cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, final

from pydantic import Field

from nnkit.config.marks import Count, Fixed, WholeNumber

Folds = Annotated[int, Field(ge=2)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # what NumPy's RandomState takes


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CvConfig:
    """The rows outside of the test part are held out in turn; `fold` says which of the folds a run is."""

    folds: Fixed[Folds | None] = None
    kind: Fixed[Literal["auto", "kfold", "stratified", "group", "time"]] = "auto"
    repeats: Fixed[Count] = 1
    split_seed: Fixed[Seed] = 0
    final: Fixed[Literal["refit", "ensemble", "none"]] = "refit"
    fold: Fixed[WholeNumber | None] = None

    @property
    def is_on(self) -> bool:
        """Whether the run trains folds before it trains itself."""
        return self.folds is not None and self.fold is None

    @property
    def is_ensemble(self) -> bool:
        """Whether the run answers with the mean of what its folds say."""
        return self.is_on and self.final == "ensemble"

    @property
    def count(self) -> int:
        """How many folds there are, in all repeats."""
        return (self.folds or 0) * self.repeats
