"""AutoAugment and RandAugment: each operation is torchvision's, and each picture has its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from nnkit.augment import policies
from nnkit.augment.policies import by_policy

PIXELS = torch.randint(0, 256, (24, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Dealt:
    """Random numbers that are dealt out to torchvision, so that it draws what we drew."""

    def __init__(self, numbers: Iterator[float]) -> None:
        self.numbers = numbers

    def randint(self, high: int, _: Any) -> torch.Tensor:
        return torch.tensor(int(next(self.numbers) * high))

    def rand(self, _: Any) -> torch.Tensor:
        return torch.tensor(next(self.numbers), dtype=torch.float64)


@pytest.mark.parametrize("policy", ["autoaugment", "randaugment"])
def test_each_picture_is_changed_as_torchvision_would_change_it(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = by_policy(PIXELS.float(), policy, np.random.default_rng(3), len(PIXELS))
    drawn = np.random.default_rng(3).random((len(PIXELS), 5))
    transform = policies._transform(policy, True)
    space = transform._AUGMENTATION_SPACE
    changed = 0
    for picture, x, numbers in zip(found, PIXELS, drawn, strict=True):
        dealt = []
        if policy == "autoaugment":
            dealt.append(numbers[0])
        for number in (0, 1):
            choice, sign = numbers[1 + 2 * number : 3 + 2 * number]
            if policy == "randaugment":
                name = list(space)[int(choice * len(space))]
                dealt += [choice, *([sign] if space[name][1] else [])]
            else:
                name, chance, _ = transform._policies[int(numbers[0] * 25)][number]
                dealt += [choice, *([sign] if choice < chance and space[name][1] else [])]
        with monkeypatch.context() as patch:
            given = Dealt(iter(dealt))
            patch.setattr(torch, "randint", given.randint)
            patch.setattr(torch, "rand", given.rand)
            wanted = transform(x)
        assert torch.equal(picture, wanted.float())
        assert next(given.numbers, None) is None
        changed += not torch.equal(wanted, x)
    assert changed > len(PIXELS) / 2


def test_a_view_is_the_same_for_all() -> None:
    same = PIXELS[:1].repeat(5, 1, 1, 1).float()
    for seed in range(5):
        found = by_policy(same, "randaugment", np.random.default_rng(seed), 1)
        assert torch.equal(found, found[:1].expand_as(found))


def test_torchvision_is_asked_for_its_policies() -> None:
    assert isinstance(policies._transform("randaugment", True), v2.RandAugment)
    assert policies._transform("autoaugment", True).policy != policies._transform("autoaugment", False).policy
