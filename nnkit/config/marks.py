"""What a resume may change: each leaf of the schema carries one of three marks; and the ranges that sections share."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeVar

from pydantic import Field

T = TypeVar("T")


class Resume(Enum):
    """May a setting differ from the run folder's when the run goes on?"""

    FIXED = "fixed"  # never: the run would be another one
    LIVE = "live"  # freely: the maths of the steps done is not touched
    OVERRIDE = "override"  # only when the user allows it by name: the maths changes from here on


Fixed = Annotated[T, Resume.FIXED]
Live = Annotated[T, Resume.LIVE]
Override = Annotated[T, Resume.OVERRIDE]

Count = Annotated[int, Field(ge=1)]
WholeNumber = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(min_length=1)]
Limit = Count | Share | None  # so many, or such a share of all
