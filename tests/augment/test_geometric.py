"""Pictures that are moved: against torchvision's own, one by one."""

from __future__ import annotations

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F  # noqa: N812

from nnkit.augment.geometric import affine_maps, mirrored, shifted, warped

PICTURES = torch.rand(5, 3, 12, 17, generator=torch.Generator().manual_seed(0))


def test_the_chosen_pictures_are_mirrored() -> None:
    chosen = torch.tensor([True, False, True, False, False])
    for dim, flip in ((3, F.horizontal_flip), (2, F.vertical_flip)):
        found = mirrored(PICTURES, chosen, dim)
        for picture, x, is_chosen in zip(found, PICTURES, chosen, strict=True):
            assert torch.equal(picture, flip(x) if is_chosen else x)


def test_shifting_is_padding_and_cropping() -> None:
    down, right = torch.tensor([-3, 0, 3, 1, -2]), torch.tensor([3, 0, -3, -1, 2])
    found = shifted(PICTURES, down, right, 3)
    for picture, x, i, j in zip(found, PICTURES, down.tolist(), right.tolist(), strict=True):
        assert torch.equal(picture, F.crop(F.pad(x, [3, 3, 3, 3]), 3 - i, 3 - j, 12, 17))


def test_turning_zooming_and_moving_are_those_of_torchvision() -> None:
    degrees, factor = torch.tensor([0.0, 30.0, -75.0, 10.0, 0.0]), torch.tensor([1.0, 1.0, 0.8, 1.3, 1.0])
    down, right = torch.tensor([0.0, 0.0, 2.0, -1.0, 3.0]), torch.tensor([0.0, 0.0, -3.0, 2.0, -4.0])
    for name in ("bilinear", "nearest"):
        found = warped(PICTURES, affine_maps(degrees, factor, down / 12, right / 17, (12, 17)), name)
        for k, x in enumerate(PICTURES):
            wanted = F.affine(
                x,
                angle=float(degrees[k]),
                translate=[float(right[k]), float(down[k])],
                scale=float(factor[k]),
                shear=[0.0, 0.0],
                interpolation=InterpolationMode(name),
            )
            near = (found[k] - wanted).abs() < 1e-4
            # A place half-way between two pixels, or on the edge, falls to either side by the last bit.
            assert near.float().mean() > 0.97, (name, k)


def test_nothing_is_moved_by_nothing() -> None:
    zero, one = torch.zeros(5), torch.ones(5)
    found = warped(PICTURES, affine_maps(zero, one, zero, zero, (12, 17)), "bilinear")
    assert torch.allclose(found, PICTURES, atol=1e-5)
