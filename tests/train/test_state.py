"""Where a training stands, and back from plain values."""

from __future__ import annotations

import io
import math

import pytest
import torch

from nnkit.optim.schedules import PlateauState
from nnkit.train.state import Score, TrainState, is_better
from tests.trained import is_equal


def test_state_survives_a_save_without_pickled_code() -> None:
    state = TrainState(
        100,
        step=7,
        epoch=1,
        position=2,
        loss_total=1.5,
        loss_weight=3.0,
        first_loss=0.7,
        sums={"confusion": torch.eye(2)},
        pending=[(torch.ones(2, 3), torch.tensor([0, 1]), torch.ones(2))],
        num_pending=6,
        best=Score(1, 5, 0.4),
        waited=1,
        plateau=PlateauState(0.5, 0.4, 1, 2),
        records=1,
        seconds=0.1,
        samples=9,
    )
    buffer = io.BytesIO()
    torch.save(state.to_plain(), buffer)
    back = TrainState.from_plain(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    assert (back.best, back.plateau) == (state.best, state.plateau)
    assert is_equal(back.to_plain(), state.to_plain())


def test_fresh_state_has_no_best() -> None:
    assert TrainState.from_plain(TrainState(3).to_plain()).best is None


@pytest.mark.parametrize(
    ("value", "best", "mode", "min_delta", "expected"),
    [
        (0.5, None, "min", 0.0, True),
        (math.nan, None, "min", 0.0, False),
        (math.inf, None, "max", 0.0, False),
        (0.5, 0.6, "min", 0.0, True),
        (0.6, 0.6, "min", 0.0, False),
        (0.7, 0.6, "min", 0.0, False),
        (0.7, 0.6, "max", 0.0, True),
        (0.6, 0.6, "max", 0.0, False),
        (0.5, 0.6, "min", 0.2, False),
        (0.3, 0.6, "min", 0.2, True),
        (0.7, 0.6, "max", 0.2, False),
        (0.9, 0.6, "max", 0.2, True),
        (-math.inf, 0.6, "min", 0.0, False),
        (math.nan, 0.6, "max", 0.0, False),
    ],
)
def test_a_score_is_better_by_more_than_min_delta_and_finite(
    value: float, best: float | None, mode: str, min_delta: float, expected: bool
) -> None:
    score = None if best is None else Score(1, 1, best)
    assert is_better(value, score, mode=mode, min_delta=min_delta) is expected
