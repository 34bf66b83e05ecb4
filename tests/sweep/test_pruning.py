"""Which trials are stopped early. Optuna's pruners are the independent source."""

from __future__ import annotations

import random
import warnings
from typing import Any

import optuna
import pytest

from nnkit.sweep.pruning import Pruner

EPOCHS, TRIALS = 27, 40


def curves(seed: int) -> list[list[float]]:
    """Losses of trials by epoch: each falls towards a floor of its own, so the best so far is the newest."""
    chance = random.Random(seed)
    found = []
    for _ in range(TRIALS):
        floor, speed = chance.uniform(0.1, 2.0), chance.uniform(0.05, 0.5)
        found.append([floor + 3.0 * (1 - speed) ** epoch for epoch in range(1, EPOCHS + 1)])
    return found


def ours(pruner: Pruner, losses: list[list[float]]) -> list[int]:
    """After how many epochs each trial ends, one after the other."""
    ends = []
    for number, curve in enumerate(losses):
        for epoch, loss in enumerate(curve, 1):
            if pruner.scored(number, epoch, "val/loss", loss):
                break
        else:
            pruner.ended.add(number)
        ends.append(epoch)
    return ends


def optunas(pruner: Any, losses: list[list[float]]) -> list[int]:
    study = optuna.create_study(direction="minimize", pruner=pruner)
    ends = []
    for curve in losses:
        trial = study.ask()
        state = optuna.trial.TrialState.COMPLETE
        for epoch, loss in enumerate(curve, 1):
            trial.report(loss, epoch)
            if trial.should_prune():
                state = optuna.trial.TrialState.PRUNED
                break
        study.tell(trial, loss if state == optuna.trial.TrialState.COMPLETE else None, state=state)
        ends.append(epoch)
    return ends


@pytest.fixture(autouse=True)
def quiet() -> Any:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("min_epochs", [1, 4])
def test_the_median_stops_the_trials_that_optunas_stops(seed: int, min_epochs: int) -> None:
    losses = curves(seed)
    theirs = optunas(optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=min_epochs), losses)
    assert ours(Pruner("median", min_epochs, 3, EPOCHS), losses) == theirs
    assert min(theirs) < EPOCHS


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("min_epochs", "reduction"), [(1, 3), (2, 2), (3, 4)])
def test_asha_stops_the_trials_that_optunas_successive_halving_stops(
    seed: int, min_epochs: int, reduction: int
) -> None:
    losses = curves(seed)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=reduction)
    theirs = optunas(pruner, losses)
    assert ours(Pruner("asha", min_epochs, reduction, EPOCHS + 1), losses) == theirs
    assert min(theirs) < EPOCHS


def test_hyperband_lets_some_brackets_begin_later() -> None:
    pruner = Pruner("hyperband", 1, 3, EPOCHS)
    brackets = [pruner._bracket(number) for number in range(600)]
    counts = [brackets.count(bracket) for bracket in sorted(set(brackets))]
    assert sorted(set(brackets)) == [0, 1, 2]
    assert counts == sorted(counts, reverse=True)
    weights = [(3 / (3 - skipped)) * 3 ** (2 - skipped) for skipped in range(3)]  # Li et al. 2018: n
    for count, weight in zip(counts, weights, strict=True):
        assert count / 600 == pytest.approx(weight / sum(weights), abs=0.05)
    losses = curves(0)
    ends = ours(Pruner("hyperband", 1, 3, EPOCHS), losses)
    first = [end for number, end in enumerate(ends) if pruner._bracket(number) == 2]
    assert min(first) >= 9
    assert min(ends) == 1


def test_no_trial_is_stopped_without_a_pruner_or_by_a_trial_of_another_metric() -> None:
    assert ours(Pruner("none", 1, 3, EPOCHS), curves(0)) == [EPOCHS] * TRIALS
    pruner = Pruner("asha", 1, 2, 9)
    assert not any(pruner.scored(number, 1, f"metric {number}", float(number)) for number in range(5))


def test_what_is_told_twice_counts_once() -> None:
    pruner = Pruner("asha", 1, 2, 9)
    assert not pruner.scored(0, 1, "val/loss", 1.0)
    assert pruner.scored(1, 1, "val/loss", 2.0)
    assert not pruner.scored(1, 1, "val/loss", 2.0)  # a trial that goes on from its checkpoint


def test_what_is_done_again_is_not_compared_with_what_comes_later() -> None:
    pruner = Pruner("asha", 1, 2, 9)
    for epoch, loss in enumerate((1.0, 0.9, 0.5), 1):
        pruner.scored(0, epoch, "val/loss", loss)
    pruner.scored(0, 1, "val/loss", 1.0)
    assert pruner.best["val/loss"][0] == {1: 1.0, 2: 0.9, 3: 0.5}


def test_a_score_that_is_not_finite_is_the_worst() -> None:
    pruner = Pruner("asha", 1, 2, 9)
    pruner.scored(0, 1, "val/loss", 0.1)
    assert pruner.scored(1, 1, "val/loss", float("nan"))
    assert pruner.scored(2, 1, "val/loss", 0.2)


def test_scores_better_than_before_count_not_the_newest() -> None:
    pruner = Pruner("asha", 2, 2, 9)
    pruner.scored(0, 2, "val/loss", 1.0)
    pruner.scored(1, 1, "val/loss", 0.5)
    assert not pruner.scored(1, 2, "val/loss", 3.0)
