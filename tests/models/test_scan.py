"""One layer of a recurrence: torch.nn is the reference, fed packed sequences where lengths differ."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnkit.models import scan_cells
from nnkit.models.scan import Kind, State, Weights, in_one_piece, scan, scan_padded

pytestmark = pytest.mark.no_cover  # its lines are counted elsewhere, and counting takes half of the time

# B batch, T time, F features, H hidden
B, T, F, H = 6, 9, 5, 7
KINDS: tuple[Kind, ...] = get_args(Kind)
RAGGED = (3, 7, 1, 9, 9, 4)
SHORT = (2, 1, 1, 3, 1, 2)  # none reaches T
EMPTY = (3, 0, 1, 9, 0, 4)


def module_of(kind: Kind, features: int = F) -> nn.RNNBase:
    torch.manual_seed(3)
    if kind == "lstm":
        return nn.LSTM(features, H, batch_first=True, bidirectional=True)
    if kind == "gru":
        return nn.GRU(features, H, batch_first=True, bidirectional=True)
    return nn.RNN(features, H, batch_first=True, bidirectional=True, nonlinearity=kind.removeprefix("rnn_"))


def weights_of(module: nn.RNNBase, is_reversed: bool) -> Weights:
    a, b, c, d = list(module.parameters())[4:] if is_reversed else list(module.parameters())[:4]
    return a, b, c, d


def drawn(kind: Kind, dtype: torch.dtype = torch.float32) -> tuple[Tensor, State]:
    """An input (B, T, F) and a state of two directions (2, B, H), both asking for gradients."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(B, T, F, generator=generator, dtype=dtype, requires_grad=True)
    count = 2 if kind == "lstm" else 1
    return x, tuple(torch.randn(2, B, H, generator=generator, dtype=dtype, requires_grad=True) for _ in range(count))


def by_torch(module: nn.RNNBase, x: Tensor, lengths: tuple[int, ...] | None, state: State, direction: int) -> State:
    """Outputs and last states of one direction of a packed run."""
    packed = pack_padded_sequence(x, torch.tensor(lengths or (T,) * B), batch_first=True, enforce_sorted=False)
    out, end = module(packed, state if len(state) == 2 else state[0])
    padded, _ = pad_packed_sequence(out, batch_first=True, total_length=T)
    end = end if isinstance(end, tuple) else (end,)
    return padded[:, :, direction * H : (direction + 1) * H], *(part[direction] for part in end)


def by_scan(
    kind: Kind, x: Tensor, weights: Weights, lengths: tuple[int, ...] | None, state: State, is_reversed: bool
) -> State:
    """Outputs and last states."""
    ends = None if lengths is None else torch.tensor(lengths)
    out, last = scan(kind, x, weights, lengths=ends, state=state, is_reversed=is_reversed)
    return out, *last


def gradients(results: State, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(7)
    weights = [torch.randn(part.shape, generator=generator).to(part.dtype) for part in results]
    return torch.autograd.grad(results, inputs, weights, retain_graph=True)


def assert_close(actual: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("lengths", [None, RAGGED, SHORT, (T,) * B])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_states_and_gradients_are_those_of_torch(
    kind: Kind, lengths: tuple[int, ...] | None, is_reversed: bool
) -> None:
    module, (x, state), direction = module_of(kind), drawn(kind), int(is_reversed)
    weights = weights_of(module, is_reversed)
    expected = by_torch(module, x, lengths, state, direction)
    actual = by_scan(kind, x, weights, lengths, tuple(part[direction] for part in state), is_reversed)
    assert_close(actual, expected)
    inputs = [x, *weights, *state]
    assert_close(gradients(actual, inputs), gradients(expected, inputs))


@pytest.mark.parametrize("lengths", [None, EMPTY])
@pytest.mark.parametrize("kind", KINDS)
def test_no_state_means_zeros(kind: Kind, lengths: tuple[int, ...] | None) -> None:
    weights, (x, state) = weights_of(module_of(kind), False), drawn(kind)
    zeros = tuple(torch.zeros(B, H) for _ in state)
    ends = None if lengths is None else torch.tensor(lengths)
    out, last = scan(kind, x, weights, lengths=ends)
    assert_close((out, *last), by_scan(kind, x, weights, lengths, zeros, False))


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_is_torchs(kind: Kind) -> None:
    module, (x, state) = module_of(kind), drawn(kind)
    weights, first, x = weights_of(module, False), tuple(part[0] for part in state), x[:, :1]
    out, end = module(x, state if len(state) == 2 else state[0])
    expected = (out[..., :H], *(part[0] for part in (end if isinstance(end, tuple) else (end,))))
    actual = by_scan(kind, x, weights, None, first, False)
    assert_close(actual, expected)
    assert_close(gradients(actual, [*weights, *state]), gradients(expected, [*weights, *state]))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(0, T), min_size=1, max_size=5),
    is_reversed=st.booleans(),
    data=st.data(),
)
def test_a_sequence_does_not_notice_its_batch(
    kind: Kind, lengths: list[int], is_reversed: bool, data: st.DataObject
) -> None:
    weights = weights_of(module_of(kind), is_reversed)
    generator = torch.Generator().manual_seed(len(lengths))
    order = data.draw(st.permutations(range(len(lengths))))
    x = torch.randn(len(lengths), T, F, generator=generator, requires_grad=True)
    first = tuple(torch.randn(len(lengths), H, generator=generator) for _ in range(2 if kind == "lstm" else 1))
    ends = torch.tensor(lengths)
    out, last = scan(kind, x, weights, lengths=ends, state=first, is_reversed=is_reversed)
    moved_out, moved = scan(
        kind,
        x[order],
        weights,
        lengths=ends[order],
        state=tuple(part[order] for part in first),
        is_reversed=is_reversed,
    )
    assert_close((moved_out, *moved), (out[order], *(part[order] for part in last)))
    d_together = torch.autograd.grad((out.square().sum() + sum(part.sum() for part in last)), [x, *weights])
    alone = torch.zeros(())
    for row, length in enumerate(lengths):
        own = tuple(part[row : row + 1] for part in first)
        if length == 0:
            assert_close(tuple(part[row : row + 1] for part in last), own)
            continue
        short, end = scan(kind, x[row : row + 1, :length], weights, state=own, is_reversed=is_reversed)
        assert_close((short[0], *end), (out[row, :length], *(part[row : row + 1] for part in last)))
        alone = alone + short.square().sum() + sum(part.sum() for part in end)
    if any(lengths):
        assert_close(d_together, torch.autograd.grad(alone, [x, *weights]))


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_never_matters(kind: Kind, is_reversed: bool) -> None:
    weights, (x, state) = weights_of(module_of(kind), is_reversed), drawn(kind)
    first = tuple(part[0] for part in state)
    behind = (torch.arange(T) >= torch.tensor(EMPTY).unsqueeze(1)).unsqueeze(2)
    garbage = torch.where(behind, torch.full_like(x, torch.nan), x)
    expected = by_scan(kind, x, weights, EMPTY, first, is_reversed)
    actual = by_scan(kind, garbage, weights, EMPTY, first, is_reversed)
    inputs = [x, *weights, *state]
    expected_gradients, actual_gradients = gradients(expected, inputs), gradients(actual, inputs)
    assert all(torch.equal(a, b) for a, b in zip(actual, expected, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(actual_gradients, expected_gradients, strict=True))
    assert not actual[0].masked_select(behind).any()
    assert not expected_gradients[0].masked_select(behind).any()


@pytest.mark.parametrize("kind", KINDS)
def test_empty_sequences_keep_their_state(kind: Kind) -> None:
    weights, (x, state) = weights_of(module_of(kind), False), drawn(kind)
    first = tuple(part[0] for part in state)
    out, *last = by_scan(kind, x, weights, (0,) * B, first, False)
    assert not out.any()
    assert_close(tuple(last), first)
    assert all(torch.equal(d, torch.ones_like(d)) for d in torch.autograd.grad([part.sum() for part in last], first))


@pytest.mark.parametrize("lengths", [None, RAGGED])
@pytest.mark.parametrize("kind", KINDS)
def test_a_carried_state_makes_one_long_run(kind: Kind, lengths: tuple[int, ...] | None) -> None:
    weights, (x, state) = weights_of(module_of(kind), False), drawn(kind)
    first, cut = tuple(part[0] for part in state), 4
    whole = by_scan(kind, x, weights, lengths, first, False)
    ends = torch.tensor(lengths or (T,) * B)
    left, middle = scan(kind, x[:, :cut], weights, lengths=ends.clamp(max=cut), state=first)
    right, last = scan(kind, x[:, cut:], weights, lengths=(ends - cut).clamp(min=0), state=middle)
    parts = (torch.cat([left, right], 1), *last)
    assert_close(parts, whole)
    inputs = [x, *weights, *state]
    assert_close(gradients(parts, inputs), gradients(whole, inputs))


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("lengths", [None, EMPTY])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "lstm"])
def test_gradients_agree_with_differences(
    kind: Kind, lengths: tuple[int, ...] | None, is_reversed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_cells, "CHUNK_NUMBERS", 10 * 3 * H)  # several runs of steps
    weights = tuple(part.detach().double().requires_grad_() for part in weights_of(module_of(kind), is_reversed))
    x, (state,) = drawn(kind, torch.float64)

    def run(x: Tensor, state: Tensor, *weights: Tensor) -> State:
        a, b, c, d = weights
        return by_scan(kind, x, (a, b, c, d), lengths, (state,), is_reversed)

    inputs = (x[:, :4].detach().requires_grad_(), state[0].detach().requires_grad_(), *weights)
    if lengths is not None:
        inputs = (x, *inputs[1:])
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("used", ["outputs", "state"])
@pytest.mark.parametrize("lengths", [None, EMPTY])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_may_use_only_one_of_the_results(kind: Kind, lengths: tuple[int, ...] | None, used: str) -> None:
    weights, (x, state) = weights_of(module_of(kind), False), drawn(kind)
    out, *last = by_scan(kind, x, weights, lengths, tuple(part[0] for part in state), False)
    one = out.square().sum() if used == "outputs" else last[-1].square().sum()
    zero = 0 * (out.sum() + sum(part.sum() for part in last))
    inputs = [x, *weights, *state]
    assert_close(
        torch.autograd.grad(one, inputs, retain_graph=True, allow_unused=True),
        torch.autograd.grad(one + zero, inputs, allow_unused=True),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_may_be_changed_in_place_and_weights_be_pieces_of_one_parameter(kind: Kind) -> None:
    weights, (x, _) = weights_of(module_of(kind), False), drawn(kind)
    flat = torch.cat([part.detach().flatten() for part in weights]).requires_grad_()
    w, u, b, c = (
        piece.view_as(part)
        for piece, part in zip(flat.split_with_sizes([p.numel() for p in weights]), weights, strict=True)
    )
    out, _ = scan(kind, x, (w, u, b, c))
    (d_flat,) = torch.autograd.grad(out.sum(), flat)
    d_weights = torch.autograd.grad(scan(kind, x, weights)[0].sum(), weights)
    assert_close((d_flat,), (torch.cat([part.flatten() for part in d_weights]),))
    with torch.no_grad():
        scan(kind, x, weights)[0].add_(1)


@pytest.mark.parametrize("lengths", [None, EMPTY])
@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_close_and_lowers_the_lstm_alone(kind: Kind, lengths: tuple[int, ...] | None) -> None:
    weights, (x, state) = weights_of(module_of(kind), True), drawn(kind)
    first = tuple(part[0] for part in state)
    expected = by_scan(kind, x, weights, lengths, first, True)
    with torch.autocast("cpu", torch.bfloat16):
        actual = by_scan(kind, x.bfloat16(), weights, lengths, first, True)
    assert actual[0].dtype == (torch.bfloat16 if kind == "lstm" else torch.float32)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a.float(), b, rtol=0, atol=0.05)
    d_actual, d_expected = gradients(actual, list(weights)), gradients(expected, list(weights))
    for a, b in zip(d_actual, d_expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.03 * float(b.abs().max()))


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("lengths", [None, EMPTY])
@pytest.mark.parametrize("kind", KINDS)
def test_the_path_for_other_devices_agrees(kind: Kind, lengths: tuple[int, ...] | None, is_reversed: bool) -> None:
    weights, (x, state) = weights_of(module_of(kind), is_reversed), drawn(kind)
    first = tuple(part[0] for part in state)
    ends = None if lengths is None else torch.tensor(lengths)
    out, last = scan_padded(kind, x, weights, ends, first, is_reversed)
    expected = by_scan(kind, x, weights, lengths, first, is_reversed)
    assert_close((out, *last), expected)
    inputs = [x, *weights, *state]
    assert_close(gradients((out, *last), inputs), gradients(expected, inputs))


def test_weights_in_one_piece_follow_each_other_and_pass_gradients_on() -> None:
    weights = weights_of(module_of("gru"), False)
    pieces = in_one_piece(weights)
    sizes = [part.numel() for part in weights]
    assert [piece.storage_offset() for piece in pieces] == [sum(sizes[:i]) for i in range(len(sizes))]
    assert len({piece.untyped_storage().data_ptr() for piece in pieces}) == 1
    assert_close(pieces, weights)
    assert_close(torch.autograd.grad([piece.sum() for piece in pieces], weights), tuple(map(torch.ones_like, weights)))


class Both(nn.Module):
    """Both directions of one layer."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        self.kind, self.inner = kind, module_of(kind)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        ends = [
            scan(self.kind, x, weights_of(self.inner, flag), lengths=lengths, is_reversed=flag)
            for flag in (False, True)
        ]
        return torch.cat([out for out, _ in ends], 2), torch.cat([last[-1] for _, last in ends], 1)


@pytest.mark.parametrize(("kind", "is_ragged"), [("lstm", True), ("gru", False)])
def test_it_can_be_exported_for_any_batch(kind: Kind, is_ragged: bool) -> None:
    model, (x, _) = Both(kind).eval(), drawn(kind)
    x, ends, batch = x.detach(), torch.tensor(EMPTY), torch.export.Dim("batch", min=1, max=4096)
    inputs = (x[:3], ends[:3]) if is_ragged else (x[:3],)
    shapes = ({0: batch}, {0: batch}) if is_ragged else ({0: batch},)
    program = torch.export.export(model, inputs, dynamic_shapes=shapes, strict=False).module()
    together = (x, ends) if is_ragged else (x,)
    with torch.no_grad():
        assert_close(program(*together), model(*together))
