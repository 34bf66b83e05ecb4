"""Values of pixels: against torchvision's ColorJitter, one picture at a time."""

from __future__ import annotations

import torch
from torchvision.transforms.v2 import functional as F  # noqa: N812

from nnkit.augment.colour import brightened, contrasted, grey, hue_turned, saturated

PICTURES = torch.rand(6, 3, 5, 4, generator=torch.Generator().manual_seed(1))
PICTURES[0] = 0.5
PICTURES[1, 0] = PICTURES[1, 1]
FACTORS = torch.tensor([0.0, 0.3, 1.0, 1.7, 3.0, 0.9])


def test_brightness_contrast_and_saturation_are_those_of_torchvision() -> None:
    pairs = (
        (brightened, F.adjust_brightness),
        (contrasted, F.adjust_contrast),
        (saturated, F.adjust_saturation),
    )
    for ours, theirs in pairs:
        found = ours(PICTURES.clone(), FACTORS, 1.0)
        for picture, x, factor in zip(found, PICTURES, FACTORS.tolist(), strict=True):
            assert torch.allclose(picture, theirs(x, factor), atol=1e-6), theirs.__name__


def test_grey_pictures_have_brightness_and_contrast() -> None:
    x = PICTURES[:, :1]
    assert torch.allclose(contrasted(x, FACTORS, 1.0)[3], F.adjust_contrast(x[3], 1.7), atol=1e-6)
    assert torch.equal(grey(x), x)


def test_where_white_is_not_known_nothing_is_cut_off() -> None:
    x = torch.full((1, 1, 2, 2), -3.0)
    assert torch.equal(brightened(x, torch.tensor([2.0]), None), x * 2)


def test_the_hue_is_turned_as_torchvision_turns_it() -> None:
    turns = torch.tensor([0.0, 0.1, -0.5, 0.5, 0.33, -0.2])
    found = hue_turned(PICTURES * 255, turns) / 255
    for picture, x, turn in zip(found, PICTURES, turns.tolist(), strict=True):
        assert torch.allclose(picture, F.adjust_hue(x, turn), atol=1e-4)
