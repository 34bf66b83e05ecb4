"""Test-time augmentation: a sample is seen in several ways, and answered with the mean of what is said of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from torch import Tensor

from nnkit.augment import Recipe, augmented, mirrored_along
from nnkit.errors import ConfigError
from nnkit.seeding import derive
from nnkit.train.inputs import recipe_for

if TYPE_CHECKING:
    from nnkit.infer.finished import Finished


@final
@dataclass(frozen=True, slots=True)
class Views:
    """The ways in which a run sees samples.

    Attributes:
        recipe: the run's own augmentation; what mixes or erases is left out, and where each pixel has an answer all
            that moves pixels but mirroring.
        seed: of the run.
        count: of views, the sample as it is among them.
    """

    recipe: Recipe
    seed: int
    count: int

    def inputs(self, number: int, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return a batch as it is seen in a view, from 0; the first one changes nothing.

        The numbers of a view are the same for all samples, so that an answer depends neither on a sample's neighbours
        nor on its place; whether it is mirrored goes in turn.
        """
        if number == 0:
            return inputs
        x, *others = inputs
        lengths = next((each for each in others if each.dim() == 1), None)
        rng = np.random.default_rng(derive(self.seed, "view", number))
        return (augmented(self.recipe, x, rng, lengths=lengths, view=number)[0], *others)

    def turned_back(self, number: int, outputs: Tensor) -> Tensor:
        """Return what is said of each pixel of a view, (B, C, H, W), where it is in the sample."""
        dims = mirrored_along(self.recipe, number) if number else []
        return outputs.flip(dims) if dims else outputs


def with_views(run: Finished, count: int) -> Finished:
    """Return a run that answers with the mean of so many views; of an ensemble each member has as many.

    Raises:
        ConfigError: it was trained without an augmentation that gives views, or tells what follows.
    """
    if count == 1:
        return run
    if run.spec.task in ("forecast", "language"):
        text = f"--tta is for an answer a sample, a step or a pixel, not for a {run.spec.task}"
        raise ConfigError(text, hint="leave out --tta")
    recipe = recipe_for(run.config.augmentation, run.preprocess)
    if recipe is not None and run.spec.is_per_pixel:
        recipe = _for_pixels(recipe, run)
    if recipe is None or not recipe.views:
        had = "no augmentation" if recipe is None else f"augmentation that gives no views ({recipe})"
        hint = "leave out --tta, or train with augmentation=standard"
        raise ConfigError(
            f"--tta shows a sample as the run's augmentation would, but {run.folder} had {had}", hint=hint
        )
    members = tuple(with_views(member, count) for member in run.members)
    return replace(run, members=members, views=Views(recipe, run.config.seed, count))


def _for_pixels(recipe: Recipe, run: Finished) -> Recipe:
    """Return what an answer for each pixel can be turned back from. Raises: ConfigError where that is nothing."""
    kept = recipe.in_place()
    if not kept.views:
        text = f"--tta mirrors or recolours pictures whose pixels are answered for, but {run.folder} had {recipe}"
        raise ConfigError(text, hint="leave out --tta, or train with augmentation.flip=0.5")
    return kept
