"""What is done to the samples of a step, in which order."""

# B batch, C channels, H height, W width, T steps

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import numpy as np
import torch
from torch import Tensor

from nnkit.augment.boxes import erased
from nnkit.augment.colour import brightened, contrasted, hue_turned, saturated
from nnkit.augment.draws import COLUMNS, Draws
from nnkit.augment.geometric import affine_maps, mirrored, shifted, warped
from nnkit.augment.policies import by_policy
from nnkit.augment.series import jittered, multiplied, stretched
from nnkit.config.sections.augmentation import MIXING, OF_COLOURS, OF_IMAGES, OF_SERIES, AugmentationConfig
from nnkit.spec import InputSpec

Masks = tuple[Tensor, Tensor]  # class numbers (B, H, W) int64, and weights (B, H, W)
IN_PLACE = ("flip", "flip_vertical", "brightness", "contrast", *OF_COLOURS)  # after which each pixel is found again
NO_VIEW = (*MIXING, "erasing")  # what hides or mixes what is to be answered for
WHITE = 255.0
COLOURED = 3


@final
@dataclass(frozen=True, slots=True)
class Recipe:
    """The switches that are on and mean something for the data.

    Attributes:
        section: with all others off.
        kind: of the first input: image, series or features.
        shift: of the pixel scale, one number a channel; value = number * size + shift. Empty where there is none.
        size: likewise.
        is_bytes: whether pixels are 0 to 255.
        blends: whether answers are values, which are blended where samples are.
    """

    section: AugmentationConfig
    kind: str
    shift: tuple[float, ...] = ()
    size: tuple[float, ...] = ()
    is_bytes: bool = False
    blends: bool = False

    @property
    def views(self) -> dict[str, float | str]:
        """The switches by which a sample can be seen in several ways."""
        return {name: value for name, value in self.section.switched_on.items() if name not in NO_VIEW}

    def in_place(self) -> Recipe:
        """Return what leaves each pixel where it is, or mirrors it: an answer for each of them can be turned back."""
        kept = {name: value for name, value in self.section.switched_on.items() if name in IN_PLACE}
        return replace(self, section=AugmentationConfig(**kept))  # type: ignore[arg-type]

    def __str__(self) -> str:
        """Return the switches in words."""
        return ", ".join(f"{name} {value}" for name, value in self.section.switched_on.items())


def recipe_of(
    section: AugmentationConfig,
    given: InputSpec,
    *,
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None,
    is_bytes: bool = False,
    blends: bool = False,
) -> Recipe | None:
    """Return what a section means for data; None where that is nothing.

    Args:
        section: checked against the data.
        given: the first input.
        scale: shift and size of its pixel scale.
        is_bytes: whether its pixels are 0 to 255.
        blends: whether answers are values.
    """
    wanted = {"image": (*OF_IMAGES, "mixup"), "series": (*OF_SERIES, "mixup"), "features": ("mixup",)}
    names = set(wanted.get(given.kind, ()))
    if given.kind == "image" and given.shape[0] != COLOURED:
        names -= set(OF_COLOURS)
    kept = {name: value for name, value in section.switched_on.items() if name in names}
    if not kept:
        return None
    shift, size = scale or ((), ())
    return Recipe(AugmentationConfig(**kept), given.kind, shift, size, is_bytes, blends)  # type: ignore[arg-type]


@torch.no_grad()
def augmented(
    recipe: Recipe,
    x: Tensor,
    rng: np.random.Generator,
    *,
    lengths: Tensor | None = None,
    masks: Masks | None = None,
    view: int | None = None,
) -> tuple[Tensor, Masks | None]:
    """Return samples changed by all that is switched on but mixing, and the masks that went along.

    Args:
        recipe: what is done.
        x: pictures (B, C, H, W) or series (B, T, C), float32, as the network takes them.
        rng: what is drawn from.
        lengths: (B,) of series that vary.
        masks: of pictures; they are moved as the pictures are, and what comes in from outside weighs 0.
        view: number, from 1, of a view: all samples get the same numbers, and nothing is erased, so that an answer
            does not depend on the sample's neighbours; None for numbers of its own for each.
    """
    rows = len(x) if view is None else 1
    draws = Draws.of(rng, len(x), rows, x.device)
    draws = draws if view is None else draws.of_view(view)
    if recipe.kind == "series":
        return _series(recipe.section, x, draws, rng, rows, lengths), masks
    if recipe.kind != "image":
        return x, masks
    section = recipe.section
    masks = None if masks is None else _moved_masks(section, masks, draws)
    if not _needs_pixels(section):
        return _mirrored(section, x, draws), masks
    pixels = _unscaled(recipe, x)
    if section.policy != "none":
        pixels = by_policy(pixels, section.policy, rng, rows)
    pixels = _coloured(recipe, _moved(section, pixels, draws, "bilinear"), draws)
    if section.erasing and view is None:
        pixels = pixels.masked_fill(erased(draws, section.erasing, (x.shape[2], x.shape[3]))[:, None], 0.0)
    return _scaled(recipe, pixels), masks


def mirrored_along(recipe: Recipe, view: int) -> list[int]:
    """Return the dimensions of pictures (B, C, H, W) along which a view, from 1, is mirrored."""
    draws = Draws(torch.zeros(1, len(COLUMNS))).of_view(view)
    chances = {"flip": recipe.section.flip, "flip_vertical": recipe.section.flip_vertical}
    return [dim for dim, (name, chance) in zip((3, 2), chances.items(), strict=True) if bool(draws[name] < chance)]


def _needs_pixels(section: AugmentationConfig) -> bool:
    """Whether more is done than mirroring: black and white have to be known then."""
    return bool(section.switched_on.keys() - {"flip", "flip_vertical", *MIXING})


def _unscaled(recipe: Recipe, x: Tensor) -> Tensor:
    if not recipe.size:
        return x
    shift, size = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (recipe.shift, recipe.size))
    return x * size + shift


def _scaled(recipe: Recipe, x: Tensor) -> Tensor:
    if not recipe.size:
        return x
    shift, size = (torch.tensor(v, device=x.device).view(-1, 1, 1) for v in (recipe.shift, recipe.size))
    return (x - shift) / size


def _mirrored(section: AugmentationConfig, x: Tensor, draws: Draws) -> Tensor:
    if section.flip:
        x = mirrored(x, draws["flip"] < section.flip, 3)
    return mirrored(x, draws["flip_vertical"] < section.flip_vertical, 2) if section.flip_vertical else x


def _moved(section: AugmentationConfig, x: Tensor, draws: Draws, mode: str) -> Tensor:
    """Return pictures (B, C, H, W) with all that moves pixels done to them."""
    x = _mirrored(section, x, draws)
    if section.crop:
        down, right = ((draws[name] * (2 * section.crop + 1)).long() for name in ("crop_down", "crop_right"))
        x = shifted(x, down - section.crop, right - section.crop, section.crop)
    if section.rotation or section.zoom or section.translate:
        degrees, factor = draws.around("rotation", section.rotation), draws.factor("zoom", section.zoom)
        down, right = (draws.around(name, section.translate) for name in ("down", "right"))
        x = warped(x, affine_maps(degrees, factor, down, right, (x.shape[2], x.shape[3])), mode)
    return x


def _moved_masks(section: AugmentationConfig, masks: Masks, draws: Draws) -> Masks:
    """Return masks moved as their pictures are, to the nearest pixel, and weights 0 where nothing was."""
    target, weight = masks
    both = torch.stack([target.to(weight.dtype), weight], 1)  # class numbers are exact as floats
    numbers, weights = _moved(section, both, draws, "nearest").unbind(1)
    return numbers.to(target.dtype), weights


def _coloured(recipe: Recipe, x: Tensor, draws: Draws) -> Tensor:
    section, white = recipe.section, WHITE if recipe.is_bytes else None
    if section.brightness:
        x = brightened(x, draws.factor("brightness", section.brightness), white)
    if section.contrast:
        x = contrasted(x, draws.factor("contrast", section.contrast), white)
    if section.saturation:
        x = saturated(x, draws.factor("saturation", section.saturation), white)
    return hue_turned(x, draws.around("hue", section.hue)) if section.hue else x


def _series(
    section: AugmentationConfig, x: Tensor, draws: Draws, rng: np.random.Generator, rows: int, lengths: Tensor | None
) -> Tensor:
    if section.window_crop:
        x = stretched(x, draws, section.window_crop, lengths)
    if section.scaling:
        x = multiplied(x, _normal(rng, (rows, x.shape[2]), x), section.scaling)
    if section.jitter:
        x = jittered(x, _normal(rng, (rows, x.shape[1], x.shape[2]), x), section.jitter, lengths)
    return x


def _normal(rng: np.random.Generator, shape: tuple[int, ...], x: Tensor) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(x.device)
