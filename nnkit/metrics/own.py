"""The task's metrics, with one more of the user's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, final

import torch
from torch import Tensor

from nnkit import usercode
from nnkit.errors import ConfigError

KEY = "own"


class _Metrics(Protocol):
    def zero(self, device: torch.device) -> dict[str, Tensor]: ...
    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None: ...
    def compute(self, sums: dict[str, Tensor]) -> dict[str, float]: ...


@final
class WithOwn:
    """Metrics of a task, and the mean of what a user's function returns as (total, weight)."""

    def __init__(self, task: _Metrics, code: str, kwargs: Mapping[str, Any], name: str) -> None:
        """Take the task's metrics and the user's. Raises: ConfigError where it cannot be made."""
        self._task, self._code, self._name = task, code, name
        try:
            self._own = usercode.load(code, key="metric.code")(**kwargs)
        except ConfigError:
            raise
        except Exception as error:
            raise ConfigError(f"metric.code={code} failed: {type(error).__name__}: {error}") from error

    def zero(self, device: torch.device) -> dict[str, Tensor]:
        """Return empty sums."""
        dtype = torch.float32 if device.type == "mps" else torch.float64
        return {**self._task.zero(device), KEY: torch.zeros(2, dtype=dtype, device=device)}

    def add(self, sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        """Add a batch to the sums, in place. Raises: ConfigError where the user's function does not return a pair."""
        self._task.add(sums, outputs, target, weight)
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
