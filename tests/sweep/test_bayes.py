"""Points that are proposed, and learned from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnkit.config.compose import hydra_overrides, opened
from nnkit.config.options import find_groups, search_dirs
from nnkit.config.sections.sweeper import BayesConfig
from nnkit.config.space import Space
from nnkit.config.words import read_words
from nnkit.errors import ConfigError
from nnkit.sweep.bayes import Bayes
from nnkit.sweep.trials import Outcome, Trial

LR = "optimizer.lr=tag(log, interval(1e-5,1.0))"
LOSS = ("val/loss", "min")


@pytest.fixture
def space() -> Iterator[Callable[..., Space]]:
    dirs = search_dirs()
    groups = find_groups(dirs)

    def make(*words: str) -> Space:
        overrides = hydra_overrides(read_words(words, groups, multirun=True), dirs)
        return Space(overrides, "train", groups)

    with opened(dirs):
        yield make


def ended(trial: Trial, loss: float | None) -> Outcome:
    if loss is None:
        return Outcome(trial, Path("x"), "failed", error="no")
    return Outcome(trial, Path("x"), "completed", {"val/loss": loss, "val/accuracy": 1 - loss})


def parabola(trial: Trial) -> float:
    """Best at a rate of 0.01."""
    from math import log10

    return (log10(trial.config.optimizer.lr) + 2) ** 2


def searched(source: Bayes, score: Callable[[Trial], float | None], most: int = 1000) -> list[Trial]:
    found: list[Trial] = []
    while len(found) < most and (trial := source.next()) is not None:
        source.ended(ended(trial, score(trial)))
        found.append(trial)
    return found


def entries_of(trials: list[Trial]) -> list[dict[str, Any]]:
    return [{"event": "start", "trial": trial.number, "values": dict(trial.values)} for trial in trials]


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes"])
def test_proposals_come_closer_to_the_best(sampler: Any, space: Callable[..., Space]) -> None:
    sweeper = BayesConfig(trials=24, sampler=sampler, startup_trials=6)
    words = [LR, "regularization=dropout", "regularization.dropout=interval(0.0,0.5)"]
    trials = searched(Bayes(space(*words), sweeper, LOSS, []), parabola)
    assert [trial.number for trial in trials] == list(range(24))
    first, last = ([parabola(trial) for trial in part] for part in (trials[:6], trials[-6:]))
    assert sum(last) < sum(first)
    assert min(parabola(trial) for trial in trials) < 0.1


def test_what_goes_on_proposes_what_would_have_been_proposed(space: Callable[..., Space]) -> None:
    whole = searched(Bayes(space(LR), BayesConfig(trials=16, startup_trials=4), LOSS, []), parabola)
    again = Bayes(space(LR), BayesConfig(trials=16, startup_trials=4), LOSS, entries_of(whole[:9]))
    assert [trial.values for trial in again.known()] == [trial.values for trial in whole[:9]]
    for trial in again.known():
        again.ended(ended(trial, parabola(trial)))
    rest = searched(again, parabola)
    assert [trial.values for trial in rest] == [trial.values for trial in whole[9:]]


def test_a_setting_that_one_model_has_is_not_asked_for_beside_another(space: Callable[..., Space]) -> None:
    words = [LR, "model=linear,mlp", "model.hidden=choice([4],[8])"]
    source = Bayes(space(*words), BayesConfig(trials=12, startup_trials=12), LOSS, [])
    for trial in searched(source, parabola):
        assert ("model.hidden" in trial.changed) == (trial.config.model.kind == "mlp")
    asked = [set(trial.params) for trial in source._study.trials]
    assert {"optimizer.lr", "model"} in asked
    assert {"optimizer.lr", "model", "model.hidden"} in asked


def test_each_point_is_tried_with_several_seeds_and_told_by_their_mean(space: Callable[..., Space]) -> None:
    source = Bayes(space(LR), BayesConfig(trials=3, seeds=2), LOSS, [])
    trials = searched(source, lambda trial: float(trial.config.seed))
    assert [trial.config.seed for trial in trials] == [0, 1] * 3
    assert [trial.value for trial in source._study.trials] == [0.5] * 3
    assert source.planned == 6


def test_a_failure_teaches_and_is_not_proposed_again(space: Callable[..., Space]) -> None:
    source = Bayes(space("optimizer=adam,sgd,adamw"), BayesConfig(trials=20), LOSS, [])
    trials = searched(source, lambda trial: None if trial.config.optimizer.kind == "sgd" else 0.5)
    assert sorted(trial.config.optimizer.kind for trial in trials) == ["adam", "adamw", "sgd"]
    assert source.planned == 3  # the space has no more points


def test_settings_that_do_not_go_together_are_passed_over(space: Callable[..., Space]) -> None:
    words = ["optimizer=sgd", "optimizer.nesterov=true,false", "optimizer.momentum=0.0,0.9", LR]
    source = Bayes(space(*words), BayesConfig(trials=12), LOSS, [])
    for trial in searched(source, parabola):
        assert trial.changed["optimizer.nesterov"].lower() == "false" or trial.changed["optimizer.momentum"] == "0.9"


def test_a_sampler_that_is_not_installed_is_told(space: Callable[..., Space], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(ConfigError, match="hydra/sweeper=bayes with sampler=cmaes needs cmaes"):
        Bayes(space(LR), BayesConfig(sampler="cmaes"), LOSS, [])


def test_a_process_with_one_scale_is_not_blinded_by_what_diverged(space: Callable[..., Space]) -> None:
    def cliff(trial: Trial) -> float:
        return 1e6 if trial.config.optimizer.lr > 0.05 else parabola(trial)

    words = [LR, "regularization=dropout", "regularization.dropout=interval(0.0,0.5)"]
    sweeper = BayesConfig(trials=24, sampler="gp", startup_trials=6)
    trials = searched(Bayes(space(*words), sweeper, LOSS, []), cliff)
    assert sorted(cliff(trial) for trial in trials[6:])[9] < 0.3  # half of what it proposes lies near the best
