"""The task's metrics, with one more of the user's own."""

# B batch, K target columns

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, final

import torch
from torch import Tensor

from nnkit import usercode
from nnkit.errors import ConfigError
from nnkit.metrics.sums import sums_dtype

KEY = "own"
# From a regression's outputs and scaled target, each (B, K), to values in the target's own units.
InUnits = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class _Metrics(Protocol):
    def zero(self, device: torch.device) -> dict[str, Tensor]: ...
    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None: ...
    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]: ...


@final
class WithOwn:
    """Metrics of a task, and the mean of what a user's function returns as (total, weight).

    The function gets outputs, target and weight (B,). Of classes and labels the outputs are logits, (B, C), (B, 1) or
    (B, L), as the network puts them out. Of a regression outputs and target are values (B, K) in the target's own
    units: no scale, and no logarithm of a rate, is left for the user to undo.
    """

    def __init__(
        self, task: _Metrics, code: str, kwargs: Mapping[str, Any], name: str, in_units: InUnits | None = None
    ) -> None:
        """Take the task's metrics and the user's, and for a regression what undoes the scale.

        Raises:
            ConfigError: the user's metric cannot be made.
        """
        self._task, self._code, self._name, self._in_units = task, code, name, in_units
        self._own = usercode.made(code, kwargs, key="metric.code")

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""
        return {**self._task.zero(device), KEY: torch.zeros(2, dtype=sums_dtype(device), device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place. Raises: ConfigError where the user's function does not return a pair."""
        self._task.add(sums, outputs, target, weight)
        if self._in_units is not None:
            outputs, target = self._in_units(outputs, target)
        found = self._own(outputs, target, weight)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise ConfigError(f"metric.code={self._code} must return (total, weight), got {type(found).__name__}")
        own = sums[KEY]
        try:
            own += torch.stack([torch.as_tensor(v, dtype=own.dtype, device=own.device).reshape(()) for v in found])
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(f"metric.code={self._code} must return two numbers, (total, weight): {error}") from error

    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]:
        """Return the task's metrics and the user's, by its name."""
        total, weight = sums[KEY].cpu().double()
        return {**self._task.compute(sums), self._name: float(total / weight) if weight else 0.0}
