"""Truncated backpropagation against the same computation by hand with torch's own modules, and what it keeps."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn

from nnkit.data.batches import Batch
from nnkit.models.recurrent import Recurrent
from nnkit.train import loop
from nnkit.train.loop import backward, take_step, train_values
from nnkit.train.run import Run
from nnkit.train.through_time import carried, passes, pieces
from tests.models.sequence_nets import as_torch, randomised
from tests.trained import run_of, state_of

# Not counted: the lines are counted elsewhere, and counting takes half of the time.
pytestmark = [pytest.mark.usefixtures("on_one_thread"), pytest.mark.no_cover]

KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
TAGS = ("data=parity", "data.samples=30", "data.length=11")
SUMS = ("data=adding", "data.samples=30", "data.length=11")
VARYING = "data.min_length=2"
DATA = pytest.mark.parametrize(
    "data", [TAGS, (*TAGS, VARYING), SUMS, (*SUMS, VARYING)], ids=["tags", "varying tags", "sums", "varying sums"]
)
CLOSE: dict[str, Any] = {"atol": 1e-6, "rtol": 1e-5}


def recurrent_run(kind: str, *words: str) -> Run:
    """Return a run of two layers whose weights are all random."""
    run = run_of(f"model={kind}", "model.hidden_size=6", "model.num_layers=2", "batching.batch_size=8", *words)
    with torch.no_grad():
        randomised(run.model)
    return run


def gradients(run: Run, batch: Batch) -> dict[str, Tensor]:
    """Return the gradients that a step takes of a batch."""
    run.parameters.grad.zero_()
    backward(run, batch, run.objective.weight(batch.target, batch.weight), state_of(run))
    return run.parameters.by_name(run.parameters.grad)


def by_hand(run: Run, batch: Batch, k: int) -> dict[str, Tensor]:
    """Return the gradients of truncated backpropagation: each sequence alone, in a loop, with torch's own modules."""
    model = run.model
    assert isinstance(model, Recurrent)
    layers = as_torch(model)
    head = nn.Linear(model.output.in_features, model.output.out_features)
    head.load_state_dict(model.output.state_dict())
    lengths = batch.inputs[1].tolist() if len(batch.inputs) > 1 else [batch.inputs[0].shape[1]] * len(batch)
    per_step = batch.weight.dim() == 2
    total = torch.zeros(())
    for row, n in enumerate(lengths):
        x, state = batch.inputs[0][row, :n], None
        firsts = range(0, n, k) if per_step else [max(0, n - k)]
        if not per_step and n > k:
            with torch.no_grad():
                _, state = layers(x[None, : n - k])
        for first in firsts:
            state = None if state is None else detached(state)
            h, state = layers(x[None, first : first + k], state)
            if per_step:
                target = batch.target[row, first : min(first + k, n)]
                total = total + F.cross_entropy(head(h[0]), target, reduction="sum")
            else:
                total = total + (head(h[:, -1]) - batch.target[row]).square().mean()
    parameters = {f"rnn.{name}": p for name, p in layers.named_parameters()}
    parameters |= {f"output.{name}": p for name, p in head.named_parameters()}
    count = sum(lengths) if per_step else len(lengths)
    return dict(zip(parameters, torch.autograd.grad(total / count, list(parameters.values())), strict=True))


def detached(state: Any) -> Any:
    return tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, **CLOSE)


@KINDS
@DATA
@pytest.mark.parametrize("k", [11, 500])
def test_truncation_that_covers_the_sequence_changes_nothing(kind: str, data: tuple[str, ...], k: int) -> None:
    whole, cut = recurrent_run(kind, *data), recurrent_run(kind, *data, f"trainer.tbptt_steps={k}")
    batch = next(whole.train.epoch(0))
    assert_same(gradients(cut, batch), gradients(whole, batch))
    assert_same(gradients(whole, batch), by_hand(whole, batch, 500))


@KINDS
@DATA
@pytest.mark.parametrize("k", [1, 4, 10])
def test_gradients_go_back_so_many_steps_and_no_further(kind: str, data: tuple[str, ...], k: int) -> None:
    run = recurrent_run(kind, *data, f"trainer.tbptt_steps={k}")
    batch = next(run.train.epoch(0))
    assert_same(gradients(run, batch), by_hand(run, batch, k))


@KINDS
def test_truncation_to_a_step_loses_what_goes_back_further(kind: str) -> None:
    run = recurrent_run(kind, *TAGS)
    batch = next(run.train.epoch(0))
    short, whole = (by_hand(run, batch, k)["rnn.weight_hh_l0"] for k in (1, 11))
    assert (short - whole).norm() > 0.05 * whole.norm()


@DATA
@pytest.mark.parametrize("k", [3, 5])
def test_the_loss_of_a_step_is_that_of_one_pass(data: tuple[str, ...], k: int) -> None:
    whole, cut = recurrent_run("gru", *data), recurrent_run("gru", *data, f"trainer.tbptt_steps={k}")
    batch = next(whole.train.epoch(0))
    losses = []
    for run in (whole, cut):
        state = state_of(run)
        take_step(run, batch, state)
        losses.append((state.loss_total / state.loss_weight, state.loss_weight))
        assert state.hidden is None
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_accumulated_batches_are_truncated_each() -> None:
    words = (*TAGS, VARYING, "trainer.tbptt_steps=4")
    large = recurrent_run("lstm", *words, "batching.accumulate=1")
    small = recurrent_run("lstm", *words, "batching.batch_size=3", "batching.accumulate=3")
    batch = next(small.train.epoch(0))
    assert (len(batch), small.micro_batch) == (9, 3)
    assert_same(gradients(small, batch), gradients(large, batch))


def test_metrics_of_training_see_every_step_once() -> None:
    run = recurrent_run("gru", *TAGS, VARYING, "trainer.tbptt_steps=4")
    state = state_of(run)
    batch = next(run.train.epoch(0))
    take_step(run, batch, state)
    rows = sum(int((weight > 0).sum()) for _, _, weight in state.pending)
    assert rows == int(batch.inputs[1].sum())


@pytest.mark.parametrize("k", [1, 3, 4, 9])
def test_pieces_are_the_batch_along_time(k: int) -> None:
    x, y = torch.arange(18.0).view(2, 9, 1), torch.arange(18).view(2, 9)
    weight = (torch.arange(9) < torch.tensor([[9], [4]])).float()
    batch = Batch((x, torch.tensor([9, 4])), y, weight, torch.arange(2))
    found = [piece for piece, _ in pieces(batch, k)]
    assert torch.equal(torch.cat([piece.inputs[0] for piece in found], 1), x)
    assert torch.equal(torch.cat([piece.target for piece in found], 1), y)
    assert torch.equal(torch.cat([piece.weight for piece in found], 1), weight)
    assert torch.stack([piece.inputs[1] for piece in found]).sum(0).tolist() == [9, 4]
    assert max(piece.target.shape[1] for piece in found) == k
    (whole,) = (piece for piece, _ in pieces(batch, None))
    assert torch.equal(whole.target, y)


@pytest.mark.parametrize(
    ("held", "continues", "expected"),
    [
        ([1.0, 2, 3], [True, True, True], [1, 2, 3]),
        ([1.0, 2, 3], [True, False, True], [1, 0, 3]),
        ([1.0, 2, 3], [False, True], [0, 2]),
        ([1.0, 2], [True, True, False], [1, 2, 0]),
    ],
    ids=["all", "one starts anew", "one less", "one more"],
)
def test_a_state_is_carried_where_the_sample_continues(
    held: list[float], continues: list[bool], expected: list[float]
) -> None:
    size = len(continues)
    batch = Batch(
        (torch.zeros(size, 4),), torch.zeros(size), torch.ones(size), torch.arange(size), torch.tensor(continues)
    )
    hidden = (torch.tensor(held)[:, None].expand(-1, 2), 10 * torch.tensor(held)[:, None])
    found = carried(hidden, batch)
    assert found is not None
    assert found[0].tolist() == [[value] * 2 for value in expected]
    assert found[1].tolist() == [[10 * value] for value in expected]
    assert carried(None, batch) is None


def test_nothing_is_carried_to_samples_on_their_own() -> None:
    batch = Batch((torch.zeros(2, 4),), torch.zeros(2), torch.ones(2), torch.arange(2))
    assert carried((torch.ones(2, 3),), batch) is None


# what is kept for the way back


class _Held:
    """What a graph holds on to, for as long as it does."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def peak_bytes(step: Callable[[], object]) -> int:
    """Return the most bytes that graphs held at one time."""
    now = peak = 0

    def freed(size: int) -> None:
        nonlocal now
        now -= size

    def pack(tensor: Tensor) -> _Held:
        nonlocal now, peak
        held, size = _Held(tensor), tensor.numel() * tensor.element_size()
        now += size
        peak = max(peak, now)
        weakref.finalize(held, freed, size)
        return held

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda held: held.tensor):
        step()
    return peak


@KINDS
@pytest.mark.parametrize("data", ["parity", "adding"])
def test_memory_does_not_grow_with_the_sequence_where_gradients_are_truncated(kind: str, data: str) -> None:
    peaks = {}
    for k in ("20", "null"):
        for steps in (200, 2000):
            words = (f"data={data}", "data.samples=8", f"data.length={steps}", f"trainer.tbptt_steps={k}")
            run = recurrent_run(kind, *words, "data.val_fraction=0.2", "data.test_fraction=0.2")
            batch = next(run.train.epoch(0))
            peaks[k, steps] = peak_bytes(lambda run=run, batch=batch: gradients(run, batch))  # type: ignore[misc]
    assert peaks["20", 2000] <= 1.05 * peaks["20", 200]
    assert peaks["null", 2000] > 8 * peaks["null", 200]
    assert peaks["null", 200] > 4 * peaks["20", 200]


def test_the_graph_of_a_piece_is_gone_before_the_next_one_is_made() -> None:
    run = recurrent_run("gru", *TAGS, "trainer.tbptt_steps=4")
    batch = next(run.train.epoch(0))
    seen = []
    for _, outputs in passes(run, batch, state_of(run)):
        outputs.sum().backward()  # type: ignore[no-untyped-call]
        seen.append(outputs.shape[1])
    assert seen == [4, 4, 3]


@pytest.mark.parametrize("k", ["null", "4"])
def test_large_outputs_do_not_wait_to_be_measured_and_are_measured_all_the_same(
    k: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for large in (10, 10**9):
        monkeypatch.setattr(loop, "FLUSH_LARGE", large)
        run = recurrent_run("gru", *TAGS, VARYING, f"trainer.tbptt_steps={k}")
        state = state_of(run)
        take_step(run, next(run.train.epoch(0)), state)
        assert (not state.pending) == (large == 10)
        found.append(train_values(run, state))
    assert found[0] == pytest.approx(found[1])


def test_pieces_that_wait_to_be_measured_are_not_more_than_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "FLUSH_LARGE", 200)
    run = recurrent_run("gru", "data=parity", "data.samples=30", "data.length=300", "trainer.tbptt_steps=1")
    state, most = state_of(run), 0
    measure = run.metrics.add

    def measured(sums: dict[str, Tensor], outputs: Tensor, target: Tensor, weight: Tensor) -> None:
        nonlocal most
        most = max(most, outputs.numel())
        measure(sums, outputs, target, weight)

    monkeypatch.setattr(type(run.metrics), "add", lambda _, *given: measured(*given))
    take_step(run, next(run.train.epoch(0)), state)
    assert 200 < most <= 200 + 16  # one more piece of 8 rows and 2 classes
    waiting = run.to_plain(state)["train"]["pending"]
    assert sum(outputs.numel() for outputs, _, _ in waiting) == state.num_pending <= 200
