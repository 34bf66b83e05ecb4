"""What becomes of a batch while training: the same for the same step, however it is cut."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from nnkit.data.batches import Batch
from nnkit.errors import ConfigError
from nnkit.train.inputs import changed, halves, weight_of
from nnkit.train.loop import backward, evaluate, learn
from nnkit.train.run import Run
from tests.trained import run_of, state_of

DIGITS = ("data=digits", "data.limit=200", "model.hidden=[8]", "batching.batch_size=24")
MIXED = (*DIGITS, "augmentation=standard", "augmentation.mixup=0.4", "augmentation.cutmix=1")


def first(run: Run) -> Batch:
    return next(iter(run.train.epoch(0)))


def gradient(run: Run, batch: Batch) -> torch.Tensor:
    run.parameters.grad.zero_()
    backward(run, batch, weight_of(run.objective, batch), state_of(run))
    return run.parameters.grad.clone()


def test_without_augmentation_a_batch_stays_the_very_same() -> None:
    run = run_of(*DIGITS)
    batch = first(run)
    assert changed(run, batch, 3) is batch
    assert weight_of(run.objective, batch) is run.objective.weight(batch.target, batch.weight)


def test_a_step_has_its_own_numbers_and_a_sample_too() -> None:
    run = run_of(*MIXED)
    batch = first(run)
    once, again, later = (changed(run, batch, step) for step in (3, 3, 4))
    assert torch.equal(once.inputs[0], again.inputs[0])
    assert once.mixed is not None
    assert again.mixed is not None
    assert torch.equal(once.mixed.weight, again.mixed.weight)
    assert not torch.equal(once.inputs[0], later.inputs[0])
    twins = replace(batch, inputs=(batch.inputs[0][:1].expand(24, -1, -1, -1),))
    turned = changed(run_of(*DIGITS, "augmentation=standard"), twins, 0).inputs[0]
    assert len({tuple(x.flatten().tolist()) for x in turned}) == 24
    assert not torch.equal(changed(run_of(*MIXED, "seed=1"), batch, 3).inputs[0], once.inputs[0])


def test_what_is_drawn_by_torch_is_left_alone() -> None:
    run = run_of(*MIXED)
    batch = first(run)
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    changed(run, batch, 0)
    assert torch.equal(torch.rand(3), wanted)


def test_the_loss_of_a_mixed_batch_is_shared_out_by_hand() -> None:
    run = run_of(*MIXED, "loss=cross_entropy", "loss.class_weights=balanced", "loss.label_smoothing=0.1")
    batch = changed(run, first(run), 0)
    assert batch.mixed is not None
    outputs = run.model(*batch.inputs).detach()
    weights = run.objective._class_weights
    assert weights is not None
    total = sum(run.objective.total(*rows) for rows in halves(outputs, batch))
    wanted = torch.zeros(())
    for k in range(len(batch)):
        for half in (batch, batch.mixed):
            loss = F.cross_entropy(outputs[k], half.target[k], weight=weights, label_smoothing=0.1, reduction="sum")
            wanted += half.weight[k] * loss
    assert float(total) == pytest.approx(float(wanted), rel=1e-5)
    shares = batch.weight * weights[batch.target] + batch.mixed.weight * weights[batch.mixed.target]
    assert float(weight_of(run.objective, batch)) == pytest.approx(float(shares.sum()), rel=1e-6)


@pytest.mark.parametrize(
    "words", [("loss=auto",), ("loss=cross_entropy", "loss.class_weights=balanced"), ("augmentation.jitter=0.1",)]
)
def test_a_mixed_step_is_the_same_in_one_piece_and_in_many(words: Any) -> None:
    own = ("data=mnist1d", "data.limit=200", "model.hidden=[8]", "batching.batch_size=24", "augmentation.mixup=0.4")
    run = run_of(*(own if "augmentation" in words[0] else MIXED), *words)
    batch = changed(run, first(run), 0)
    whole = gradient(run, batch)
    for size in (1, 5, 12):
        run.micro_batch = size
        assert torch.allclose(gradient(run, batch), whole, rtol=1e-4, atol=1e-6)
    assert float(whole.abs().max()) > 1e-3


def test_accumulation_learns_what_a_large_batch_learns() -> None:
    runs = [
        run_of(
            *MIXED[:3], *MIXED[4:], f"batching.batch_size={size}", f"batching.accumulate={24 // size}", "optimizer=sgd"
        )
        for size in (24, 6)
    ]
    for run in runs:
        state = state_of(run)
        for batch in list(run.train.epoch(0))[:4]:
            learn(run, batch, state)
            state.step += 1
    assert torch.allclose(*(run.parameters.values for run in runs), atol=1e-6)


def test_a_validation_sees_the_samples_as_they_are() -> None:
    values = [evaluate(run, run.val) for run in (run_of(*DIGITS), run_of(*MIXED))]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_series_keep_what_lies_behind_their_ends() -> None:
    words = ("data=adding", "data.samples=60", "data.min_length=3", "data.length=9", "model=gru", "model.hidden_size=4")
    run = run_of(*words, "augmentation=strong")
    batch = first(run)
    x, lengths = changed(run, batch, 0).inputs
    behind = torch.arange(x.shape[1]) >= lengths[:, None]
    assert torch.equal(x[behind], batch.inputs[0][behind])
    assert not torch.equal(x, batch.inputs[0])


def test_a_table_of_numbers_can_be_mixed() -> None:
    run = run_of("augmentation.mixup=0.2")
    batch = changed(run, first(run), 0)
    assert batch.mixed is not None
    assert batch.inputs[0].shape == first(run).inputs[0].shape
    assert torch.allclose(batch.weight.sum() + batch.mixed.weight.sum(), torch.tensor(20.0), atol=1e-4)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_values_are_blended_as_the_samples_are_and_a_loss_of_nothing_is_there(loss: str) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    np.savez("line.npz", x=x, y=x @ np.array([[1.0, 3.0], [-2.0, 0.0], [0.5, 1.0]], np.float32))
    words = ("data=array", "data.path=line.npz", "data.scaling=none", "data.target_scaling=none", "model=linear")
    run = run_of(*words, f"loss={loss}", "augmentation.mixup=1", "batching.batch_size=24")
    batch = changed(run, first(run), 0)
    assert batch.mixed is None
    blend = batch.inputs[0]
    assert not torch.allclose(blend, first(run).inputs[0], atol=0.1)
    line = torch.tensor([[1.0, 3.0], [-2.0, 0.0], [0.5, 1.0]])
    assert torch.allclose(batch.target, blend @ line, atol=1e-4)  # the true line answers each blend
    assert torch.allclose(batch.weight, torch.ones(24))
    assert float(run.objective.total(blend @ line, batch.target, batch.weight)) < 1e-3
    assert run.augmentation is not None
    assert run_of(*DIGITS, "augmentation.mixup=1").augmentation.blends is False  # type: ignore[union-attr]


def test_masks_go_along_with_their_pictures() -> None:
    rng = np.random.default_rng(0)
    y = (rng.random((12, 8, 8)) > 0.5).astype(np.int64)
    np.savez("masks.npz", x=(255 * y[:, None]).astype(np.uint8), y=y)
    words = ("data=masks", "data.images=masks.npz", "data.val_fraction=0.2", "data.test_fraction=0.2", "model=unet")
    words += ("model.channels=[2]", "data.scaling=none", "augmentation.flip=0.5", "augmentation.crop=2")
    run = run_of(*words)
    batch = next(run.train.epoch(0))
    seen = changed(run, batch, 0)
    assert not torch.equal(seen.target, batch.target)
    inside = seen.weight > 0
    assert torch.equal((seen.inputs[0][:, 0] > 127)[inside], seen.target[inside] == 1)
    assert bool((~inside).any())
    assert torch.equal(seen.weight[~inside], torch.zeros_like(seen.weight[~inside]))


def test_a_policy_moves_no_masks() -> None:
    np.savez(
        "masks.npz", x=np.zeros((12, 1, 8, 8), np.uint8), y=np.arange(12)[:, None, None] % 2 * np.ones((1, 8, 8), int)
    )
    words = ("data=masks", "data.images=masks.npz", "model=unet", "model.channels=[2]")
    with pytest.raises(ConfigError, match=r"augmentation\.policy moves the pixels of data=masks"):
        run_of(*words, "augmentation.policy=randaugment")
