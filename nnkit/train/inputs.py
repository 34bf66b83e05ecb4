"""The one place where a batch is changed while training: augmented and mixed as a whole, then noise piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nnkit.augment import Half, Recipe, augmented, blended, mixed, recipe_of
from nnkit.config.sections.augmentation import AugmentationConfig
from nnkit.data.batches import Batch, Mixed
from nnkit.data.preprocess import ArrayEncoder, Preprocess
from nnkit.data.tokens import UNKNOWN_NUMBER
from nnkit.objective import Objective
from nnkit.objective.aligned import aligned
from nnkit.seeding import derive
from nnkit.spec import DataSpec
from nnkit.train.run import Run

PIXELS = 3  # dimensions of what each pixel weighs


def recipe_for(section: AugmentationConfig, preprocess: Preprocess) -> Recipe | None:
    """Return what an augmentation means for data; None where it changes nothing."""
    first, blends = preprocess.inputs[0], preprocess.spec.task == "regression"
    if not isinstance(first, ArrayEncoder):
        return recipe_of(section, preprocess.spec.inputs[0], blends=blends)
    scale = None if first.scale is None else (first.scale.shift, first.scale.size)
    return recipe_of(section, first.spec, scale=scale, is_bytes=first.is_bytes, blends=blends)


def reweighs(section: AugmentationConfig, spec: DataSpec) -> bool:
    """Tell whether an augmentation changes what samples or pixels weigh: by halves, or where nothing was."""
    return section.mixes or (spec.is_per_pixel and bool(section.switched_on))


def changed(run: Run, batch: Batch, step: int) -> Batch:
    """Return the samples of a whole step as they are learned from, by its number and the seed alone.

    It is done before the step is cut into pieces: all of it is as it would be in one piece, and any two samples may be
    mixed.
    """
    recipe = run.augmentation
    if recipe is None:
        return batch
    rng = np.random.default_rng(derive(run.seed, "augment", step))
    x, *others = batch.inputs
    lengths = next((each for each in others if each.dim() == 1), None)
    masks = (batch.target, batch.weight) if batch.weight.dim() == PIXELS else None
    x, moved = augmented(recipe, x, rng, lengths=lengths, masks=masks)
    batch = replace(batch, inputs=(x, *others))
    if moved is not None:
        return replace(batch, target=moved[0], weight=moved[1])
    if not recipe.section.mixes:
        return batch
    inputs, own, other = mixed(recipe.section, batch.inputs, Half(batch.target, batch.weight), rng)
    if recipe.blends:
        one = blended(own, other)
        return replace(batch, inputs=inputs, target=one.target, weight=one.weight)
    return replace(batch, inputs=inputs, target=own.target, weight=own.weight, mixed=Mixed(other.target, other.weight))


def weight_of(objective: Objective, batch: Batch) -> Tensor:
    """Return what the losses of a batch are divided by, (): of a mixed one the weights of both halves."""
    weight = objective.weight(batch.target, batch.weight)
    if batch.mixed is None:
        return weight
    return weight + objective.weight(batch.mixed.target, batch.mixed.weight)


def halves(outputs: Tensor, batch: Batch) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield outputs, target and weight, aligned: of a batch that is mixed also beside the other targets."""
    yield aligned(outputs, batch.target, batch.weight)
    if batch.mixed is not None:
        yield aligned(outputs, batch.mixed.target, batch.mixed.weight)


def noisy(run: Run, batch: Batch) -> Batch:
    """Return the batch with noise on its numbers, or without some of its tokens, where there shall be such."""
    if run.token_dropout:
        tokens, *others = batch.inputs
        dropped = torch.rand(tokens.shape, device=tokens.device) < run.token_dropout
        return replace(batch, inputs=(tokens.masked_fill(dropped, UNKNOWN_NUMBER), *others))
    if not run.input_noise:
        return batch
    kept = (x + run.input_noise * torch.randn_like(x) if x.is_floating_point() else x for x in batch.inputs)
    return replace(batch, inputs=tuple(kept))
