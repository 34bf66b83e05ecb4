"""Schema of the group `batching`: how samples become steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from nnkit.config.marks import Count, Fixed, Live


@final
@dataclass(kw_only=True, slots=True, frozen=True)
class BatchingConfig:
    """A step sees `batch_size * accumulate` samples, `batch_size` of them at a time."""

    batch_size: Fixed[Count | Literal["full"]]
    auto_batch_size: Fixed[bool] = False
    shuffle: Fixed[bool] = True
    sampler: Fixed[Literal["each_once", "balanced"]] = "each_once"
    drop_last: Fixed[bool] = False
    accumulate: Fixed[Count] = 1
    by_length: Fixed[bool] = True
    stateful: Fixed[bool] = False
    eval_batch_size: Live[Count] = 1024
