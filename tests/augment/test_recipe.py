"""What is done in which order: to pictures of bytes and of other numbers, to their masks, and in a view."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nnkit.augment import Recipe, augmented, recipe_of
from nnkit.config.sections.augmentation import AugmentationConfig
from nnkit.spec import InputSpec

SHIFT, SIZE = (120.0, 100.0, 90.0), (60.0, 50.0, 40.0)
COLOURED = InputSpec("x", "image", (3, 16, 16))
PIXELS = torch.randint(0, 256, (8, 3, 16, 16), generator=torch.Generator().manual_seed(0)).float()
GEOMETRIC: dict[str, Any] = {"flip": 0.5, "flip_vertical": 0.5, "crop": 3}


def column(numbers: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(numbers).view(-1, 1, 1)


def scaled(pixels: torch.Tensor) -> torch.Tensor:
    return (pixels - column(SHIFT)) / column(SIZE)


def recipe(given: InputSpec = COLOURED, **switches: Any) -> Recipe:
    found = recipe_of(AugmentationConfig(**switches), given, scale=(SHIFT, SIZE), is_bytes=True)
    assert found is not None
    return found


def done(wanted: Recipe, x: torch.Tensor, seed: int = 0, **others: Any) -> torch.Tensor:
    return augmented(wanted, x, np.random.default_rng(seed), **others)[0]


def test_pixels_stay_between_black_and_white() -> None:
    colours: dict[str, Any] = {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
    all_of_them = recipe(**GEOMETRIC, rotation=20, zoom=0.2, **colours, erasing=0.5, policy="randaugment")
    values = done(all_of_them, scaled(PIXELS)) * column(SIZE) + column(SHIFT)
    assert -0.01 <= float(values.min()) < 0.01
    assert 254 < float(values.max()) <= 255.01


def test_what_comes_in_from_outside_is_black() -> None:
    white = scaled(torch.full((50, 3, 16, 16), 255.0))
    for switches in ({"crop": 4}, {"translate": 0.3}, {"erasing": 1.0}):
        found = done(recipe(**switches), white) * column(SIZE) + column(SHIFT)
        assert {round(v) for v in found.unique().tolist()} >= {0, 255}


def test_mirroring_alone_changes_no_number() -> None:
    x = scaled(PIXELS)
    found = done(recipe(flip=1.0, flip_vertical=1.0), x)
    assert torch.equal(found, x.flip(2, 3))


def test_masks_go_along() -> None:
    grey = InputSpec("x", "image", (1, 16, 16))
    numbers = torch.arange(16 * 16).view(1, 1, 16, 16).expand(40, -1, -1, -1)
    target, weight = numbers[:, 0], torch.ones(40, 16, 16)
    for switches in (GEOMETRIC, {**GEOMETRIC, "rotation": 90, "translate": 0.3, "zoom": 0.3}):
        wanted = recipe_of(AugmentationConfig(**switches), grey)
        assert wanted is not None
        x, masks = augmented(wanted, numbers.float() + 1, np.random.default_rng(0), masks=(target, weight))
        assert masks is not None
        assert masks[0].dtype == torch.int64
        inside = masks[1] == 1
        assert set(masks[1].unique().tolist()) == {0, 1}
        if "rotation" not in switches:
            assert torch.equal(x[:, 0][inside].long() - 1, masks[0][inside])
            assert bool((x[:, 0][~inside] == 0).all())
        rows = ((x[:, 0] - 1) / 16).floor() - (masks[0] / 16).floor()
        assert float((rows[inside].abs() <= 1).float().mean()) > 0.9
        assert 0.3 < float(inside.float().mean()) < 1


def test_erasing_and_colours_leave_masks_alone() -> None:
    target = torch.randint(0, 3, (8, 16, 16))
    given = (target, torch.ones(8, 16, 16))
    _, masks = augmented(recipe(erasing=1, brightness=1), scaled(PIXELS), np.random.default_rng(0), masks=given)
    assert masks is not None
    assert torch.equal(masks[0], target)
    assert torch.equal(masks[1], given[1])


def test_a_view_is_the_same_for_each_sample_and_erases_nothing() -> None:
    x = scaled(PIXELS[:1].expand(6, -1, -1, -1))
    wanted = recipe(**GEOMETRIC, rotation=20, brightness=0.5, policy="autoaugment", erasing=1.0)
    seen = done(wanted, x, view=1)
    assert torch.equal(seen, seen[:1].expand_as(seen))
    assert torch.allclose(done(wanted, x[:1], view=1), seen[:1], atol=1e-5)
    assert wanted.views.keys() == wanted.section.switched_on.keys() - {"erasing"}


def test_views_are_mirrored_as_often_as_the_chance_says() -> None:
    x = scaled(PIXELS)
    wanted = recipe(flip=0.5, flip_vertical=0.25)
    ways = {(a, b): x.flip([dim for dim, is_on in ((3, a), (2, b)) if is_on]) for a in (0, 1) for b in (0, 1)}
    seen = [next(way for way, y in ways.items() if torch.equal(done(wanted, x, n, view=n), y)) for n in range(1, 37)]
    assert seen[0] == (1, 1)
    assert [sum(column) for column in zip(*seen, strict=True)] == [pytest.approx(18, abs=1), pytest.approx(9, abs=1)]


def test_the_noise_of_a_view_does_not_depend_on_how_long_the_others_are() -> None:
    series = InputSpec("x", "series", (9, 2))
    wanted = recipe_of(AugmentationConfig(jitter=0.3, scaling=0.2, window_crop=0.3), series)
    assert wanted is not None
    x, lengths = torch.randn(2, 30, 2), torch.tensor([7, 30])
    whole = done(wanted, x, lengths=lengths, view=1)
    alone = done(wanted, x[:1, :7], lengths=lengths[:1], view=1)
    assert torch.allclose(whole[:1, :7], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("given", "switches"),
    [
        (InputSpec("x", "features", (4,)), {"flip": 1, "jitter": 1}),
        (InputSpec("x", "tokens", (4,), (9,)), {"flip": 1, "mixup": 1}),
        (InputSpec("x", "series", (4, 1)), {"flip": 1, "cutmix": 1}),
        (InputSpec("x", "image", (1, 4, 4)), {"hue": 0.5, "jitter": 1}),
        (COLOURED, {}),
    ],
)
def test_where_nothing_is_left_there_is_no_recipe(given: InputSpec, switches: Any) -> None:
    assert recipe_of(AugmentationConfig(**switches), given) is None


def test_a_recipe_says_what_it_does() -> None:
    assert str(recipe(flip=0.5, jitter=3.0, policy="randaugment")) == "flip 0.5, policy randaugment"
