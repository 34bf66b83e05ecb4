"""Linear regression against the matrix product."""

from __future__ import annotations

import pytest
import torch

from nnkit.models.linear import Linear


@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 2, 3)])
def test_the_output_is_one_linear_map_of_the_flattened_sample(shape: tuple[int, ...]) -> None:
    model = Linear(6, 4)
    x = torch.randn(5, *shape)
    torch.testing.assert_close(model(x), x.reshape(5, 6) @ model.output.weight.T + model.output.bias)
