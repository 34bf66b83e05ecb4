"""AutoAugment and RandAugment: each picture becomes what torchvision's own transforms make of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import AutoAugmentPolicy, v2

from nnkit.augment.operations import SIGNED
from nnkit.augment.policies import OF_CIFAR, OF_IMAGENET, RANDOM, by_policy

MANY = 160  # pictures, so that each pair of operations is drawn
OF_SIDE = {16: (OF_CIFAR, AutoAugmentPolicy.CIFAR10), 64: (OF_IMAGENET, AutoAugmentPolicy.IMAGENET)}


def pixels(side: int, channels: int = 3, count: int = MANY) -> torch.Tensor:
    shape = (count, channels, side, side)
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Dealt:
    """Random numbers that are dealt out to torchvision, so that it draws what we drew."""

    def __init__(self, numbers: Iterator[float]) -> None:
        self.numbers = numbers

    def randint(self, high: int, _: Any) -> torch.Tensor:
        return torch.tensor(int(next(self.numbers) * high))

    def rand(self, _: Any) -> torch.Tensor:
        return torch.tensor(next(self.numbers), dtype=torch.float64)


def signs(name: str, sign: float) -> list[float]:
    return [sign] if name in SIGNED else []


def of_pairs(numbers: Any, side: int) -> list[float]:
    """Return what AutoAugment draws: the pair, whether each operation is done, and its sign where it has one."""
    dealt = [numbers[0]]
    for (name, chance, _), choice, sign in zip(
        OF_SIDE[side][0][int(numbers[0] * 25)], numbers[1::2], numbers[2::2], strict=True
    ):
        dealt += [choice, *(signs(name, sign) if choice < chance else [])]
    return dealt


def of_random(numbers: Any) -> list[float]:
    """Return what RandAugment draws: each operation, and its sign where it has one."""
    pairs = zip(numbers[1::2], numbers[2::2], strict=True)
    return [each for choice, sign in pairs for each in (choice, *signs(RANDOM[int(choice * len(RANDOM))], sign))]


@pytest.mark.parametrize("policy", ["autoaugment", "randaugment"])
@pytest.mark.parametrize(("side", "channels"), [(16, 3), (16, 1), (64, 3)])
def test_each_picture_is_changed_as_torchvision_would_change_it(
    policy: Any, side: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = pixels(side, channels)
    found = by_policy(given.float(), policy, np.random.default_rng(3), MANY)
    drawn = np.random.default_rng(3).random((MANY, 5))
    is_random = policy == "randaugment"
    transform = v2.RandAugment() if is_random else v2.AutoAugment(OF_SIDE[side][1])
    for picture, x, numbers in zip(found, given, drawn, strict=True):
        dealt = Dealt(iter(of_random(numbers) if is_random else of_pairs(numbers, side)))
        with monkeypatch.context() as patch:
            patch.setattr(torch, "randint", dealt.randint)
            patch.setattr(torch, "rand", dealt.rand)
            wanted = transform(x)
        assert torch.equal(picture, wanted.float())
        assert next(dealt.numbers, None) is None
    column, kinds = (1, len(RANDOM)) if is_random else (0, 25)
    assert len(set((drawn[:, column] * kinds).astype(int).tolist())) == kinds


def test_a_view_is_the_same_for_all() -> None:
    same = pixels(16, count=1).repeat(5, 1, 1, 1).float()
    for seed in range(5):
        found = by_policy(same, "randaugment", np.random.default_rng(seed), 1)
        assert torch.equal(found, found[:1].expand_as(found))
