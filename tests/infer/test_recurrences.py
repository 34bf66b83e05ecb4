"""Recurrent networks in files: kept whole, whatever their options, and for any number of steps."""

from __future__ import annotations

import onnx
import pytest
import torch
from torch import Tensor, nn

from nnkit.errors import NnkitError
from nnkit.infer.formats import Format, to_onnx, to_torch_export
from nnkit.infer.parity import check
from nnkit.infer.recurrences import recurrences_by_shape
from nnkit.models.cnn import CNN
from nnkit.models.layout import SequenceLayout
from nnkit.spec import InputSpec
from tests.infer.test_formats import GRAPHS, METADATA
from tests.models.sequence_nets import randomised, recurrent

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

STEPS = 9
SERIES = (InputSpec("x", "series", (STEPS, 3)),)
LENGTHS = InputSpec("lengths", "lengths", ())
LONG = (InputSpec("x", "series", (400, 3)),)
VARYING = (*SERIES, LENGTHS)
TOKENS = (InputSpec("tokens", "tokens", (STEPS,), (11,)), LENGTHS)


def made(kind: Format, model: nn.Module, inputs: tuple[InputSpec, ...], *, free_time: bool) -> bytes:
    make = to_onnx if kind == "onnx" else to_torch_export
    return make(model.eval(), inputs, metadata=METADATA, free_time=free_time)


def batch(inputs: tuple[InputSpec, ...], steps: int, size: int = 5) -> tuple[Tensor, ...]:
    torch.manual_seed(2)
    first = inputs[0]
    x = torch.randint(11, (size, steps)).int() if first.kind == "tokens" else torch.randn(size, steps, 3)
    lengths = torch.randint(1, steps + 1, (size,))
    lengths[0] = steps
    return (x, lengths)[: len(inputs)]


@pytest.mark.parametrize("kind", GRAPHS)
@pytest.mark.parametrize(
    ("cell", "chosen", "varies", "per_step"),
    [
        ("rnn", {"num_layers": 2, "norm": "layer", "nonlinearity": "relu"}, False, True),
        ("rnn", {"bidirectional": True}, True, True),
        ("lstm", {"bidirectional": True, "summary": "attention"}, True, False),
        ("lstm", {"num_layers": 2}, True, True),
        ("gru", {"bidirectional": True}, True, False),
    ],
)
def test_each_cell_takes_any_number_of_steps(
    kind: Format, cell: str, chosen: dict[str, object], varies: bool, per_step: bool
) -> None:
    inputs = VARYING if varies else SERIES
    model = recurrent(cell, SequenceLayout(3, 0, STEPS, varies, 0, per_step), 4, **chosen)
    data = made(kind, model, inputs, free_time=True)
    for steps in (STEPS, 1, 14):
        assert check(kind, data, model, batch(inputs, steps)).is_close


@pytest.mark.parametrize(("kind", "summary"), [("onnx", "mean"), ("torch_export", "max")])
def test_texts_of_any_length_are_summed_up(kind: Format, summary: str) -> None:
    model = recurrent("gru", SequenceLayout(0, 11, STEPS, has_lengths=True), 4, summary=summary, dense=[5])
    data = made(kind, model, TOKENS, free_time=True)
    for steps in (STEPS, 1, 14):
        assert check(kind, data, model, batch(TOKENS, steps)).is_close


def convolutions() -> nn.Module:
    return randomised(
        CNN(
            0,
            (STEPS,),
            4,
            SequenceLayout(0, 11, STEPS, has_lengths=True),
            channels=[6, 6],
            kernel_size=3,
            stride=1,
            padding="same",
            pooling="max",
            pool_size=2,
            norm="none",
            residual=True,
            global_pooling="max",
            dense=[],
            embedding_size=4,
            activation=nn.ReLU,
            dropout=0.0,
        )
    )


def test_convolutions_over_sequences_that_vary_are_recorded_for_the_longest() -> None:
    model = convolutions()
    with pytest.raises(NnkitError, match="the model cannot be exported to torch_export"):
        made("torch_export", model, TOKENS, free_time=True)
    data = made("torch_export", model, TOKENS, free_time=False)
    assert check("torch_export", data, model, batch(TOKENS, STEPS)).is_close


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_long_series_are_no_larger_than_short_ones(cell: str) -> None:
    model = recurrent(cell, SequenceLayout(3, 0, 400), 4, bidirectional=True)
    data = made("onnx", model, LONG, free_time=False)
    operators = [node.op_type for node in onnx.load_from_string(data).graph.node]
    assert operators.count(cell.upper()) == 2
    assert len(operators) < 80
    assert check("onnx", data, model, batch(LONG, 400, 2)).is_close


class Torchs(nn.Module):
    """A recurrent layer of torch's own, with any options, over a series."""

    def __init__(self, name: str, **chosen: object) -> None:
        super().__init__()
        self.rnn = getattr(nn, name)(3, 6, **chosen)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.rnn(x if self.rnn.batch_first else x.transpose(0, 1))[0]
        return out if self.rnn.batch_first else out.transpose(0, 1)


@pytest.mark.parametrize(
    ("kind", "name", "chosen"),
    [
        ("onnx", "RNN", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
        ("onnx", "RNN", {"nonlinearity": "relu", "bias": False, "dropout": 0.5, "num_layers": 2}),
        ("onnx", "GRU", {"num_layers": 2, "bidirectional": True}),
        ("torch_export", "LSTM", {"proj_size": 2, "bidirectional": True}),
    ],
)
def test_torchs_own_layers_keep_their_options(kind: Format, name: str, chosen: dict[str, object]) -> None:
    torch.manual_seed(3)
    model = Torchs(name, **chosen).eval()
    data = made(kind, model, SERIES, free_time=True)
    for steps in (STEPS, 14):
        assert check(kind, data, model, batch(SERIES, steps)).is_close


def test_torch_is_left_as_it_was() -> None:
    op = torch.ops.aten.gru.input
    before = dict(op.py_kernels)
    with recurrences_by_shape():
        assert dict(op.py_kernels) != before
    assert dict(op.py_kernels) == before
