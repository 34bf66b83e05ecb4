"""How trials compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnkit.sweep.trials import Outcome, Trial, identity, ranked
from tests.trained import config_of


def outcome(lr: str, seed: int, score: float | None, status: str = "completed") -> Outcome:
    config = config_of(f"seed={seed}")
    trial = Trial(seed, {"optimizer.lr": lr, "seed": str(seed)}, config, {}, identity(config))
    metrics = {} if score is None else {"val/accuracy": score, "val/loss": 1 - score, "val/rmse": score}
    return Outcome(trial, Path("x"), status if score is not None else "failed", metrics)


def test_a_setting_of_which_a_seed_failed_stands_behind_a_worse_one_that_is_whole() -> None:
    outcomes = [outcome("a", 0, 0.9), outcome("a", 1, None), outcome("b", 0, 0.5), outcome("b", 1, 0.6)]
    groups = ranked(outcomes)
    assert [group.changed["optimizer.lr"] for group in groups] == ["b", "a"]
    assert groups[0].score == pytest.approx(0.55)
    assert groups[0].deviation == pytest.approx(0.0707, abs=1e-4)


@pytest.mark.parametrize(("given", "best"), [(None, "b"), (("val/loss", "min"), "b"), (("val/rmse", "min"), "a")])
def test_the_objective_and_its_better_end_decide(given: tuple[str, str] | None, best: str) -> None:
    groups = ranked([outcome("a", 0, 0.2), outcome("b", 0, 0.8)], given)
    assert groups[0].changed["optimizer.lr"] == best


def test_a_pruned_trial_ranks_by_its_best_weights_and_an_interrupted_one_not_at_all() -> None:
    outcomes = [outcome("a", 0, 0.7), outcome("b", 0, 0.8, "pruned"), outcome("c", 0, 0.9, "interrupted")]
    assert [(group.changed["optimizer.lr"], group.is_pruned) for group in ranked(outcomes)] == [
        ("b", True),
        ("a", False),
    ]
