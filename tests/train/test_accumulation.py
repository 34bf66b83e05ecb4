"""A step of several batches: what each adds, in every precision, and how far it is from one large batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nnkit.data.batches import Batch
from nnkit.train.loop import backward
from nnkit.train.run import Run
from tests.trained import run_of, state_of

WORDS = ("data=digits", "data.limit=120", "model=cnn", "model.channels=[4,6]", "model.norm=none", "model.dense=[8]")
WORDS += ("loss.class_weights=balanced", "loss=cross_entropy", "batching.shuffle=false")
PRECISIONS = ("fp32", "bf16", "fp16")


def gradient(run: Run, batch: Batch, whole: Tensor, micro: int) -> Tensor:
    """Return the gradient of a batch, in pieces of `micro`, divided by what the whole step weighs, in its own size."""
    run.parameters.grad.zero_()
    run.micro_batch = micro
    backward(run, batch, whole, state_of(run))
    scale = 1.0 if run.arithmetic.scaler is None else run.arithmetic.scaler.get_scale()
    return run.parameters.grad / scale


def step(precision: str) -> tuple[Run, Batch, Tensor]:
    """Return a run, a batch of 30 samples that weigh differently, and what they weigh."""
    run = run_of(*WORDS, "batching.batch_size=30", f"trainer.precision={precision}")
    batch = next(run.train.epoch(0))
    batch = replace(batch, weight=torch.linspace(0.2, 2.0, len(batch)))
    run.objective._uniform = False
    if run.arithmetic.scaler is not None:  # its first scale, 65,536, overflows here, and is halved in a training
        run.arithmetic = replace(run.arithmetic, scaler=torch.amp.GradScaler("cpu", init_scale=256.0))
    return run, batch, run.objective.weight(batch.target, batch.weight)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_step_of_unequal_batches_is_their_exact_sum(precision: str) -> None:
    run, batch, whole = step(precision)
    together = gradient(run, batch, whole, micro=8).clone()  # 8, 8, 8 and 6
    apart = [gradient(run, batch.rows(start, min(start + 8, 30)), whole, micro=8).double() for start in (0, 8, 16, 24)]
    exact = torch.stack(apart).sum(0)
    assert float((together - exact).norm() / exact.norm()) < 1e-6


@pytest.mark.parametrize(("precision", "rounding"), [("fp32", 1e-6), ("bf16", 2**-8), ("fp16", 2**-11)])
def test_a_step_of_batches_is_a_large_batch_within_the_rounding_of_its_floats(precision: str, rounding: float) -> None:
    run, batch, whole = step(precision)
    large = gradient(run, batch, whole, micro=30).clone()
    small = gradient(run, batch, whole, micro=8)
    difference = float((small - large).norm() / large.norm())
    assert difference < rounding
    assert large.dtype == torch.float32
