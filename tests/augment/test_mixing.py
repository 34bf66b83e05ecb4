"""Mixup and cutmix: shares, targets and weights that belong together."""

from __future__ import annotations

import numpy as np
import torch

from nnkit.augment.mixing import Half, blended, mixed
from nnkit.config.sections.augmentation import AugmentationConfig

# Sample k is k everywhere, its target too: what an input has become tells its share.
NUMBERS = torch.arange(64.0)
PICTURES = NUMBERS[:, None, None, None].expand(-1, 1, 8, 8)
HALF = Half(torch.arange(64), torch.linspace(0.5, 2, 64))


def test_mixup_blends_inputs_as_it_shares_out_the_loss() -> None:
    section = AugmentationConfig(mixup=0.4)
    (x,), own, other = mixed(section, (PICTURES,), HALF, np.random.default_rng(0))
    share = own.weight / HALF.weight
    assert torch.equal(own.target, HALF.target)
    assert sorted(other.target.tolist()) == HALF.target.tolist()
    assert torch.allclose(other.weight, HALF.weight[other.target] * (1 - share), atol=1e-6)
    wanted = share * own.target + (1 - share) * other.target
    assert torch.allclose(x[:, 0, 0, 0], wanted, atol=1e-4)
    assert 0 <= float(share.min()) < 0.1
    assert 0.9 < float(share.max()) <= 1


def test_the_shares_are_beta_distributed() -> None:
    many = Half(torch.zeros(20_000, dtype=torch.int64), torch.ones(20_000))
    _, own, other = mixed(AugmentationConfig(mixup=0.4), (torch.zeros(20_000, 1),), many, np.random.default_rng(0))
    assert abs(float(own.weight.mean()) - 0.5) < 0.01
    assert abs(float(own.weight.var()) - 1 / (4 * (2 * 0.4 + 1))) < 0.005  # of Beta(a, a)
    assert torch.allclose(own.weight + other.weight, torch.ones(20_000))


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels() -> None:
    (x,), own, other = mixed(AugmentationConfig(cutmix=1.0), (PICTURES,), HALF, np.random.default_rng(0))
    share = own.weight / HALF.weight
    kept = (x[:, 0] == own.target[:, None, None]).float().mean((1, 2))
    pasted = (x[:, 0] == other.target[:, None, None]).float().mean((1, 2))
    differ = own.target != other.target
    assert torch.allclose(kept[differ], share[differ])
    assert torch.allclose(kept[differ] + pasted[differ], torch.ones(int(differ.sum())))


def test_both_take_half_of_the_samples_each() -> None:
    (x,), own, other = mixed(AugmentationConfig(mixup=1.0, cutmix=1.0), (PICTURES,), HALF, np.random.default_rng(0))
    is_blend = (x != own.target[:, None, None, None]) & (x != other.target[:, None, None, None])
    blended = is_blend.flatten(1).any(1)
    assert 15 < int(blended.sum()) < 49
    share = own.weight / HALF.weight
    wanted = share * own.target + (1 - share) * other.target
    assert torch.allclose(x.mean((1, 2, 3)), wanted, atol=1e-3)


def test_the_smallest_and_the_largest_alpha_give_shares() -> None:
    for alpha in (1e-300, 1e-3, 100.0):
        _, own, other = mixed(AugmentationConfig(mixup=alpha), (NUMBERS[:, None],), HALF, np.random.default_rng(0))
        assert bool(own.weight.isfinite().all())
        assert torch.allclose(own.weight / HALF.weight + other.weight / HALF.weight[other.target], torch.ones(64))


def test_two_values_become_one_by_their_weights() -> None:
    own = Half(torch.tensor([[0.0, 1.0], [4.0, 4.0], [7.0, 7.0]]), torch.tensor([0.75, 1.0, 0.0]))
    other = Half(torch.tensor([[8.0, 3.0], [0.0, 8.0], [9.0, 9.0]]), torch.tensor([0.25, 3.0, 0.0]))
    one = blended(own, other)
    assert torch.allclose(one.target, torch.tensor([[2.0, 1.5], [1.0, 7.0], [7.0, 7.0]]))
    assert torch.equal(one.weight, torch.tensor([1.0, 4.0, 0.0]))
