"""States that are carried from segment to segment: what one long run sees, reset at boundaries, kept over a resume."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the customary name
from torch import Tensor, nn

from nnkit import assemble
from nnkit.assemble import measured, prepare
from nnkit.data.batches import Batches
from nnkit.data.source import Source
from nnkit.models.recurrent import Recurrent
from nnkit.run import resume, train
from nnkit.runs import new_folder
from nnkit.train.loop import evaluate, fit, noisy, take_step
from nnkit.train.run import Run
from nnkit.train.stopping import stop_when
from nnkit.train.through_time import passes
from tests.models.sequence_nets import as_torch, randomised
from tests.test_run_resume import assert_same_run, stopped
from tests.trained import Watcher, config_of, events, last_state, run_of, state_of

# Not counted: the lines are counted elsewhere, and counting takes half of the time.
pytestmark = [pytest.mark.usefixtures("on_one_thread"), pytest.mark.no_cover]

KINDS = pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
SEGMENT = 5
LANGUAGE = (
    "data=text",
    "data.path=books",
    "data.task=language",
    "data.tokens=char",
    f"data.segment={SEGMENT}",
    "model=lstm",
    "model.hidden_size=6",
    "model.embedding_size=4",
    "batching.batch_size=4",
)
STATEFUL = (*LANGUAGE, "batching.stateful=true", "batching.shuffle=false")


@pytest.fixture(autouse=True)
def two_books() -> None:
    """Write two texts, so that there is a boundary in the middle of the training part."""
    Path("books").mkdir()
    rng = np.random.default_rng(0)
    for name, length in (("a.txt", 97), ("b.txt", 171)):
        Path("books", name).write_text("".join(rng.choice(list("abcd "), length)))


def random_run(*words: str) -> Run:
    run = run_of(*words)
    with torch.no_grad():
        randomised(run.model)
    return run


def chains(source: Source, rows: Any, places: list[list[int]]) -> list[list[int]]:
    """Return the stretches of text that each place of the batches goes through, as numbers of segments.

    They are told apart by where the segments stand in the text alone.
    """
    tokens = source.inputs[0][rows]
    found = []
    for place in places:
        chain: list[int] = []
        for row in place:
            follows = chain and tokens.part_of[row] == tokens.part_of[chain[-1]]
            if not follows or tokens.starts[row] != tokens.starts[chain[-1]] + SEGMENT:
                chain = []
                found.append(chain)
            chain.append(row)
    return found


def places_of(batches: Batches) -> list[list[int]]:
    """Return which segments each place of the batches goes through."""
    found: list[list[int]] = []
    for batch in batches.epoch(0):
        for place, row in enumerate(batch.index.tolist()):
            found += [[]] if place == len(found) else []
            found[place].append(row)
    return found


def in_one_run(run: Run, batches: Batches, chain: list[int]) -> Tensor:
    """Return the logits (T, V) of a stretch of text, by torch's own module from its first token to its last."""
    model = run.model
    assert isinstance(model, Recurrent)
    assert model.embedding is not None
    inputs = batches.samples.inputs[0]
    assert not isinstance(inputs, Tensor)
    tokens = torch.cat([inputs.index_select(0, torch.tensor([row])).flat() for row in chain])
    with torch.no_grad():
        h, _ = as_torch(model)(model.embedding(tokens)[None])
        return model.output(h[0])  # type: ignore[no-any-return]


@KINDS
@pytest.mark.parametrize("words", [(), ("trainer.tbptt_steps=2",), ("model.num_layers=2",)], ids=str)
def test_training_sees_what_one_long_run_sees(kind: str, words: tuple[str, ...]) -> None:
    run = random_run(*STATEFUL, f"model={kind}", "model.hidden_size=6", "model.embedding_size=4", *words)
    prepared = prepare(config_of(*STATEFUL))
    state = state_of(run)
    seen: dict[int, Tensor] = {}
    for batch in run.train.epoch(0):
        logits = torch.cat([outputs.detach() for _, outputs in passes(run, batch, state)], 1)
        seen |= dict(zip(batch.index.tolist(), logits, strict=True))
    found = chains(prepared.source, prepared.splits.train, places_of(run.train))
    assert sum(map(len, found)) == len(seen) == len(prepared.splits.train)
    assert max(map(len, found)) > 2
    assert len(found) == 4 + 1  # at the boundary of the books a text starts anew
    for chain in found:
        expected = in_one_run(run, run.train, chain)
        torch.testing.assert_close(torch.cat([seen[row] for row in chain]), expected, atol=1e-5, rtol=1e-4)


@KINDS
def test_without_a_carried_state_each_segment_starts_anew(kind: str) -> None:
    run = random_run(*LANGUAGE, f"model={kind}", "model.hidden_size=6", "model.embedding_size=4")
    state = state_of(run)
    for batch in run.train.epoch(0):
        ((_, logits),) = passes(run, batch, state)
        for row, found in zip(batch.index.tolist(), logits, strict=True):
            torch.testing.assert_close(found.detach(), in_one_run(run, run.train, [row]), atol=1e-5, rtol=1e-4)
        assert state.hidden is None
        assert batch.continues is None


@pytest.mark.parametrize("part", ["val", "test", "train"])
@pytest.mark.parametrize("least", [2, 3, 50])
def test_evaluation_carries_states_too(part: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "SEGMENTS_A_PLACE", least)
    run, config = random_run(*STATEFUL), config_of(*STATEFUL)
    prepared = prepare(config)
    batches = measured(run.train.samples, config) if part == "train" else getattr(run, part)
    rows = getattr(prepared.splits, part)
    target = batches.samples.target
    assert not isinstance(target, Tensor)
    found = chains(prepared.source, rows, places_of(batches))
    num_places = min(4, max(1, len(rows) // least))
    is_one_left = num_places > 1 and len(rows) % num_places == 1  # it joins the last batch, at no place of its own
    assert len(found) == num_places + is_one_left + (part == "train")  # the training has a boundary of books
    assert min(len(place) for place in places_of(batches)[:num_places]) == len(rows) // num_places
    nats = []
    for chain in found:
        told = torch.cat([target.index_select(0, torch.tensor([row])).flat() for row in chain])
        nats.append(F.cross_entropy(in_one_run(run, batches, chain), told, reduction="none"))
    mean = float(torch.cat(nats).double().mean())
    assert len(torch.cat(nats)) == SEGMENT * len(rows)
    metrics = evaluate(run, batches)
    assert metrics["loss"] == pytest.approx(mean, rel=1e-5)
    assert metrics["perplexity"] == pytest.approx(math.exp(mean), rel=1e-5)


def test_gradients_end_where_a_segment_begins() -> None:
    run = random_run(*STATEFUL)
    batches, state = list(run.train.epoch(0))[1:3], state_of(run)
    model = run.model
    assert isinstance(model, Recurrent)
    assert model.embedding is not None
    layers, embedding, head = as_torch(model), nn.Embedding(*model.embedding.weight.shape), nn.Linear(6, 6)
    embedding.load_state_dict(model.embedding.state_dict())
    head.load_state_dict(model.output.state_dict())
    _, carried = layers(embedding(batches[0].inputs[0]))
    list(passes(run, batches[0], state))
    assert batches[1].continues is not None
    assert bool(batches[1].continues.all())
    h, _ = layers(embedding(batches[1].inputs[0]), tuple(part.detach() for part in carried))
    expected = torch.autograd.grad(
        F.cross_entropy(head(h).flatten(0, 1), batches[1].target.flatten()), layers.get_parameter("weight_hh_l0")
    )
    run.parameters.grad.zero_()
    ((_, logits),) = passes(run, batches[1], state)
    loss = F.cross_entropy(logits.flatten(0, 1), batches[1].target.flatten())
    found = torch.autograd.grad(loss, model.rnn.get_parameter("weight_hh_l0"))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-4)


def test_an_epoch_starts_from_nothing() -> None:
    run = random_run(*STATEFUL, "trainer.max_epochs=1")
    state = state_of(run)
    fit(run, state, [Watcher()], stop_when(run.trainer))
    assert (state.epoch, state.hidden) == (1, None)
    first = next(run.train.epoch(1))
    assert first.continues is not None
    assert not bool(first.continues.any())
    state.hidden = (torch.full((4, 6), 9.0), torch.full((4, 6), 9.0))  # even if something were left
    ((_, with_rest),) = passes(run, first, state)
    ((_, clean),) = passes(run, first, state_of(run))
    assert torch.equal(with_rest, clean)


def test_a_validation_in_mid_epoch_leaves_the_carried_state_alone() -> None:
    words = (*STATEFUL, "trainer.max_epochs=1", "optimizer.lr=0.1")
    often = random_run(*words, "trainer.validate_every=null", "trainer.validate_every_steps=1")
    seldom = random_run(*words)
    for run in (often, seldom):
        fit(run, state_of(run), [Watcher()], stop_when(run.trainer))
    assert torch.equal(often.parameters.values, seldom.parameters.values)


def test_a_new_text_is_measured_in_streams_that_nearly_always_carry_the_state() -> None:
    config = config_of(*STATEFUL, "batching.batch_size=4")
    run = random_run(*STATEFUL)
    for num, size in ((7, 1), (99, 1), (120, 2), (1000, 4)):
        inputs, target = run.train.samples.inputs[0], run.train.samples.target
        index, follows = torch.arange(num) % len(inputs), torch.arange(num) > 0
        many = replace(
            run.train.samples,
            inputs=(inputs.index_select(0, index),),
            target=target.index_select(0, index),
            weight=torch.ones(num),
            follows=follows,
        )
        marks = [batch.continues for batch in measured(many, config).epoch(0)]
        carried = torch.cat([mark for mark in marks if mark is not None])
        assert len(carried) == num
        assert int((~carried).sum()) == size


# stopped and gone on


CHANCE = ("regularization=dropout", "model.num_layers=2", "trainer.ema_decay=0.9", "optimizer.lr=0.02")


@pytest.mark.parametrize("mid_epoch", [None, 2, 5])
@pytest.mark.parametrize(
    "words",
    [
        (*STATEFUL, *CHANCE),
        (*STATEFUL, *CHANCE, "trainer.tbptt_steps=2"),
        (*STATEFUL, "model=gru", "model.hidden_size=6", "trainer.gradient_norms=true", "trainer.precision=bf16"),
        (*LANGUAGE, *CHANCE, "trainer.tbptt_steps=2"),
    ],
    ids=["stateful", "stateful and truncated", "norms of gradients", "truncated"],
)
def test_a_language_model_that_is_stopped_goes_on_as_if_it_had_not_been(
    words: tuple[str, ...], mid_epoch: int | None
) -> None:
    config = config_of(*words)
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=mid_epoch)
    assert_same_run(folder, resume(config, folder), whole)


POOLED = ("model=cnn", "model.norm=batch", "model.global_pooling=max")


@pytest.mark.parametrize(
    "words",
    [
        ("data=parity", "data.samples=60", "data.min_length=3", "model=lstm", "model.bidirectional=true"),
        ("data=adding", "data.samples=60", "data.min_length=3", "model=gru", "trainer.tbptt_steps=4"),
        ("data=adding", "data.samples=60", "data.min_length=9", *POOLED),
        ("data=sine", "data.steps=150", "data.window=8", "data.season=1", "model=rnn", "data.strategy=recursive"),
    ],
    ids=["tags", "sums", "cnn", "recursive"],
)
def test_every_task_of_sequences_goes_on_in_mid_epoch(words: tuple[str, ...]) -> None:
    small = ("batching.batch_size=8", "trainer.max_epochs=2", "regularization.dropout=0.2")
    noise = "regularization.input_noise=0.1"
    config = config_of(*words, *small, noise, "trainer.gradient_norms=true")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=3)
    assert_same_run(folder, resume(config, folder), whole)


def test_tokens_drop_out_of_training_alone() -> None:
    words = (*STATEFUL, "regularization.token_dropout=0.25", "batching.batch_size=4")
    run, plain = run_of(*words), run_of(*STATEFUL, "batching.batch_size=4")
    kept = dropped = 0
    for batch, given in zip(run.train.epoch(0), plain.train.epoch(0), strict=True):
        assert torch.equal(batch.target, given.target)
        assert torch.equal(batch.inputs[0], given.inputs[0])
        (fewer, *_) = noisy(run, batch).inputs
        assert bool(((fewer == given.inputs[0]) | (fewer == 0)).all())
        dropped += int(((fewer == 0) & (given.inputs[0] != 0)).sum())
        kept += int((fewer == given.inputs[0]).sum())
    assert dropped / (kept + dropped) == pytest.approx(0.25, abs=0.08)
    assert evaluate(run, run.val) == evaluate(run, run.val)


def test_a_run_with_dropped_tokens_goes_on_in_mid_epoch() -> None:
    config = config_of(*STATEFUL, "regularization.token_dropout=0.2")
    whole = train(config, new_folder(config))
    folder = stopped(config, mid_epoch=3)
    assert_same_run(folder, resume(config, folder), whole)


def test_the_checkpoint_of_mid_epoch_holds_the_states_and_that_of_its_end_none() -> None:
    config = config_of(*STATEFUL)
    run = run_of(*STATEFUL)
    state = state_of(run)
    for batch, _ in zip(run.train.epoch(0), range(3), strict=False):
        take_step(run, batch, state)
    folder = stopped(config, mid_epoch=3)
    held = last_state(folder)["train"]["hidden"]
    assert state.hidden is not None
    assert all(torch.equal(a, b) for a, b in zip(held, state.hidden, strict=True))
    resume(config, folder)
    assert last_state(folder)["train"]["hidden"] is None


def test_each_event_has_the_metrics_of_a_language() -> None:
    config = config_of(*STATEFUL, "trainer.max_epochs=1")
    result = train(config, new_folder(config))
    (event,) = events(result.folder)
    for name in ("train", "val"):
        assert math.exp(event[f"{name}/loss"]) == pytest.approx(event[f"{name}/perplexity"], rel=1e-5)
        assert event[f"{name}/loss"] / math.log(2) == pytest.approx(event[f"{name}/bits_per_token"], rel=1e-5)
