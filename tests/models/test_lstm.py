"""The LSTM against torch.nn.LSTM, with the same tensors under the same names, and its forget gate."""

from __future__ import annotations

import pytest
import torch

from nnkit.models.layout import SequenceLayout
from nnkit.models.recurrent import Recurrent
from tests.models.built import built, series
from tests.models.sequence_nets import assert_equals_torch, recurrent

pytestmark = pytest.mark.usefixtures("on_one_thread")


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_outputs_states_and_gradients_are_torchs(varying: bool, bidirectional: bool, num_layers: int) -> None:
    assert_equals_torch("lstm", varying=varying, bidirectional=bidirectional, num_layers=num_layers)


@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_it_goes_on_from_a_state_as_torch_does(varying: bool) -> None:
    assert_equals_torch("lstm", varying=varying, with_state=True, num_layers=2)


def test_a_step_is_the_formula_of_hochreiter_and_schmidhuber_with_a_forget_gate() -> None:
    model = recurrent("lstm", SequenceLayout(3))
    w, u, b, k = model.rnn.weights(0, "")
    x, h, c = torch.randn(4, 6, 3), torch.zeros(4, 5), torch.zeros(4, 5)
    for t in range(6):
        i, f, g, o = (x[:, t] @ w.T + b + h @ u.T + k).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    torch.testing.assert_close(model(x), h @ model.output.weight.T + model.output.bias, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bias", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("init", ["orthogonal", "identity"])
def test_the_forget_gate_alone_starts_with_the_bias(bias: float, init: str) -> None:
    words = ("model=lstm", "model.hidden_size=4", "model.num_layers=2", "model.bidirectional=true")
    model = built(series(6, 2), *words, f"model.forget_bias={bias}", f"model.recurrent_init={init}")
    assert isinstance(model, Recurrent)
    for name, parameter in model.rnn.named_parameters():
        if name.startswith("bias_ih"):
            assert parameter.tolist() == [0.0] * 4 + [bias] * 4 + [0.0] * 8
        elif name.startswith("bias_hh"):
            assert parameter.tolist() == [0.0] * 16


def test_torchs_own_first_values_keep_the_forget_bias_on_top() -> None:
    words = ("model=lstm", "model.hidden_size=100", "model.recurrent_init=default", "model.forget_bias=7")
    model = built(series(6, 2), *words)
    assert isinstance(model, Recurrent)
    gates = model.rnn.weights(0, "")[2].detach().chunk(4)
    assert [abs(float(gate.mean()) - 7) < 0.1 for gate in gates] == [False, True, False, False]


def test_with_a_large_forget_bias_the_cell_remembers_its_first_step_for_long() -> None:
    kept = []
    for bias in (-3, 6):
        model = built(series(100, 1), "model=lstm", "model.hidden_size=16", f"model.forget_bias={bias}")
        x = torch.randn(8, 100, 1, requires_grad=True)
        model(x).square().sum().backward()
        assert x.grad is not None
        kept.append(float(x.grad[:, 0].norm() / x.grad[:, -1].norm()))
    assert kept[0] < 1e-9
    assert kept[1] > 1e-3


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("lengths", [None, torch.tensor([6, 2, 5])], ids=["even", "varying"])
def test_lower_precision_gives_about_the_same_outputs_and_gradients(
    dtype: torch.dtype, lengths: torch.Tensor | None
) -> None:
    layout = SequenceLayout(3, steps=6, has_lengths=lengths is not None)
    model = recurrent("lstm", layout, num_layers=2, norm="layer", bidirectional=True)
    inputs = (torch.randn(3, 6, 3), *(() if lengths is None else (lengths,)))
    found = []
    for is_lower in (False, True):
        with torch.autocast("cpu", dtype, enabled=is_lower):
            outputs = model(*inputs).float()
        found.append([outputs, *torch.autograd.grad(outputs.square().sum(), list(model.parameters()))])
    for whole, lower in zip(*found, strict=True):
        assert (lower - whole).norm() < 0.05 * whole.norm() + 1e-3
