"""Test-time augmentation: a sample is seen in several ways, and answered with the mean of what is said of each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, final

import numpy as np
from torch import Tensor

from nnkit.augment import Recipe, augmented
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
        recipe: the run's own augmentation; what mixes or erases is left out.
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


def with_views(run: Finished, count: int) -> Finished:
    """Return a run that answers with the mean of so many views; of an ensemble each member has as many.

    Raises:
        ConfigError: it was trained without an augmentation that gives views, or does not answer for a sample.
    """
    if count == 1:
        return run
    if run.spec.task in ("forecast", "language", "segmentation"):
        raise ConfigError(
            f"--tta is for an answer a sample or a step, not for a {run.spec.task}", hint="leave out --tta"
        )
    recipe = recipe_for(run.config.augmentation, run.preprocess)
    if recipe is None or not recipe.views:
        had = "no augmentation" if recipe is None else f"augmentation that gives no views ({recipe})"
        hint = "leave out --tta, or train with augmentation=standard"
        raise ConfigError(
            f"--tta shows a sample as the run's augmentation would, but {run.folder} had {had}", hint=hint
        )
    members = tuple(with_views(member, count) for member in run.members)
    return replace(run, members=members, views=Views(recipe, run.config.seed, count))
