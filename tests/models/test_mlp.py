"""The multi-layer perceptron against the same computation by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn

from nnkit.config.sections.model import NormKind
from nnkit.models.mlp import MLP


def mlp(hidden: Sequence[int] = (5, 7), norm: NormKind = "none", residual: bool = False, dropout: float = 0.0) -> MLP:
    return MLP(
        6,
        3,
        (),
        hidden=hidden,
        norm=norm,
        residual=residual,
        embedding_size="auto",
        activation=nn.Tanh,
        dropout=dropout,
    )


def by_hand(model: MLP, x: Tensor, norm: str, residual: bool) -> Tensor:
    """Compute from the named tensors alone; batch norm on the batch's own moments."""
    w = dict(model.named_parameters())
    h = x.reshape(len(x), -1)
    for i in range(len(model.hidden)):
        a = h @ w[f"hidden.{i}.linear.weight"].T + w[f"hidden.{i}.linear.bias"]
        if norm != "none":
            axis = 0 if norm == "batch" else 1
            a = (a - a.mean(axis, keepdim=True)) / (a.var(axis, correction=0, keepdim=True) + 1e-5).sqrt()
            a = a * w[f"hidden.{i}.norm.weight"] + w[f"hidden.{i}.norm.bias"]
        y = a.tanh()
        if residual:
            y = y + (h if y.shape == h.shape else h @ w[f"hidden.{i}.skip.weight"].T)
        h = y
    return h @ w["output.weight"].T + w["output.bias"]


@pytest.mark.parametrize("norm", ["none", "batch", "layer"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("hidden", [(), (6, 6), (5, 7, 7)])
def test_forward_is_the_formula(hidden: tuple[int, ...], residual: bool, norm: NormKind) -> None:
    torch.manual_seed(0)
    model = mlp(hidden, norm, residual).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    torch.testing.assert_close(model(x), by_hand(model, x, norm, residual))


def test_equal_widths_add_the_input_itself_and_unequal_ones_a_map_without_bias() -> None:
    blocks = mlp((6, 5), residual=True).hidden
    assert blocks[0].skip is None
    assert isinstance(blocks[1].skip, nn.Linear)
    assert blocks[1].skip.bias is None


def test_without_residual_there_is_no_skip_map() -> None:
    assert all(block.skip is None for block in mlp((5, 7)).hidden)


def test_dropout_zeroes_hidden_units_in_training_and_rescales_the_rest() -> None:
    block = mlp((1000,), dropout=0.25).hidden[0]
    x = torch.randn(8, 6)
    whole, dropped = block.eval()(x), block.train()(x)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], (whole / 0.75)[kept])
    assert 1 - kept.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_dropout_never_touches_the_output_or_the_evaluation() -> None:
    model = mlp((), dropout=0.9)
    x = torch.randn(4, 6)
    torch.testing.assert_close(model.train()(x), F.linear(x, model.output.weight, model.output.bias))
    deep = mlp((5, 7), dropout=0.9).eval()
    torch.testing.assert_close(deep(x), by_hand(deep, x, "none", False))


def test_two_hidden_layers_learn_two_prelu_slopes() -> None:
    model = MLP(
        6, 3, (), hidden=(4, 4), norm="none", residual=False, embedding_size="auto", activation=nn.PReLU, dropout=0.0
    )
    slopes = [p for name, p in model.named_parameters() if "activation" in name]
    assert len({p.data_ptr() for p in slopes}) == 2
    model(torch.randn(16, 6)).square().sum().backward()
    assert not torch.equal(slopes[0].grad, slopes[1].grad)  # type: ignore[arg-type]
