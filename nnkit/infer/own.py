"""A metric of the user's own among the measures of an evaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from nnkit.config.sections.metric import CodeMetricConfig
from nnkit.infer.finished import Finished

NO_OWN = "metric=code is not measured: it takes outputs, and --tta averages probabilities or values"


def not_measured(run: Finished) -> tuple[str, ...]:
    """Return what there is to say where a run's own metric has nothing to take."""
    return (NO_OWN,) if isinstance(run.config.metric, CodeMetricConfig) and run.views is not None else ()


def own_value(run: Finished, computed: Mapping[str, float]) -> dict[str, float | None]:
    """Return the user's metric of a run by its name, from all that was computed; None where it is not finite."""
    section = run.config.metric
    if not isinstance(section, CodeMetricConfig):
        return {}
    value = computed[section.name]
    return {section.name: value if math.isfinite(value) else None}


def with_own(metrics: Mapping[str, Any], own: Mapping[str, float | None]) -> dict[str, Any]:
    """Return measures with the user's among them, renamed where one of ours has its name."""
    return {**metrics, **{f"own_{name}" if name in metrics else name: value for name, value in own.items()}}
