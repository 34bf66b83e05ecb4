"""The numbers that the sums of a metric are kept in."""

from __future__ import annotations

import torch


def sums_dtype(device: torch.device) -> torch.dtype:
    """Return float64, and float32 on mps, which has none."""
    return torch.float32 if device.type == "mps" else torch.float64
