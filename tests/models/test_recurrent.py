"""Recurrent networks: a sequence's result depends on nothing but the sequence; summaries, heads, first values."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nnkit.models.layout import SequenceLayout
from nnkit.models.recurrent import GATES, Recurrent, RecurrentLayers
from nnkit.spec import DataSpec, InputSpec, TargetSpec
from nnkit.summary import layers
from tests.models.built import THREE_CLASSES, built, images, series
from tests.models.sequence_nets import as_torch, by_torch, dense, padded, recurrent

pytestmark = pytest.mark.usefixtures("on_one_thread")

KINDS = ["rnn", "lstm", "gru"]
BOTH = pytest.mark.parametrize("bidirectional", [False, True], ids=["forward", "both"])
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
CLOSE: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-5}
VARYING = SequenceLayout(3, steps=9, has_lengths=True)


# what a sequence is batched with

CHOICES = st.fixed_dictionaries(
    {
        "num_layers": st.integers(1, 2),
        "bidirectional": st.booleans(),
        "norm": st.sampled_from(["none", "layer"]),
        "summary": st.sampled_from(["last", "mean", "max", "attention"]),
        "dense": st.sampled_from([[], [4]]),
    }
)


@given(
    kind=st.sampled_from(KINDS),
    chosen=CHOICES,
    vocabulary=st.sampled_from([0, 6]),
    per_step=st.booleans(),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    behind=st.integers(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_the_result_for_a_sequence_does_not_depend_on_what_it_is_batched_with(
    kind: str, chosen: dict[str, Any], vocabulary: int, per_step: bool, lengths: list[int], behind: int
) -> None:
    layout = SequenceLayout(0 if vocabulary else 3, vocabulary, 9, has_lengths=True, per_step=per_step)
    model = recurrent(kind, layout, **chosen).eval()
    parts: list[Tensor] = [
        torch.randint(vocabulary, (n,), dtype=torch.int32) if vocabulary else torch.randn(n, 3) for n in lengths
    ]
    alone = [model(part[None], torch.tensor([len(part)]))[0] for part in parts]
    batch = (5 if vocabulary else torch.nan, behind)
    for order in (
        list(range(len(parts))),
        list(range(len(parts)))[::-1],
        sorted(range(len(parts)), key=lengths.__getitem__),
    ):
        found = model(*padded([parts[k] for k in order], *batch))
        for row, k in enumerate(order):
            torch.testing.assert_close(found[row][: lengths[k]] if per_step else found[row], alone[k], **CLOSE)


@EVERY_KIND
@BOTH
@pytest.mark.parametrize("summary", ["last", "mean", "max", "attention"])
def test_no_gradient_comes_from_behind_the_end(kind: str, bidirectional: bool, summary: str) -> None:
    model = recurrent(kind, VARYING, bidirectional=bidirectional, summary=summary, num_layers=2, norm="layer")
    x, lengths = padded([torch.randn(n, 3) for n in (2, 5, 1)], torch.nan)
    x.requires_grad_()
    model(x, lengths).square().sum().backward()
    assert x.grad is not None
    for row, length in enumerate(lengths.tolist()):
        assert (x.grad[row, 0] != 0).any()
        assert (x.grad[row, length:] == 0).all()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


@EVERY_KIND
def test_gradients_of_the_weights_are_the_sum_of_those_of_each_sequence_alone(kind: str) -> None:
    model = recurrent(kind, VARYING, bidirectional=True, num_layers=2, summary="attention").double()
    parts = [torch.randn(n, 3, dtype=torch.float64) for n in (2, 7, 1, 4)]

    def gradients(*inputs: Tensor) -> tuple[Tensor, ...]:
        return torch.autograd.grad(model(*inputs).square().sum(), list(model.parameters()))

    alone = [gradients(part[None], torch.tensor([len(part)])) for part in parts]
    for found, *each in zip(gradients(*padded(parts, torch.nan)), *alone, strict=True):
        torch.testing.assert_close(found, torch.stack(each).sum(0))


@EVERY_KIND
def test_the_backward_direction_starts_at_each_sequences_own_end(kind: str) -> None:
    model = recurrent(kind, VARYING, bidirectional=True)
    parts = [torch.randn(n, 3) for n in (3, 6, 1)]
    x, lengths = padded(parts, torch.nan)
    out, _ = model.rnn(x, lengths, None, [])
    mirrored = recurrent(kind, VARYING)
    names = {name.removesuffix("_reverse"): p for name, p in model.rnn.named_parameters() if name.endswith("_reverse")}
    mirrored.rnn.load_state_dict(names)
    for row, part in enumerate(parts):
        backwards, _ = mirrored.rnn(part.flip(0)[None], None, None, [])
        torch.testing.assert_close(out[row, : len(part), 5:], backwards[0].flip(0), **CLOSE)
        assert (out[row, len(part) :] == 0).all()


@EVERY_KIND
def test_a_sequence_of_no_step_keeps_the_state_it_came_with(kind: str) -> None:
    model = recurrent(kind, SequenceLayout(3, steps=9, has_lengths=True, per_step=True), num_layers=2)
    x = torch.randn(3, 4, 3)
    _, state = model.step(x, torch.tensor([4, 2, 3]))
    _, after = model.step(x, torch.tensor([0, 4, 0]), state=state)
    for before, found in zip(state, after, strict=True):
        torch.testing.assert_close(found[[0, 2]], before[[0, 2]], atol=0, rtol=0)
        assert not torch.equal(found[1], before[1])


# from steps to answers


def hidden_states(model: Recurrent, x: Tensor, lengths: Tensor) -> Tensor:
    """Return what torch's module of the same weights says at each step, (B, T, D)."""
    return by_torch(as_torch(model), x, lengths, None)[0]


@EVERY_KIND
@BOTH
@pytest.mark.parametrize("summary", ["last", "mean", "max"])
def test_the_head_reads_the_summary_of_torchs_own_steps(kind: str, bidirectional: bool, summary: str) -> None:
    model = recurrent(kind, VARYING, bidirectional=bidirectional, summary=summary)
    x, lengths = padded([torch.randn(n, 3) for n in (4, 7, 1)], 0.0)
    rows = []
    for steps, length in zip(hidden_states(model, x, lengths), lengths.tolist(), strict=True):
        inside = steps[:length]
        first_and_last = torch.cat([inside[-1, :5], inside[0, 5:]])
        rows.append({"last": first_and_last, "mean": inside.mean(0), "max": inside.amax(0)}[summary])
    expected = torch.stack(rows) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x, lengths), expected, **CLOSE)


def test_the_last_step_of_both_directions_is_what_torch_calls_the_state_at_the_end() -> None:
    model = recurrent("gru", VARYING, bidirectional=True)
    x, lengths = padded([torch.randn(n, 3) for n in (4, 7, 1)], 0.0)
    _, (forward, backward) = by_torch(as_torch(model), x, lengths, None)
    expected = torch.cat([forward, backward], 1) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x, lengths), expected, **CLOSE)


def test_all_steps_lie_side_by_side_in_front_of_the_head() -> None:
    model = recurrent("gru", SequenceLayout(3, steps=6), summary="all", dense=[7])
    x = torch.randn(4, 6, 3)
    steps = hidden_states(model, x, torch.full((4,), 6))
    torch.testing.assert_close(model(x), dense(model, steps.flatten(1)), **CLOSE)


@EVERY_KIND
def test_an_answer_a_step_reads_the_step_and_those_before_it(kind: str) -> None:
    layout = SequenceLayout(3, steps=7, has_lengths=True, per_step=True)
    model = recurrent(kind, layout, summary="mean", dense=[4])
    x, lengths = padded([torch.randn(n, 3) for n in (4, 7, 1)], 0.0)
    outputs = model(x, lengths)
    assert outputs.shape == (3, 7, 3)
    torch.testing.assert_close(outputs, dense(model, hidden_states(model, x, lengths)), **CLOSE)
    (gradient,) = torch.autograd.grad(model(x.requires_grad_(), lengths)[1, 3].sum(), x)
    assert (gradient[1, 4:] == 0).all()
    assert (gradient[[0, 2]] == 0).all()


@EVERY_KIND
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_a_layer_norm_stands_behind_each_layer(kind: str, norm: str) -> None:
    model = recurrent(kind, SequenceLayout(3), num_layers=3, norm=norm, bidirectional=True)
    x = torch.randn(4, 6, 3)
    h = x
    for layer in range(3):
        single = RecurrentLayers(model.rnn.kind, h.shape[2], 5, 1, bidirectional=True, recurrent_init="default")
        own = {name: p for name, p in model.rnn.named_parameters() if f"_l{layer}" in name}
        single.load_state_dict({name.replace(f"_l{layer}", "_l0"): p for name, p in own.items()})
        h, _ = single(h, None, None, [])
        if norm == "layer":
            scale = model.get_submodule("norm" if layer == 2 else f"between.{layer}.0")
            h = (h - h.mean(2, keepdim=True)) / (h.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
            h = h * scale.get_parameter("weight") + scale.get_parameter("bias")
    expected = torch.cat([h[:, -1, :5], h[:, 0, 5:]], 1) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x), expected, **CLOSE)


@EVERY_KIND
@pytest.mark.parametrize("num_layers", [1, 2])
def test_steps_in_pieces_with_the_state_carried_are_the_steps_in_one(kind: str, num_layers: int) -> None:
    layout = SequenceLayout(0, 6, 9, per_step=True)
    model = recurrent(kind, layout, num_layers=num_layers, norm="layer").eval()
    x = torch.randint(6, (3, 9))
    whole, last = model.step(x)
    found, state = [], None
    for piece in (x[:, :4], x[:, 4:5], x[:, 5:7], x[:, 7:]):
        outputs, state = model.step(piece, state=state)
        found.append(outputs)
    torch.testing.assert_close(torch.cat(found, 1), whole, **CLOSE)
    assert state is not None
    assert len(state) == num_layers * (2 if kind == "lstm" else 1)
    for ours, expected in zip(state, last, strict=True):
        torch.testing.assert_close(ours, expected, **CLOSE)


def test_dropout_acts_on_vectors_of_tokens_between_layers_and_in_the_head_while_training_only() -> None:
    model = recurrent("lstm", SequenceLayout(0, 6, 9), num_layers=2, dense=[8], dropout=0.5)
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Dropout)]
    assert names == ["dropout", "between.0.0", "dense.0.dropout"]
    x = torch.randint(6, (1, 9)).expand(64, -1)
    assert model(x).std(0).min() > 0
    assert model.eval()(x).std(0).max() < 1e-6


# what goes in


def test_tokens_are_read_by_their_vectors() -> None:
    model = recurrent("gru", SequenceLayout(0, 6, 9))
    assert model.embedding is not None
    plain = recurrent("gru", SequenceLayout(4))
    plain.rnn.load_state_dict(model.rnn.state_dict())
    plain.output.load_state_dict(model.output.state_dict())
    tokens = torch.randint(6, (3, 9), dtype=torch.int32)
    assert model.embedding.weight.shape == (6, 4)
    torch.testing.assert_close(model(tokens), plain(model.embedding.weight[tokens.long()]), **CLOSE)


def test_the_rows_of_an_image_are_its_steps() -> None:
    model = built(images(2, 5, 4), "model=gru", "model.hidden_size=6")
    assert isinstance(model, Recurrent)
    assert model.rnn.weights(0, "")[0].shape == (18, 8)
    pictures = torch.randn(3, 2, 5, 4)
    rows = torch.stack([torch.cat([pictures[:, 0, k], pictures[:, 1, k]], 1) for k in range(5)], 1)
    out, _ = by_torch(as_torch(model), rows, None, None)
    torch.testing.assert_close(model(pictures), out[:, -1] @ model.output.weight.T + model.output.bias, **CLOSE)


def test_what_is_known_of_the_future_goes_to_the_head_beside_the_summary() -> None:
    inputs = (InputSpec("x", "series", (6, 3)), InputSpec("future", "series", (2, 4)))
    spec = DataSpec("forecast", inputs, TargetSpec(("y",), horizon=2, channels=(0,)))
    model = built(spec, "model=lstm", "data=sine", "model.hidden_size=5")
    assert isinstance(model, Recurrent)
    x, future = torch.randn(3, 6, 3), torch.randn(3, 2, 4)
    out, _ = by_torch(as_torch(model), x, None, None)
    expected = torch.cat([out[:, -1], future.flatten(1)], 1) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x, future), expected, **CLOSE)


# first values


@EVERY_KIND
@BOTH
def test_recurrent_matrices_are_orthogonal_gate_by_gate(kind: str, bidirectional: bool) -> None:
    words = (
        f"model={kind}",
        "model.hidden_size=6",
        "model.num_layers=2",
        f"model.bidirectional={bidirectional}".lower(),
    )
    model = built(series(5, 3), *words)
    assert isinstance(model, Recurrent)
    gates = [gate for layer in range(2) for suffix in model.rnn.suffixes for gate in recurrences(model, layer, suffix)]
    for gate in gates:
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)
    assert len({tuple(gate.flatten().tolist()) for gate in gates}) == len(gates)


def recurrences(model: Recurrent, layer: int, suffix: str) -> tuple[Tensor, ...]:
    """Return the recurrent matrix of each gate, (H, H)."""
    return model.rnn.weights(layer, suffix)[1].detach().chunk(GATES[model.rnn.kind])


@EVERY_KIND
def test_input_matrices_are_xavier_gate_by_gate_whatever_the_other_layers_start_with(kind: str) -> None:
    words = (f"model={kind}", "model.hidden_size=60", "init=constant", "init.value=0.3")
    model = built(series(5, 100), *words)
    assert isinstance(model, Recurrent)
    bound = (6 / (100 + 60)) ** 0.5
    for gate in model.rnn.weights(0, "")[0].detach().chunk(GATES[model.rnn.kind]):
        assert gate.var().item() == pytest.approx(bound**2 / 3, rel=0.1)
        assert 0.98 * bound < gate.abs().max().item() <= bound
    assert (model.output.weight == 0.3).all()


@EVERY_KIND
def test_recurrence_may_start_as_the_identity_or_as_torchs(kind: str) -> None:
    found = {}
    for init in ("identity", "default"):
        model = built(series(5, 3), f"model={kind}", "model.hidden_size=100", f"model.recurrent_init={init}")
        assert isinstance(model, Recurrent)
        found[init] = model
    for gate in recurrences(found["identity"], 0, ""):
        assert torch.equal(gate, torch.eye(100))
    w, u, _, c = (t.detach() for t in found["default"].rnn.weights(0, ""))
    for parameter in (w, u, c):
        assert 0.09 < parameter.abs().max().item() <= 0.1
        assert parameter.var().item() == pytest.approx(0.01 / 3, rel=0.15)


@EVERY_KIND
def test_first_values_are_a_function_of_the_seed(kind: str) -> None:
    words = (f"model={kind}", "model.hidden_size=5", "model.summary=attention")
    first, again = (built(series(5, 3), *words).state_dict() for _ in range(2))
    other = built(series(5, 3), *words, "seed=7").state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(
        torch.equal(first[name], other[name])
        for name in first
        if name.endswith(("hh_l0", "hidden.weight")) and "bias" not in name
    )


# what is counted


@EVERY_KIND
def test_the_work_of_a_layer_is_its_products_times_the_steps(kind: str) -> None:
    spec = DataSpec("classification", (InputSpec("x", "series", (7, 3)),), THREE_CLASSES)
    model = built(spec, f"model={kind}", "model.hidden_size=5", "model.num_layers=2", "model.bidirectional=true")
    found = {layer.name: layer for layer in layers(model, spec)}
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[kind] * 5
    products = 2 * (gates * 3 + gates * 5) + 2 * (gates * 10 + gates * 5)
    assert found["rnn"].flops == 2 * 7 * products
    assert found["rnn"].shape == (7, 10)
    assert found["rnn"].parameters == products + 4 * 2 * gates
    assert found["output"].flops == 2 * 10 * 3


def test_the_work_of_a_head_that_answers_each_step_is_that_of_all_steps() -> None:
    inputs = (InputSpec("x", "series", (7, 3)), InputSpec("lengths", "lengths", ()))
    spec = DataSpec("tagging", inputs, THREE_CLASSES)
    model = built(spec, "model=gru", "model.hidden_size=5", "model.dense=[4]")
    found = {layer.name: layer for layer in layers(model, spec)}
    assert (found["dense.0.linear"].flops, found["dense.0.linear"].shape) == (7 * 2 * 5 * 4, (7, 4))
    assert (found["output"].flops, found["output"].shape) == (7 * 2 * 4 * 3, (7, 3))
