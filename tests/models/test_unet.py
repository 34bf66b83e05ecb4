"""U-Net: sizes, levels, and that it learns a mask."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnkit.models.unet import UNet, padded, twice_as_large
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from tests.models.built import built


def masks(channels: int, height: int, width: int, classes: int = 3) -> DataSpec:
    target = TargetSpec(("mask",), tuple("abcdef"[:classes]))
    return DataSpec("segmentation", (InputSpec("image", "image", (channels, height, width)),), target)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 7), (5, 1), (1, 1)])
@pytest.mark.parametrize("channels", ["[4]", "[4,6,8,10]"])
def test_there_are_logits_for_each_pixel_whatever_the_size(height: int, width: int, channels: str) -> None:
    model = built(masks(2, height, width), "model=unet", f"model.channels={channels}").eval()
    assert model(torch.randn(3, 2, height, width)).shape == (3, 3, height, width)


def test_settings_reach_the_model() -> None:
    words = ("model=unet", "model.channels=[4,6]", "model.convolutions=3", "model.kernel_size=5", "model.norm=layer")
    model = built(masks(2, 8, 8), *words, "model.residual=true", "activation=elu", "regularization.dropout=0.4")
    assert isinstance(model, UNet)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (5, 5)]
    assert len(convolutions) == 3 * 3
    assert {type(m) for m in model.modules()} >= {nn.GroupNorm, nn.ELU}
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.4]
    assert model.down[0].blocks[0].skip is not None


def test_a_size_that_cannot_be_halved_repeats_its_edge() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert padded(image, 2)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5]]
    assert padded(image, 1) is image


def test_maps_become_twice_as_large_as_torch_has_it() -> None:
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(twice_as_large(x), nn.functional.interpolate(x, scale_factor=2, mode="nearest"))


@pytest.mark.usefixtures("on_one_thread")
def test_it_learns_a_few_masks_by_heart() -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 1, 12, 12)
    target = (nn.functional.avg_pool2d(image, 3, 1, 1)[:, 0] > 0).long()
    model = built(masks(1, 12, 12, 2), "model=unet", "model.channels=[8,16]")
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(image), target).backward()
        optimizer.step()
    assert (model(image).argmax(1) == target).float().mean() > 0.97
