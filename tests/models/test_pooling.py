"""One vector a sequence, whatever lies behind its end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from nnkit.models.pooling import AttentionPooling, last_of, masked_max, masked_mean, valid_steps
from tests.models.sequence_nets import padded, randomised

PARTS = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (3, 1, 6)]
Pool = Callable[[Tensor, Tensor | None], Tensor]
POOLS: list[tuple[Pool, Callable[[Tensor], Tensor]]] = [
    (last_of, lambda steps: steps[-1]),
    (masked_mean, lambda steps: steps.mean(0)),
    (masked_max, lambda steps: steps.amax(0)),
]
NAMES = ["last", "mean", "max"]


def test_the_steps_before_the_end_are_valid() -> None:
    assert valid_steps(torch.tensor([2, 0, 3]), 3).tolist() == [[True, True, False], [False] * 3, [True] * 3]


@pytest.mark.parametrize(("pool", "expected"), POOLS, ids=NAMES)
def test_a_summary_is_that_of_each_sequence_alone(pool: Pool, expected: Callable[[Tensor], Tensor]) -> None:
    rows = torch.stack([expected(part) for part in PARTS])
    torch.testing.assert_close(pool(*padded(PARTS, torch.nan)), rows)


@pytest.mark.parametrize(("pool", "expected"), POOLS, ids=NAMES)
def test_without_lengths_all_steps_count(pool: Pool, expected: Callable[[Tensor], Tensor]) -> None:
    h = torch.randn(3, 5, 4)
    torch.testing.assert_close(pool(h, None), torch.stack([expected(steps) for steps in h]))


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_largest_value_may_be_below_that_of_the_padding(sign: float) -> None:
    h, lengths = padded([sign * part.abs() for part in PARTS], 0.0)
    assert torch.equal(masked_max(h, lengths), torch.stack([(sign * part.abs()).amax(0) for part in PARTS]))


@pytest.mark.parametrize("varies", [True, False])
def test_attention_is_the_mean_by_softmax_of_its_scores(varies: bool) -> None:
    pool = randomised(AttentionPooling(4))
    parts = PARTS if varies else [part[:1].repeat(3, 1) + torch.arange(3)[:, None] for part in PARTS]
    rows = []
    weight, bias, score = (p.detach().double().numpy() for p in pool.parameters())
    for part in parts:
        h = part.double().numpy()
        scores = np.tanh(h @ weight.T + bias) @ score[0]
        shares = np.exp(scores) / np.exp(scores).sum()
        rows.append(shares @ h)
    x, lengths = padded(parts, 9.0)
    found = pool(x, lengths if varies else None)
    np.testing.assert_allclose(found.detach().numpy(), np.array(rows), rtol=1e-5, atol=1e-6)


def test_attention_on_one_step_is_the_step() -> None:
    pool = randomised(AttentionPooling(4))
    torch.testing.assert_close(pool(*padded(PARTS[1:2], 9.0, behind=3)), PARTS[1])
