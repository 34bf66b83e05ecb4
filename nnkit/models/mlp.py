"""Multi-layer perceptron."""

# B batch, F features

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn

from nnkit.config.sections.model import NormKind
from nnkit.models.activations import ActivationFactory
from nnkit.models.embeddings import CategoryEmbeddings, EmbeddingSize
from nnkit.models.linear import flattened


@final
class DenseBlock(nn.Module):
    """Linear map, norm, activation, dropout; with `residual`, the block's input is added at the end."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        norm: NormKind,
        residual: bool,
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the widths, then the choices; the sum goes through a linear map where the widths differ."""
        super().__init__()
        self.linear = nn.Linear(in_features, out_features)
        norms = {"none": nn.Identity, "batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        self.norm = norms[norm](out_features)
        self.activation = activation()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.residual = residual
        self.skip = (
            nn.Linear(in_features, out_features, bias=False) if residual and in_features != out_features else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, out_features) from (B, in_features)."""
        y = self.dropout(self.activation(self.norm(self.linear(x))))
        if not self.residual:
            return y  # type: ignore[no-any-return]
        return y + (x if self.skip is None else self.skip(x))  # type: ignore[no-any-return]


def dense_blocks(
    in_features: int,
    hidden: Sequence[int],
    *,
    norm: NormKind,
    residual: bool,
    activation: ActivationFactory,
    dropout: float,
) -> nn.Sequential:
    """Return one block a hidden width, each fed by the one before."""
    widths = [in_features, *hidden]
    return nn.Sequential(
        *(
            DenseBlock(a, b, norm=norm, residual=residual, activation=activation, dropout=dropout)
            for a, b in itertools.pairwise(widths)
        )
    )


@final
class MLP(nn.Module):
    """Fully connected layers on the flattened input, and on learned vectors of its categories."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        category_sizes: Sequence[int],
        *,
        hidden: Sequence[int],
        norm: NormKind,
        residual: bool,
        embedding_size: EmbeddingSize,
        activation: ActivationFactory,
        dropout: float,
    ) -> None:
        """Take the number of values a sample, of outputs, and of each column's categories, then the choices."""
        super().__init__()
        self.has_features = in_features > 0
        self.embeddings = CategoryEmbeddings(category_sizes, embedding_size=embedding_size) if category_sizes else None
        width = in_features + (self.embeddings.out_features if self.embeddings is not None else 0)
        self.hidden = dense_blocks(width, hidden, norm=norm, residual=residual, activation=activation, dropout=dropout)
        self.output = nn.Linear([width, *hidden][-1], out_features)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Return logits or values (B, out_features) from samples (B, …), from categories (B, K), or from both."""
        if self.embeddings is None:
            return self.output(self.hidden(flattened(inputs)))  # type: ignore[no-any-return]
        vectors = self.embeddings(inputs[-1])
        x = torch.cat([inputs[0].flatten(1), vectors], 1) if self.has_features else vectors
        return self.output(self.hidden(x))  # type: ignore[no-any-return]
