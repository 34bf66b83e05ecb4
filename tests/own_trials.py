"""Parts of a user's own that break a trial, in ways that a network of ours does not."""

from __future__ import annotations

import os
import signal

import torch
from torch import Tensor, nn


class Breaking(nn.Module):
    """An activation that does what its kwarg says, once it is used for training."""

    def __init__(self, how: str = "not") -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return torch.relu(x)
        match self.how:
            case "raises":
                raise ZeroDivisionError("the user's own mistake")
            case "diverges":
                return x * float("nan")
            case "memory":
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
        return torch.relu(x)
