"""Schema of the group `metric`: what is measured beside the loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, final

from pydantic import Field

from nnkit.config.marks import Fixed, Name


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class TaskMetricConfig:
    """What is customary for the task: accuracy and macro-F1, or RMSE, MAE and R²."""

    kind: Fixed[Literal["auto"]] = "auto"


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class CodeMetricConfig:
    """One more, of the user's own: Name(**kwargs)(outputs, target, weight) -> (total, weight)."""

    kind: Fixed[Literal["code"]]
    code: Fixed[Name]
    kwargs: Fixed[dict[str, Any]] = field(default_factory=dict)
    name: Fixed[Name] = "metric"
    mode: Fixed[Literal["min", "max"]] = "max"


MetricConfig = Annotated[TaskMetricConfig | CodeMetricConfig, Field(discriminator="kind")]
