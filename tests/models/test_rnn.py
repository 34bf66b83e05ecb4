"""Plain recurrence against torch.nn.RNN, with the same tensors under the same names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from nnkit.models.layout import SequenceLayout
from tests.models.sequence_nets import assert_equals_torch, recurrent

pytestmark = pytest.mark.usefixtures("on_one_thread")

NONLINEARITIES = pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])


@NONLINEARITIES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_outputs_states_and_gradients_are_torchs(
    varying: bool, bidirectional: bool, num_layers: int, nonlinearity: str
) -> None:
    assert_equals_torch(
        "rnn", varying=varying, bidirectional=bidirectional, num_layers=num_layers, nonlinearity=nonlinearity
    )


@NONLINEARITIES
@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_it_goes_on_from_a_state_as_torch_does(varying: bool, nonlinearity: str) -> None:
    assert_equals_torch("rnn", varying=varying, with_state=True, num_layers=2, nonlinearity=nonlinearity)


@NONLINEARITIES
def test_a_step_is_the_formula_of_elman(nonlinearity: str) -> None:
    model = recurrent("rnn", SequenceLayout(3), nonlinearity=nonlinearity)
    w, u, b, c = model.rnn.weights(0, "")
    x, h = torch.randn(4, 6, 3), torch.zeros(4, 5)
    squash: Any = torch.tanh if nonlinearity == "tanh" else nn.functional.relu
    for t in range(6):
        h = squash(x[:, t] @ w.T + b + h @ u.T + c)
    torch.testing.assert_close(model(x), h @ model.output.weight.T + model.output.bias, atol=1e-5, rtol=1e-5)
