"""The GRU against torch.nn.GRU, with the same tensors under the same names."""

from __future__ import annotations

import pytest
import torch

from nnkit.models.layout import SequenceLayout
from tests.models.sequence_nets import assert_equals_torch, recurrent

pytestmark = pytest.mark.usefixtures("on_one_thread")


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_outputs_states_and_gradients_are_torchs(varying: bool, bidirectional: bool, num_layers: int) -> None:
    assert_equals_torch("gru", varying=varying, bidirectional=bidirectional, num_layers=num_layers)


@pytest.mark.parametrize("varying", [False, True], ids=["even", "varying"])
def test_it_goes_on_from_a_state_as_torch_does(varying: bool) -> None:
    assert_equals_torch("gru", varying=varying, with_state=True, num_layers=2)


def test_a_step_is_the_formula_with_the_reset_gate_behind_the_product() -> None:
    model = recurrent("gru", SequenceLayout(3))
    w, u, b, c = model.rnn.weights(0, "")
    x, h = torch.randn(4, 6, 3), torch.zeros(4, 5)
    for t in range(6):
        (r, z, n), (s, y, m) = (x[:, t] @ w.T + b).chunk(3, 1), (h @ u.T + c).chunk(3, 1)
        reset, update = (r + s).sigmoid(), (z + y).sigmoid()
        h = (1 - update) * (n + reset * m).tanh() + update * h
    torch.testing.assert_close(model(x), h @ model.output.weight.T + model.output.bias, atol=1e-5, rtol=1e-5)
