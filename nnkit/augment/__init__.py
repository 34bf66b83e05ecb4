"""Augmentation: pure functions on a step's tensors, where they are, with numbers drawn from a generator that is given.

Each sample has its own numbers; they are drawn for the whole step at once, from its seed alone, so that a resumed run,
or one whose steps are cut into smaller batches, draws the same ones.
"""

from nnkit.augment.mixing import Half, blended, mixed
from nnkit.augment.recipe import Masks, Recipe, augmented, mirrored_along, recipe_of

__all__ = ["Half", "Masks", "Recipe", "augmented", "blended", "mirrored_along", "mixed", "recipe_of"]
