"""Parts as a user would write them, named by `code=tests.own_code:…`."""

# B batch, C classes, F features, K target columns

from __future__ import annotations

import itertools
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn

from nnkit.spec import DataSpec

HERE = "tests.own_code"


class Net(nn.Module):
    """One hidden layer; its first values are drawn by the constructor itself, as users do."""

    def __init__(self, spec: DataSpec, *, width: int = 8, outputs: int | None = None) -> None:
        super().__init__()
        size = math.prod(spec.inputs[0].shape)
        self.scale = nn.Parameter(torch.randn(size))
        self.hidden = nn.Linear(size, width)
        self.output = nn.Linear(width, spec.num_targets if outputs is None else outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.hidden(x.flatten(1) * self.scale).relu())  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Two layers with one matrix, and a batch norm without parameters."""

    def __init__(self, spec: DataSpec) -> None:
        super().__init__()
        size = math.prod(spec.inputs[0].shape)
        self.there, self.again = nn.Linear(size, size), nn.Linear(size, size)
        self.again.weight = self.there.weight
        self.norm = nn.BatchNorm1d(size, affine=False)
        self.output = nn.Linear(size, spec.num_targets)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.norm(self.again(self.there(x))))  # type: ignore[no-any-return]


class Bump(nn.Module):
    """x * exp(-slope * x^2)."""

    def __init__(self, *, slope: float = 0.1) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.exp(-self.slope * x**2)


class Halving(nn.Module):
    """An activation that changes the width, which no layer after it can take."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., ::2]


class Sleepy:
    """Cross-entropy; the training step whose number stands in the file asleep-from takes a minute."""

    def __init__(self) -> None:
        self.steps = 0

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.steps += outputs.requires_grad
        place = Path("asleep-from")
        if outputs.requires_grad and place.exists() and self.steps == int(place.read_text()):
            Path("asleep").touch()
            time.sleep(60)
        return F.cross_entropy(outputs, target, reduction="none")


class Breaks:
    """Cross-entropy with a bug that shows in one of the training steps of a process."""

    def __init__(self, *, step: int) -> None:
        self.step, self.steps = step, 0

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.steps += outputs.requires_grad
        if self.steps == self.step:
            raise ValueError(f"it breaks in step {self.step}")
        return F.cross_entropy(outputs, target, reduction="none")


class Focal:
    """The focal loss of Lin et al. 2017; with gamma=0 it is cross-entropy."""

    def __init__(self, *, gamma: float = 2.0) -> None:
        self.gamma = gamma

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        losses = F.cross_entropy(outputs, target, reduction="none")
        return (1 - torch.exp(-losses)) ** self.gamma * losses


class FailingOnce:
    """Cross-entropy; nan in the training step of that number, from 1, the first time that it is taken."""

    def __init__(self, *, at: int, times: int = 1) -> None:
        self.at, self.times, self.steps = at, times, 0

    def __call__(self, outputs: Tensor, target: Tensor) -> Tensor:
        self.steps += outputs.requires_grad
        fails = outputs.requires_grad and self.at <= self.steps < self.at + self.times
        return F.cross_entropy(outputs, target, reduction="none") * (math.nan if fails else 1.0)


def squared(*, factor: float = 1.0) -> Any:
    """Return a loss of shape (B, K)."""
    return lambda outputs, target: factor * (outputs - target) ** 2


def mean_loss() -> Any:
    """Return a loss that has been reduced, which nnkit cannot weigh any more."""
    return lambda outputs, target: F.cross_entropy(outputs, target)


class AmongTheFirst:
    """The share of samples whose class is among the k largest outputs."""

    def __init__(self, *, k: int = 2) -> None:
        self.k = k

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        hit = (outputs.topk(self.k).indices == target[:, None]).any(1)
        return (hit * weight).sum(), weight.sum()


class Hits:
    """The share of samples, steps or pixels that are right."""

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return ((outputs.argmax(1) == target) * weight).sum(), weight.sum()


class AbsoluteError:
    """The mean distance of values from their target."""

    def __call__(self, outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return ((outputs - target).abs().mean(1) * weight).sum(), weight.sum()


def undefined(*, below: float = math.inf) -> Any:
    """Return a metric that is nan where the outputs spread by less, as a correlation with a constant is."""

    def metric(outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        return torch.full((), math.nan if outputs.std(0).max() < below else 1.0), weight.sum()

    return metric


def greedy(*, at: int) -> Any:
    """Return a metric that runs out of memory at one of its calls."""
    calls = itertools.count(1)

    def metric(outputs: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        if next(calls) == at:
            raise MemoryError
        return weight.sum(), weight.sum()

    return metric


def one_number() -> Any:
    """Return a metric that gives its mean alone."""
    return lambda outputs, target, weight: outputs.mean()


def one_a_sample() -> Any:
    """Return a metric that gives a number a sample where one in all is wanted."""
    return lambda outputs, target, weight: (outputs[:, 0], weight)


def blobs(*, size: int = 90, classes: int = 3, is_split: bool = False) -> dict[str, Any]:
    """Return x and y of classes that lie apart, perhaps with a validation and a test set of a third each."""
    rng = np.random.default_rng(0)
    y = np.arange(size) // 3 % classes
    x = rng.normal(size=(size, 4)) + 4 * np.eye(4)[y % 4]
    if not is_split:
        return {"x": x, "y": y}
    return {f"{n}{part}": a[i::3] for n, a in (("x", x), ("y", y)) for i, part in enumerate(("", "_val", "_test"))}


def nothing() -> None:
    """Return no arrays."""


def broken(*_: Any, **__: Any) -> None:
    """Fail, whatever the place."""
    raise KeyError("oh no")


NUMBER = 3
