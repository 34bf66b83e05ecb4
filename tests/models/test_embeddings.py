"""Learned vectors of categories, alone and inside the multi-layer perceptron."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import nn

from nnkit.models.embeddings import DEVIATION, OTHER, CategoryEmbedding, CategoryEmbeddings, embedding_width
from nnkit.models.mlp import MLP
from nnkit.spec import DataSpec, InputSpec
from tests.models.built import THREE_CLASSES, built

SIZES = (3, 7)
CATEGORIES = InputSpec("categories", "categories", (2,), SIZES)
ALONE = DataSpec("classification", (CATEGORIES,), THREE_CLASSES)
MIXED = DataSpec("classification", (InputSpec("features", "features", (4,)), CATEGORIES), THREE_CLASSES)


def codes(rows: int = 20) -> torch.Tensor:
    chance = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(size, (rows,), generator=chance) for size in SIZES], 1).int()


def test_the_vectors_of_the_columns_stand_side_by_side() -> None:
    embeddings = CategoryEmbeddings(SIZES, embedding_size=4)
    found = embeddings(codes())
    assert (found.shape, embeddings.out_features) == ((20, 8), 8)
    one_hot = [F.one_hot(codes()[:, k].long(), size).float() for k, size in enumerate(SIZES)]
    weights = [column.weight for column in embeddings.columns]
    expected = torch.cat([hot @ w for hot, w in zip(one_hot, weights, strict=True)], 1)  # type: ignore[operator]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("size", "width"), [(2, 2), (3, 3), (10, 6), (100, 21), (1000, 50), (10**6, 50)])
def test_the_automatic_width_is_that_of_fastais_rule(size: int, width: int) -> None:
    assert embedding_width(size) == min(50, round(1.6 * size**0.56)) == width
    assert CategoryEmbeddings([size], embedding_size="auto").out_features == width


def test_first_values_are_small_and_those_of_the_unseen_zero() -> None:
    embedding = CategoryEmbedding(2000, 8)
    embedding.reset_parameters()
    assert embedding.weight[OTHER].abs().sum().item() == 0
    assert embedding.weight[1:].std().item() == pytest.approx(DEVIATION, rel=0.05)


def test_the_vector_of_the_unseen_adds_nothing_until_something_trains_it() -> None:
    model = built(MIXED, "model.hidden=[5]")
    x = torch.randn(6, 4)
    unseen = model(x, torch.zeros(6, 2, dtype=torch.int32))
    assert isinstance(model, MLP)
    weight = model.hidden[0].linear.weight
    hidden = F.linear(x, weight[:, :4], model.hidden[0].linear.bias).relu()
    torch.testing.assert_close(unseen, model.output(hidden))


@pytest.mark.parametrize(("spec", "inputs"), [(ALONE, (codes(),)), (MIXED, (torch.randn(20, 4), codes()))])
def test_a_network_takes_categories_alone_or_beside_features(spec: DataSpec, inputs: Any) -> None:
    model = built(
        spec,
        "model.embedding_size=3",
        "model.hidden=[5]",
        "data=table",
        "data.path=x",
        "data.target=y",
        "data.categories=embedding",
    )
    assert model(*inputs).shape == (20, 3)
    assert isinstance(model, MLP)
    assert model.hidden[0].linear.in_features == 6 + (4 if spec is MIXED else 0)


def test_without_hidden_layers_it_is_linear_in_the_vectors() -> None:
    model = built(ALONE, "model.hidden=[]")
    assert isinstance(model, MLP)
    assert model.embeddings is not None
    torch.testing.assert_close(model(codes()), model.output(model.embeddings(codes())))


def test_a_build_draws_the_vectors_from_the_seed_alone() -> None:
    torch.manual_seed(1)
    first = built(MIXED).state_dict()
    torch.manual_seed(2)
    again, other = built(MIXED).state_dict(), built(MIXED, "seed=1").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embeddings.columns.0.weight"], other["embeddings.columns.0.weight"])


def test_vectors_learn_what_tells_categories_apart() -> None:
    model: nn.Module = built(
        ALONE,
        "model.hidden=[]",
        "model.embedding_size=2",
        "data=table",
        "data.path=x",
        "data.target=y",
        "data.categories=embedding",
    )
    x = codes(200)
    y = (x[:, 1] % 3).long()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert (model(x).argmax(1) == y).float().mean().item() == 1
