"""Rectangles that are erased, or pasted."""

from __future__ import annotations

import numpy as np
import torch

from nnkit.augment.boxes import AREAS, ASPECTS, boxes, cut, erased
from nnkit.augment.draws import Draws


def test_a_box_is_what_lies_between_its_edges() -> None:
    (found,) = boxes(*(torch.tensor([float(n)]) for n in (1, 2, 3, 5)), (4, 6))
    wanted = torch.zeros(4, 6, dtype=torch.bool)
    wanted[1:3, 2:5] = True
    assert torch.equal(found, wanted)


def test_what_is_erased_has_the_sizes_of_the_paper_and_lies_anywhere() -> None:
    draws = Draws.of(np.random.default_rng(0), 4_000, 4_000, torch.device("cpu"))
    found = erased(draws, 0.25, (40, 40))
    chosen = found[found.any(2).any(1)]
    assert 0.22 < len(chosen) / len(found) < 0.28
    rows, columns = chosen.any(2).sum(1).float(), chosen.any(1).sum(1).float()
    area = rows * columns / 1600
    assert float(area.min()) >= AREAS[0] * 0.7
    assert float(area.max()) <= AREAS[1] * 1.1
    assert ASPECTS[0] * 0.7 < float((rows / columns).min()) < float((rows / columns).max()) < ASPECTS[1] * 1.4
    assert bool(chosen.any(0).all())
    assert torch.equal(chosen.flatten(1).sum(1).float(), rows * columns)


def test_a_cut_leaves_its_share_where_it_lies_inside() -> None:
    shares = torch.tensor([1.0, 0.75, 0.0])
    middle = torch.full((3,), 0.5)
    found = cut(shares, middle, middle, (20, 20)).float().mean((1, 2))
    assert torch.allclose(found, torch.tensor([0.0, 0.25, 1.0]))
    at_the_corner = cut(torch.tensor([0.75]), torch.tensor([0.0]), torch.tensor([0.0]), (20, 20))
    assert float(at_the_corner.float().mean()) == 0.0625
