"""Learned vectors in place of categories."""

# B batch, K categorical columns, E width of all vectors together

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, final

import torch
from torch import Tensor, nn

EmbeddingSize = Literal["auto"] | int | Sequence[int]
OTHER = 0  # the bucket of categories that training has not seen
DEVIATION = 0.1  # of the first values
TOKEN_DEVIATION = 0.3  # likewise, of the vectors of tokens, which nothing scales


@final
class CategoryEmbedding(nn.Embedding):
    """One vector a category. The bucket of the unseen starts at zero: where nothing trains it, it adds nothing."""

    def reset_parameters(self) -> None:
        """Give the vectors their first values."""
        with torch.no_grad():
            self.weight.normal_(0, DEVIATION)
            self.weight[OTHER].zero_()


@final
class TokenEmbedding(nn.Embedding):
    """One vector a token of the vocabulary."""

    def reset_parameters(self) -> None:
        """Give the vectors their first values."""
        with torch.no_grad():
            self.weight.normal_(0, TOKEN_DEVIATION)


@final
class CategoryEmbeddings(nn.Module):
    """The vectors of several columns, side by side."""

    def __init__(self, sizes: Sequence[int], *, embedding_size: EmbeddingSize) -> None:
        """Take the number of categories of each column, then the width of a vector: of all, of each, or `auto`."""
        super().__init__()
        if isinstance(embedding_size, str):
            widths = [embedding_width(size) for size in sizes]
        else:
            widths = [embedding_size] * len(sizes) if isinstance(embedding_size, int) else list(embedding_size)
        self.columns = nn.ModuleList(CategoryEmbedding(n, width) for n, width in zip(sizes, widths, strict=True))
        self.out_features = sum(widths)

    def forward(self, codes: Tensor) -> Tensor:
        """Return (B, E) float32 from category numbers (B, K) int32."""
        return torch.cat([column(codes[:, k]) for k, column in enumerate(self.columns)], 1)


def embedding_width(size: int) -> int:
    """Return the width of a vector for `size` categories: 1.6 * size ** 0.56, at most 50.

    Source: the rule of thumb of fastai's tabular models (Howard & Gugger 2020).
    """
    return min(50, round(1.6 * math.pow(size, 0.56)))
